"""A live page: the picture with masks, what sounded when, and what a monitor asks for.

The server runs in a thread of its own. Whoever feeds it never waits: a picture is encoded when somebody looks, once for
all of them, and a viewer who is slow gets the newest picture and not those in between.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from importlib import resources
from typing import Any
from urllib.parse import quote

import cv2
import jinja2
import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import UsageError
from avis_cli.results.frame import FrameResult
from avis_cli.serve.guard import Guard, is_loopback, patient_protocol
from avis_cli.writers.style import palette

Encode = Callable[[NDArray[np.uint8]], bytes]
_Leave = Callable[[], None]

_ADDRESS = re.compile(r"(?:(\[[0-9a-fA-F:.]+\]|[^:\s]+):)?(\d{1,5})", re.ASCII)
_BOUNDARY = "frame"
_QUALITY = 80  # of JPEGs
_EVENTS = 64  # that wait for a slow viewer; of more the oldest are left out
_ALIVE_SECONDS = 10.0  # without a frame, after which the stream does not count as alive
_START_SECONDS = 5.0


def split_address(text: str) -> tuple[str, int]:
    """``8080`` or ``HOST:8080`` -> host and port; this machine only without a host. Raises UsageError."""
    match = _ADDRESS.fullmatch(text.strip())
    if match is None or int(match[2]) > 65_535:
        raise UsageError(f"--serve {text[:60]!r}, expected PORT or HOST:PORT such as 8080 or 0.0.0.0:8080")
    return (match[1] or "127.0.0.1").strip("[]"), int(match[2])


def encode_jpeg(picture: NDArray[np.uint8]) -> bytes:
    """RGB (H, W, 3) -> a JPEG."""
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    if not done:
        raise ValueError("the picture cannot be encoded")
    return data.tobytes()


class LivePage:
    """``host`` and ``port`` to listen on, port 0 for any that is free; ``token``: what requests have to carry, made
    here where the host is not the loopback and none, or an empty one, is given; ``title``: of the page;
    ``max_viewers``: of pictures and events at once; ``encode``: pictures to JPEG. Raises UsageError where its libraries
    are not installed."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        token: str | None = None,
        title: str = "",
        max_viewers: int = 64,
        encode: Encode = encode_jpeg,
    ) -> None:
        try:
            import starlette
            import uvicorn
        except ImportError:
            hint = "pip install 'avis-cli[stream]'"
            raise UsageError("--serve needs starlette and uvicorn, which are not installed", hint=hint) from None
        del starlette, uvicorn
        self.host, self.port = host, port
        self.token = token or (None if is_loopback(host) else secrets.token_urlsafe(16))
        self._title, self._max_viewers = title, max_viewers
        self._numbers = _Numbers()
        self._viewers = _Viewers(encode)
        self._server: Any = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where a browser goes."""
        host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(self.host, self.host)
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/" + ("" if self.token is None else f"?token={quote(self.token, safe='')}")

    def start(self) -> None:
        """Begin to serve. Raises UsageError where the address cannot be had."""
        import uvicorn

        # without a handler logging would write about every malformed request to the terminal
        logging.getLogger("uvicorn.error").addHandler(logging.NullHandler())
        listening = _listen(self.host, self.port)
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(
            Guard(self._app(), self.host, self.token), log_config=None, access_log=False, lifespan="off",
            http=patient_protocol(), ws="none", timeout_keep_alive=5, timeout_graceful_shutdown=1,
            server_header=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(listening,), name="page", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)

    def _run(self, listening: socket.socket) -> None:
        loop = asyncio.new_event_loop()
        self._viewers.loop = loop
        with suppress(Exception):
            loop.run_until_complete(self._server.serve(sockets=[listening]))
            # a viewer that does not read is still owed bytes, which would keep its connection open
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()
            loop.run_until_complete(asyncio.sleep(0))
        self._viewers.loop = None
        listening.close()
        loop.close()

    def frame(
        self,
        picture: NDArray[np.uint8],
        result: FrameResult,
        *,
        levels: Sequence[float] = (),
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """The next frame: ``picture`` uint8 RGB (H, W, 3) with its masks, ``levels``: how loud it was since the frame
        before, 0..1, ``metrics``: more numbers for ``/metrics``. Returns at once."""
        self._numbers.add(result, metrics or {})
        if self._viewers.count:
            self._viewers.tell(picture, _frame_event(result, levels))

    def event(self, name: str, values: Mapping[str, Any]) -> None:
        """Something besides a frame, for ``/events``."""
        if self._viewers.count:
            self._viewers.tell(None, f"event: {name}\ndata: {_json(dict(values))}\n\n")

    def close(self) -> None:
        """End all connections and the server; may be called again."""
        if self._server is None or self._thread is None:
            return
        self._viewers.end()
        self._server.should_exit = True
        self._thread.join(3.0)
        self._server = None

    def _app(self) -> Any:
        from starlette.applications import Starlette
        from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, StreamingResponse
        from starlette.routing import Route

        def full() -> Any:
            return PlainTextResponse("too many viewers", 503, {"retry-after": "10"})

        async def page(request: Any) -> Any:
            nonce = secrets.token_urlsafe(16)
            policy = (
                f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:; "
                "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            )
            text = _template().render(title=self._title, nonce=nonce)
            return HTMLResponse(text, headers={"content-security-policy": policy})

        async def pictures(request: Any) -> Any:
            if self._viewers.count >= self._max_viewers:
                return full()
            content, leave = self._viewers.look()
            kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}"
            return _Watched(StreamingResponse(content, media_type=kind), leave)

        async def events(request: Any) -> Any:
            if self._viewers.count >= self._max_viewers:
                return full()
            content, leave = self._viewers.listen()
            return _Watched(StreamingResponse(content, media_type="text/event-stream"), leave)

        async def health(request: Any) -> Any:
            ago = self._numbers.seconds_since()
            alive = ago is not None and ago < _ALIVE_SECONDS
            status = "ok" if alive else "no frame yet" if ago is None else "no frame lately"
            return JSONResponse({"status": status, "seconds_since_frame": ago}, 200 if alive else 503)

        async def metrics(request: Any) -> Any:
            return PlainTextResponse(self._numbers.text(self._viewers.count), media_type="text/plain; version=0.0.4")

        handlers = {
            "/": page, "/stream.mjpg": pictures, "/events": events, "/healthz": health, "/metrics": metrics,
        }  # fmt: skip
        return Starlette(routes=[Route(path, handler, methods=["GET"]) for path, handler in handlers.items()])


def _listen(host: str, port: int) -> socket.socket:
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(kind, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(
            f"--serve cannot have {host}:{port} ({reason})", hint="choose another port, or 0 for any that is free"
        ) from None
    listening.listen(256)
    return listening


@lru_cache(maxsize=1)
def _template() -> jinja2.Template:
    text = resources.files("avis_cli.serve").joinpath("live.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)


def _frame_event(result: FrameResult, levels: Sequence[float]) -> str:
    document = result.to_dict(with_masks=False)
    colours = palette()
    for track in document["tracks"]:
        track["colour"] = "#{:02x}{:02x}{:02x}".format(*colours.colour(track["id"]))
    document["levels"] = [round(float(level), 3) for level in levels]
    return f"data: {_json(document)}\n\n"


def _json(value: Any) -> str:
    """``value`` as JSON; null for a number that JSON does not have, text for what is no JSON: a stream goes on."""
    return json.dumps(_finite(value), allow_nan=False, default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class _Slot:
    """The newest picture for one viewer."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.data: bytes | None = None

    def put(self, data: bytes | None) -> None:
        self.data = data
        self.changed.set()


