"""``avis stream``: what sounds in a camera, a network stream or a pipe, while it goes on."""

from __future__ import annotations

import os
import signal
import sys
import time as clock
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avis_cli.cli import completion, console
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.parameters import flag, flag_given, takes_options
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.cli.segment import Device, Offline
from avis_cli.errors import OutputError, UsageError
from avis_cli.options import FOUND, INPUT, NETWORK, WRITTEN, OptionError, SegmentOptions

if TYPE_CHECKING:
    from avis_cli.live.recording import Recorder
    from avis_cli.media.live_encode import LiveEncoder
    from avis_cli.serve.page import LivePage
    from avis_cli.stream import LiveFrame, Stream, StreamEvent, StreamOptions

LOOK_SETTINGS = ("style", "alpha", "labels", "palette")
DEFAULT_MODEL = "seavis-tiny"
_STATUS_SECONDS = 0.5  # between two looks of the status line
_KEPT_LATENCIES = 300  # frames that median and percentile are of


class Masks(str, Enum):
    """How masks stand in lines of JSON."""

    none = "none"
    rle = "rle"
    polygon = "polygon"


@dataclass(frozen=True)
class _Wanted:
    """What is to become of the frames."""

    as_json: bool
    masks: str
    serve: str | None
    record: Path | None
    overwrite: bool
    window: bool
    publish: str | None

    @property
    def draws(self) -> bool:
        """Whether anything needs pictures with masks."""
        return bool(self.serve or self.record or self.window or self.publish)


