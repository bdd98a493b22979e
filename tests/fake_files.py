"""A file server on the loopback that is also Google Drive and a Space of the Hub, and misbehaves as it is told to."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

COMMIT = "89abcdef0123456789abcdef0123456789abcdef"
QUOTA = '<html><p class="uc-error-subcaption">Too many users have viewed or downloaded this file recently.</p></html>'
CONFIRM = (  # on one line, as Drive has it
    '<html><form id="download-form" action="{url}/confirmed" method="get">'
    '<input type="hidden" name="id" value="{id}"><input type="hidden" name="confirm" value="t"></form></html>'
)


@dataclass
class FakeFiles:
    """``files``: the path of an address -> content; ``drive``: id -> (name, content); ``space``: file -> content, of
    the Space ``who/what``.

    ``answers``: (status, headers) of the next requests for a file, which come instead of it. ``cuts``: of the next
    downloads, after how many bytes the connection breaks. ``total``: the length that is announced, if a wrong one.
    ``no_ranges``: whole files only. ``page``: this page instead of any file; ``page_as_file``: and as if it were one.
    ``quota``: Drive's page about a file that too many want; ``confirm``: Drive asks first. ``loop``: redirect for ever.
    ``drip``: seconds before each byte. ``etag``: of every file. ``lie``: the Space's checksums are wrong.
    ``hold``: every download waits half-way until it is set.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    drive: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    space: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    total: int | None = None
    no_ranges: bool = False
    page: str | None = None
    page_as_file: bool = False
    quota: bool = False
    confirm: bool = False
    loop: bool = False
    drip: float = 0.0
    etag: str | None = None
    lie: bool = False
    hold: threading.Event | None = None

    @property
    def downloads(self) -> list[str | None]:
        """What part each request for content asked for."""
        return [part for path, part in self.requests if not path.startswith("/api/")]

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append((handler.path, handler.headers.get("range")))
        where, query = urlsplit(handler.path).path, parse_qs(urlsplit(handler.path).query)
        if where == "/api/spaces/who/what":
            return _send(handler, 200, {"Content-Type": "application/json"}, json.dumps(self._listing()).encode())
        if self.answers:
            status, headers = self.answers.pop(0)
            return _send(handler, status, headers, b"no")
        if self.loop:
            return _send(handler, 302, {"Location": f"{self.url}{where}?{len(self.requests)}"}, b"")
        if self.page is not None:
            kind = "application/octet-stream" if self.page_as_file else "text/html; charset=utf-8"
            return _send(handler, 200, {"Content-Type": kind}, self.page.encode())
        if where in ("/uc", "/confirmed"):
            return self._drive(handler, where, query["id"][0])
        _, _, inside = where.partition(f"/spaces/who/what/resolve/{COMMIT}/")
        content = self.space.get(inside) if inside else self.files.get(where)
        if content is None:
            return _send(handler, 404, {}, b"nothing here")
        return self._content(handler, content, {})

    def _listing(self) -> dict[str, Any]:
        siblings = [
            {
                "rfilename": name,
                "size": len(content),
                "lfs": {"sha256": "0" * 64 if self.lie else hashlib.sha256(content).hexdigest(), "size": len(content),
                        "pointerSize": 130},
            }
            for name, content in self.space.items()
        ]  # fmt: skip
        return {"id": "who/what", "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}

    def _drive(self, handler: BaseHTTPRequestHandler, where: str, file: str) -> None:
        html = {"Content-Type": "text/html; charset=utf-8"}
        if self.quota:
            return _send(handler, 200, html, QUOTA.encode())
        if file not in self.drive:
            return _send(handler, 404, html, b"<html>no such file</html>")
        if self.confirm and where == "/uc":
            return _send(handler, 200, html, CONFIRM.format(url=self.url, id=file).encode())
        name, content = self.drive[file]
        return self._content(handler, content, {"Content-Disposition": f'attachment; filename="{name}"'})

    def _content(self, handler: BaseHTTPRequestHandler, content: bytes, headers: dict[str, str]) -> None:
        headers = {"Content-Type": "application/octet-stream", **headers}
        etag = self.etag or f'"{hashlib.md5(content).hexdigest()}"'
        headers["ETag"] = etag
        ranged, condition = handler.headers.get("range"), handler.headers.get("if-range")
        first, status = 0, 200
        if ranged and not self.no_ranges and condition in (None, etag):
            first = int(ranged.removeprefix("bytes=").rstrip("-"))
            if first >= len(content):
                return _send(handler, 416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            status, headers["Content-Range"] = 206, f"bytes {first}-{len(content) - 1}/{len(content)}"
        body = content[first:]
        cut = self.cuts.pop(0) if self.cuts else None
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Connection", "close")
        handler.send_header("Content-Length", str(len(body) if self.total is None else self.total))
        handler.end_headers()
        try:
            if self.hold is not None:
                handler.wfile.write(body[: len(body) // 2])
                self.hold.wait(20)
                body = body[len(body) // 2 :]
            if self.drip:
                for byte in body:
                    time.sleep(self.drip)
                    handler.wfile.write(bytes([byte]))
            else:
                handler.wfile.write(body if cut is None else body[:cut])
        except OSError:
            pass  # nobody listens any more


def _send(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Connection", "close")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def serve() -> Iterator[FakeFiles]:
    """A running server; ``url`` is its address."""
    server_state = FakeFiles()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            server_state.answer(self)

        def log_message(self, *arguments: Any) -> None:
            """Nothing: what was asked is kept in ``requests``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    server_state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield server_state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