class _Watched:
    """The ASGI application ``answer``, whose viewer has a place until it ends, however it does."""

    def __init__(self, answer: Any, leave: _Leave) -> None:
        self._answer, self._leave = answer, leave

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            self._leave()


class _Viewers:
    """Those who look and listen. Everything but ``tell`` and ``end`` is called in the server's loop."""

    def __init__(self, encode: Encode) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self._encode = encode
        self._slots: set[_Slot] = set()
        self._queues: set[asyncio.Queue[str | None]] = set()
        self._waiting: NDArray[np.uint8] | None = None  # the newest picture, while another is encoded
        self._is_encoding = self._ended = False

    @property
    def count(self) -> int:
        """Viewers of pictures and of events; from any thread."""
        return len(self._slots) + len(self._queues)

    def look(self) -> tuple[AsyncIterator[bytes], _Leave]:
        """What one more viewer is sent, who counts from now on until the second is called."""
        slot = _Slot()
        self._slots.add(slot)
        return self._pictures(slot), partial(self._slots.discard, slot)

    def listen(self) -> tuple[AsyncIterator[str], _Leave]:
        """What one more listener is sent, who counts from now on until the second is called."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(_EVENTS)
        self._queues.add(queue)
        return self._events(queue), partial(self._queues.discard, queue)

    def tell(self, picture: NDArray[np.uint8] | None, text: str) -> None:
        """From any thread: a frame or an event."""
        loop = self.loop
        if loop is not None:
            with suppress(RuntimeError):  # it has just been closed
                loop.call_soon_threadsafe(self._told, picture, text)

    def end(self) -> None:
        """From any thread: let every viewer go."""
        loop = self.loop
        if loop is not None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._end)

    def _told(self, picture: NDArray[np.uint8] | None, text: str) -> None:
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(text)
        if picture is not None and self._slots:
            self._waiting = picture
            if not self._is_encoding:
                self._is_encoding = True
                task = asyncio.get_running_loop().create_task(self._encoded())
                task.add_done_callback(lambda done: done.exception())

    async def _encoded(self) -> None:
        """Encode the newest picture until there is none newer."""
        try:
            while self._waiting is not None:
                picture, self._waiting = self._waiting, None
                data = await asyncio.get_running_loop().run_in_executor(None, self._encode, picture)
                for slot in self._slots:
                    slot.put(data)
        finally:
            self._is_encoding = False

    def _end(self) -> None:
        self._ended = True
        for slot in self._slots:
            slot.put(None)
        for queue in self._queues:
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _pictures(self, slot: _Slot) -> AsyncIterator[bytes]:
        while not self._ended:
            await slot.changed.wait()
            slot.changed.clear()
            if slot.data is None:
                return
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(slot.data)}\r\n\r\n"
            yield head.encode() + slot.data + b"\r\n"

    async def _events(self, queue: asyncio.Queue[str | None]) -> AsyncIterator[str]:
        yield "retry: 2000\n\n"
        while not self._ended:
            text = await queue.get()
            if text is None:
                return
            yield text


class _Numbers:
    """What ``/metrics`` and ``/healthz`` say."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames = self._dropped = self._tracks = 0
        self._last: float | None = None
        self._latency: dict[str, float] = {}
        self._more: dict[str, float] = {}

    def add(self, result: FrameResult, more: Mapping[str, float]) -> None:
        with self._lock:
            self._frames += 1
            self._dropped += result.dropped
            self._tracks = sum(track.sounding for track in result.tracks)
            self._last = time.monotonic()
            self._more = dict(more)
            if result.latency is not None:
                latency = result.latency
                self._latency = {
                    "capture": latency.capture, "queue": latency.queue, "model": latency.model, "total": latency.total,
                }  # fmt: skip

    def seconds_since(self) -> float | None:
        """Since the last frame, None before the first."""
        with self._lock:
            return None if self._last is None else round(time.monotonic() - self._last, 3)

    def text(self, viewers: int) -> str:
        """Prometheus' text format."""
        with self._lock:
            lines = [
                *_metric("frames_total", "counter", "Frames processed.", self._frames),
                *_metric("dropped_total", "counter", "Pictures left out because newer ones were there.", self._dropped),
                *_metric("sounding_tracks", "gauge", "Objects that sound in the last frame.", self._tracks),
                *_metric("viewers", "gauge", "Viewers of the picture and of the events.", viewers),
            ]
            if self._latency:
                about = "# HELP avis_latency_seconds Of the last frame, by part."
                parts = [(part, 1e-3 * value) for part, value in self._latency.items()]
                lines += [about, "# TYPE avis_latency_seconds gauge"]
                lines += [f'avis_latency_seconds{{part="{part}"}} {seconds:.6f}' for part, seconds in parts]
            for name, value in self._more.items():
                lines += _metric(name, "gauge", name.replace("_", " ").capitalize() + ".", round(value, 6))
        return "\n".join(lines) + "\n"


def _metric(name: str, kind: str, about: str, value: float) -> list[str]:
    return [f"# HELP avis_{name} {about}", f"# TYPE avis_{name} {kind}", f"avis_{name} {value}"]