@examples(
    ("A camera, with a page to watch it on", "avis stream camera:0 --audio mic:default --serve 8080"),
    ("A camera on the network, as lines of JSON", "avis stream rtsp://192.168.1.9/live --json"),
    ("A file as if it were live", "avis stream clip.mp4 --realtime --serve 8080"),
    ("What another program sends, kept as avis segment would", "ffmpeg -i IN -f mpegts - | avis stream - --record out"),
    ("The picture with masks, for others to watch", "avis stream camera:0 --publish rtsp://localhost:8554/avis"),
    ("A picture and a sound that FFmpeg makes", "avis stream 'lavfi:testsrc2[out0];sine[out1]' --duration 10 --json"),
)
@takes_options("threshold", "gate", "fps", "style", "alpha", "labels", "palette", "precision")
def stream(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SOURCE",
            help="camera:N, a device's path, an rtsp, rtmp, srt, tcp, udp or http(s) address, a file, - for standard "
            "input, or lavfi:GRAPH.",
        ),
    ] = None,
    *,
    audio: Annotated[
        str | None,
        typer.Option(
            "--audio", metavar="SOURCE", rich_help_panel=INPUT,
            help="Where the sound comes from, if not with the picture: mic:default, mic:NAME or any other source.",
        ),
    ] = None,
    realtime: Annotated[
        bool,
        typer.Option("--realtime", help="Hold a file back to its own speed, as if live.", rich_help_panel=INPUT),
    ] = False,
    duration: Annotated[
        float | None,
        typer.Option("--duration", metavar="SECONDS", help="Stop after this much of it.", rich_help_panel=INPUT),
    ] = None,
    no_reconnect: Annotated[
        bool,
        typer.Option(
            "--no-reconnect", rich_help_panel=INPUT,
            help="End with exit code 4 where a live source breaks off, in place of opening it again.",
        ),
    ] = False,
    list_devices: Annotated[
        bool, typer.Option("--list", help="Print the cameras and microphones there are.", rich_help_panel=INPUT)
    ] = False,
    model: Annotated[
        str,
        typer.Option(
            "--model", metavar="NAME|PATH", help="An online model that `avis weights list` names, or a weights file.",
            rich_help_panel=NETWORK, autocompletion=completion.models,
        ),
    ] = DEFAULT_MODEL,
    device: Device = "auto",
    options: SegmentOptions,
    confirm: Annotated[
        int,
        typer.Option(
            "--confirm", metavar="N", rich_help_panel=FOUND,
            help="Tell an object after it has sounded in N token frames; 0: at once.",
        ),
    ] = 0,
    max_latency: Annotated[
        float | None,
        typer.Option(
            "--max-latency", metavar="MS", rich_help_panel=FOUND,
            help="Leave out pictures of a live source that are older than this when their turn comes.",
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a line of JSON for each frame and event.", rich_help_panel=WRITTEN),
    ] = False,
    masks: Annotated[
        Masks | None,
        typer.Option("--masks", help="Masks in the lines of JSON [default: rle].", rich_help_panel=WRITTEN),
    ] = None,
    serve: Annotated[
        str | None,
        typer.Option(
            "--serve", metavar="[HOST:]PORT", rich_help_panel=WRITTEN,
            help="A page to watch it on; on this machine only, unless a HOST is named, which then needs the token that "
            "is printed.",
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            "--record", metavar="DIR", rich_help_panel=WRITTEN,
            help="Keep it: the recording, and of it what avis segment writes, when the stream ends.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a recording that is there.", rich_help_panel=WRITTEN)
    ] = False,
    in_window: Annotated[
        bool, typer.Option("--window", help="Show it in a window; q closes it.", rich_help_panel=WRITTEN)
    ] = False,
    publish: Annotated[
        str | None,
        typer.Option(
            "--publish", metavar="URL", rich_help_panel=WRITTEN,
            help="Send picture with masks, and sound, to an rtsp, rtmp, srt, tcp or udp address.",
        ),
    ] = None,
    offline: Offline = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Say which objects sound in a live picture, from what has been seen and heard so far."""
    if list_devices:
        _list_devices(source)
        return
    if source is None:
        raise UsageError("no source", hint="give one such as camera:0, or --list to see what there is")
    if masks is not None and not as_json:
        raise UsageError("--masks without --json", hint="give both, or neither")
    if overwrite and record is None:
        raise UsageError("--overwrite without --record")
    _require_use(source, options, realtime=realtime, no_reconnect=no_reconnect, max_latency=max_latency)
    wanted = _Wanted(as_json, "rle" if masks is None else masks.value, serve, record, overwrite, in_window, publish)
    if not wanted.draws:
        _require_no_look(options)
    settings = {
        "audio": audio, "threshold": options.threshold, "gate": options.gate, "fps": options.fps, "confirm": confirm,
        "max_latency": max_latency, "duration": duration, "realtime": realtime, "reconnect": not no_reconnect,
        "masks": wanted.draws or (as_json and wanted.masks != "none"),
    }  # fmt: skip
    asked = _asked(settings)
    _require_outputs(wanted)
    _run(source, model, device, options, asked, wanted, offline)


def _require_use(
    source: str, options: SegmentOptions, *, realtime: bool, no_reconnect: bool, max_latency: float | None
) -> None:
    """Refuse what would be without effect on this kind of source."""
    from avis_cli.media.live_address import parse_address

    is_live = parse_address(source).is_live
    if is_live and realtime:
        raise UsageError("--realtime with a source that is live already", hint="leave it out")
    if not is_live and no_reconnect:
        raise UsageError("--no-reconnect with a source that is read once", hint="leave it out")
    if not is_live and not realtime and max_latency is not None:
        raise UsageError("--max-latency with a source of which nothing is left out", hint="give --realtime too")


def _require_no_look(options: SegmentOptions) -> None:
    """Refuse how masks are to look where none are drawn."""
    for name in LOOK_SETTINGS:
        if getattr(options, name) != getattr(SegmentOptions, name):
            raise UsageError(
                f"{flag_given(name, getattr(options, name))} where nothing is drawn",
                hint="give --serve, --record, --publish or --window too",
            )


def _list_devices(source: str | None) -> None:
    from avis_cli.media.live_address import list_devices

    if source is not None:
        raise UsageError("--list with a source", hint="give one of them")
    devices = list_devices()
    for line in devices:
        console.result(line)
    if not devices:
        console.note("no camera and no microphone was found")


def _asked(settings: dict[str, Any]) -> StreamOptions:
    """The settings of the stream; a UsageError that names flags where they cannot be."""
    from avis_cli.stream import StreamOptions

    try:
        return StreamOptions(**settings)
    except OptionError as error:
        raise error.renamed(flag) from None


def _require_outputs(wanted: _Wanted) -> None:
    """Refuse outputs that cannot be, before anything is loaded."""
    if wanted.publish is not None:
        from avis_cli.media.live_encode import published_format

        published_format(wanted.publish)
    if wanted.serve is not None:
        from avis_cli.serve.page import split_address

        split_address(wanted.serve)
    if wanted.window:
        _require_window()


def _run(
    source: str,
    model: str,
    device: str,
    options: SegmentOptions,
    asked: StreamOptions,
    wanted: _Wanted,
    offline: bool,
) -> None:
    from avis_cli.inference.loading import load_model
    from avis_cli.stream import Stream

    loaded = load_model(model, device=device, precision=options.precision, offline=offline)
    sinks = _Sinks(wanted, options)
    live = Stream(source, loaded, asked, sinks.event)
    with ExitStack() as opened:
        opened.enter_context(_stopping(live))
        opened.enter_context(live)
        sinks.open(live)
        try:
            for frame in live.frames():
                if not sinks.frame(frame):
                    break
        except BaseException:
            sinks.close(live, complete=not isinstance(sys.exc_info()[1], KeyboardInterrupt))
            raise
        sinks.close(live, complete=True)


@contextmanager
def _stopping(live: Stream) -> Iterator[None]:
    """The first Ctrl-C, or a request to stop, ends the stream as its own end would, with all that belongs to it; the
    second ends the program."""
    asked = 0

    def stop(number: int, frame: object) -> None:
        nonlocal asked
        asked += 1
        if asked > 1:
            raise KeyboardInterrupt
        live.stop()

    before = {}
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            try:
                before[name] = signal.signal(getattr(signal, name), stop)
            except ValueError:  # not the main thread: no signal comes here
                break
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


@dataclass
class _Sinks:
    """Everything that frames and events go to."""

    wanted: _Wanted
    options: SegmentOptions
    page: LivePage | None = None
    recorder: Recorder | None = None
    encoder: LiveEncoder | None = None
    status: _Status = field(default_factory=lambda: _Status())
    _sent: float | None = None

    def open(self, live: Stream) -> None:
        self._live = live
        from avis_cli.live.json_lines import JsonLines
        from avis_cli.live.painter import live_style
        from avis_cli.media.live_encode import published_format

        self.lines = JsonLines(sys.stdout, self.wanted.masks) if self.wanted.as_json else None  # type: ignore[arg-type]
        self._style = live_style(self.options.draw)
        if self.wanted.publish is not None:
            self._format = published_format(self.wanted.publish)
        if self.wanted.record is not None:
            from avis_cli.live.recording import Recorder

            self.recorder = Recorder(
                self.wanted.record, live, self.options, overwrite=self.wanted.overwrite, on_failure=_recording_failed
            )
        if self.wanted.serve is not None:
            from avis_cli.serve.page import LivePage, split_address

            host, port = split_address(self.wanted.serve)
            self.page = LivePage(host, port, title=live.address.shown)
            self.page.start()
            console.note(f"watch it on {self.page.url}")

    def event(self, event: StreamEvent) -> None:
        if getattr(self, "lines", None) is not None:
            self.lines.event(event)  # type: ignore[union-attr]
        if self.page is not None:
            self.page.event(event.name, {"t": event.time, **event.values})
        self.status.hide()
        if event.name == "start":
            console.note(_beginning(event))
        elif event.name in ("gap", "reconnect"):
            values = ", ".join(f"{key} {value}" for key, value in event.values.items())
            console.warn(f"{event.time:.1f} s: {event.name} ({values})")
        elif event.name in ("track_new", "track_end") and self.lines is None:
            verb = "sounds" if event.name == "track_new" else "is gone"
            console.note(f"{event.time:.1f} s: {event.values['label']} {event.values['id']} {verb}")

    def frame(self, frame: LiveFrame) -> bool:
        """False where somebody closed the window."""
        if self.lines is not None:
            self.lines.frame(frame.result)
        if self.recorder is not None:
            self.recorder.frame(frame)
        self.status.add(frame)
        goes_on = True
        if self.page is not None or self.wanted.window or self.wanted.publish is not None:
            goes_on = self._show(frame)
        self.status.show()
        return goes_on

    def _show(self, frame: LiveFrame) -> bool:
        from avis_cli.live.painter import paint

        picture = paint(frame.image, frame.result, self._style)
        if self.page is not None:
            self.page.frame(picture, frame.result, levels=frame.levels, metrics=self.status.metrics())
        if self.wanted.publish is not None:
            self._publish(picture, frame)
        return not self.wanted.window or _shown_in_window(picture)

    def _publish(self, picture: Any, frame: LiveFrame) -> None:
        from avis_cli.media.live_encode import LiveEncoder

        assert self.wanted.publish is not None
        if self.encoder is None:
            size = picture.shape[0], picture.shape[1]
            self.encoder = LiveEncoder(self.wanted.publish, self._format, size, has_sound=bool(self._live.has_sound))
        time = frame.result.time
        sound = self._live.sound
        begin = time if self._sent is None else self._sent
        self.encoder.write(picture, time, sound.between(begin, time), sound.rate)
        self._sent = time

    def close(self, live: Stream, *, complete: bool) -> None:
        """Complete what was written, or leave nothing of it."""
        self.status.hide()
        if self.encoder is not None:
            self.encoder.close()
        if self.page is not None:
            self.page.close()
        if self.recorder is None:
            return
        if not complete:
            self.recorder.discard()
            return
        with progress_bar(None) as progress:
            folder = self.recorder.finish(progress, console.warn)
        if folder is None:
            console.warn("nothing was recorded: there was no picture")
        elif self.lines is None:
            console.result(str(folder))


def _recording_failed(error: OutputError) -> None:
    console.warn(f"the recording ends here: {error}")


def _beginning(event: StreamEvent) -> str:
    values = event.values
    begin, end = values["hears"]
    hears = "no sound: nothing can be heard" if not values["sound"] else f"a frame hears from {begin:+g} to {end:+g} s"
    lead = "; before a second has passed the rest is silence" if values["sound"] else ""
    return f"{values['source']}: {values['width']}x{values['height']}, {hears}{lead}"


class _Status:
    """One line on a terminal: frames a second in and out, dropped, latency, tracks."""

    def __init__(self) -> None:
        self._latencies: deque[float] = deque(maxlen=_KEPT_LATENCIES)
        self._times: deque[float] = deque(maxlen=_KEPT_LATENCIES)
        self._incoming: deque[int] = deque(maxlen=_KEPT_LATENCIES)
        self._dropped = self._tracks = 0
        self._shown = 0.0
        self._drawn = False

    def add(self, frame: LiveFrame) -> None:
        result = frame.result
        self._times.append(clock.monotonic())
        self._incoming.append(1 + result.dropped)
        self._dropped += result.dropped
        self._tracks = sum(track.sounding for track in result.tracks)
        if result.latency is not None:
            self._latencies.append(result.latency.total)

    def metrics(self) -> dict[str, float]:
        span = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
        if span <= 0:
            return {}
        outgoing = (len(self._times) - 1) / span
        return {"frames_per_second": outgoing, "source_frames_per_second": (sum(self._incoming) - 1) / span}

    def show(self) -> None:
        now = clock.monotonic()
        if not console.draws() or now - self._shown < _STATUS_SECONDS or len(self._times) < 2:
            return
        self._shown, rates = now, self.metrics()
        ordered = sorted(self._latencies)
        median, late = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        sys.stderr.write(
            f"\r\x1b[K{rates.get('source_frames_per_second', 0):.1f} in, {rates.get('frames_per_second', 0):.1f} out a "
            f"second, {self._dropped} dropped, latency {median:.0f} ms (95 % under {late:.0f}), {self._tracks} sounding"
        )
        sys.stderr.flush()
        self._drawn = True

    def hide(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def _require_window() -> None:
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise UsageError("--window without a display", hint="--serve 8080 shows it in a browser")


def _shown_in_window(picture: Any) -> bool:
    """Show it; False once the window is closed or q was pressed."""
    import cv2

    try:
        cv2.imshow("avis", picture[..., ::-1])
        pressed = cv2.waitKey(1) & 0xFF
        return pressed not in (ord("q"), 27) and cv2.getWindowProperty("avis", cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error as error:
        raise UsageError(
            "this OpenCV shows no windows", hint="install opencv-python (not -headless), or use --serve"
        ) from error
