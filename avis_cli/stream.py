"""The live pipeline: a camera, an address, a pipe or a file -> what sounds in it, frame by frame, as it goes on.

The clock is the sound's. At a token frame the model hears the second that ends at the picture (or later, by its
``sound_lookahead``) and says which objects sound; until the next one their masks follow the picture.
"""

from __future__ import annotations

import os
import threading
import time as clock
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from types import TracebackType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avis_cli.errors import MediaError, UsageError
from avis_cli.inference.clip_frames import network_size, shrink
from avis_cli.inference.intra_op import threads_for
from avis_cli.inference.loading import load_model
from avis_cli.inference.model import Model
from avis_cli.inference.online import DrawnTrack, Told, draw, frame_result
from avis_cli.media.live import LivePicture, LiveSource
from avis_cli.media.live_address import parse_address, parse_sound_address
from avis_cli.media.live_sound import SoundRing
from avis_cli.models.tokens import OnlineFrame
from avis_cli.options import OptionError, SegmentOptions
from avis_cli.results.frame import FrameResult, Latency

__all__ = ["LiveFrame", "SourceLostError", "Stream", "StreamEvent", "StreamOptions", "stream"]

FIRST_WAIT, LONGEST_WAIT = 1.0, 30.0
"""Seconds before a lost source is opened again: 1, 2, 4 and so on up to 30."""
DRIFT_WORTH_A_WORD = 0.04  # seconds


class SourceLostError(MediaError):
    """A live source that broke off, or could not be opened, and is not opened again."""

    exit_code = 4


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """How a source is read and what is told of it.

    ``audio``: where the sound comes from, if not with the picture. ``threshold``, ``gate``, ``fps``: as
    ``SegmentOptions`` has them. ``masks``: whether masks are drawn. ``confirm``: token frames that an object has to
    sound in before it is told. ``max_latency``: milliseconds; older pictures are left out. ``duration``: seconds of the
    source after which to stop. ``realtime``: hold a file back to its own speed and treat it as live. ``reconnect``:
    whether a source that breaks off is opened again.
    """

    audio: str | None = None
    threshold: float = SegmentOptions.threshold
    gate: bool | None = None
    fps: Fraction | float | None = None
    masks: bool = True
    confirm: int = 0
    max_latency: float | None = None
    duration: float | None = None
    realtime: bool = False
    reconnect: bool = True

    def __post_init__(self) -> None:
        for name, value, fits, expected in (
            ("threshold", self.threshold, 0 <= self.threshold <= 1, "0 to 1"),
            ("fps", self.fps, self.fps is None or 0 < self.fps <= 1000, "more than 0 and at most 1000"),
            ("confirm", self.confirm, 0 <= self.confirm <= 1000, "0 to 1000 token frames"),
            ("max_latency", self.max_latency, self.max_latency is None or self.max_latency > 0, "more than 0 ms"),
            ("duration", self.duration, self.duration is None or self.duration > 0, "more than 0 seconds"),
        ):
            if not fits:
                raise OptionError({name: f"{value}"}, expected)


@dataclass(frozen=True)
class StreamEvent:
    """Something besides a frame: ``start``, ``track_new``, ``track_end``, ``gap``, ``reconnect`` or ``eof``. ``time``:
    seconds on the stream's clock; ``values``: what there is to say of it, as JSON."""

    name: str
    time: float
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class LiveFrame:
    """A picture and what was found in it. ``image`` uint8 RGB (H, W, 3); ``levels``: how loud it was since the frame
    before, 0..1."""

    image: NDArray[np.uint8]
    result: FrameResult
    levels: list[float]


OnEvent = Callable[[StreamEvent], None]


def _ignore(event: StreamEvent) -> None:
    """For callers who want no events."""


def stream(
    source: str | os.PathLike[str],
    model: Model | str | os.PathLike[str] = "seavis-tiny",
    options: StreamOptions | None = None,
    *,
    on_event: OnEvent = _ignore,
    **settings: Any,
) -> Stream:
    """The objects that sound in a live source, one ``FrameResult`` after another.

    ``source``: ``camera:0`` or a device's path, an rtsp, rtmp, srt, tcp, udp or http(s) address, ``lavfi:GRAPH``, ``-``
    for standard input, or a file. ``model``: an online one. ``settings``: those of ``StreamOptions``. ``on_event`` is
    told what else happens. Use it in a ``with`` block, which closes the source. Raises UsageError for a model that is
    not online and settings that cannot be, MediaError (SourceLostError) where the source is lost for good.
    """
    try:
        options = replace(options or StreamOptions(), **settings)
    except TypeError as error:
        raise UsageError(f"no such setting of a stream ({error})", hint="StreamOptions says what there is") from None
    if isinstance(model, str | os.PathLike):
        model = load_model(model)
    return Stream(os.fspath(source), model, options, on_event)


class Stream:
    """Iterate over it for ``FrameResult``s, or over ``frames()`` for the pictures too. ``has_sound``: whether the
    source has sound, None before it was opened; ``restarts``: times that it was opened again."""

    def __init__(self, source: str, model: Model, options: StreamOptions, on_event: OnEvent = _ignore) -> None:
        if not model.is_online:
            raise UsageError(
                f"{model.name} sees clips whole, a stream has no end", hint="take an online model such as seavis-tiny"
            )
        self.address = parse_address(source)
        self._audio = None if options.audio is None else parse_sound_address(options.audio)
        self.model, self.options = model, options
        self.sound = SoundRing()
        self.has_sound: bool | None = None
        self.restarts = 0
        self._on_event = on_event
        self._tracker = _Tracker(model, options)
        self._connection: LiveSource | None = None
        self._closed = self._stopped = False
        self._time = 0.0

    def __iter__(self) -> Iterator[FrameResult]:
        for frame in self.frames():
            yield frame.result

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """End the stream as its own end would, with its events; returns at once and may be called anywhere."""
        self._stopped = True
        if self._connection is not None:
            self._connection.stop()

    def close(self) -> None:
        """Close the source; the iteration ends."""
        self._closed = self._stopped = True
        if self._connection is not None:
            self._connection.close()

    def frames(self) -> Iterator[LiveFrame]:
        """Every frame that is processed, until the source ends or is closed, or ``duration`` is over."""
        index = 0
        try:
            while not self._stopped:
                connection = self._open(index)
                if connection is None:
                    break
                error = None
                try:
                    yield from self._of(connection)
                except MediaError as lost:
                    error = lost
                finally:
                    index = connection.count
                    connection.close()
                if not self.address.is_live and error is not None:
                    raise error
                if self._stopped or self._is_over() or not self.address.is_live:
                    break
                cause = "the source ended" if error is None else error.cause
                if not self.options.reconnect:
                    hint = "without --no-reconnect it is waited for"
                    raise SourceLostError(cause, hint=hint, file=self.address.shown)
                self._tell("gap", self._time, cause=cause)
                self.restarts += 1
            if not self._closed:
                self._tracker.end(self._tell, self._time)
                self._tell("eof", self._time, frames=index)
        finally:
            self.close()

    def _open(self, index: int) -> LiveSource | None:
        """The source, opened; where it was there before it is tried again and again. None where closed. The time that
        this takes is a gap in the stream's."""
        begun, pause, tries = clock.monotonic(), FIRST_WAIT, 0
        while not self._stopped:
            if self.restarts:
                _sleep(pause, lambda: self._stopped)
                pause = min(2 * pause, LONGEST_WAIT)
            tries += 1
            begin = self._time + (clock.monotonic() - begun if self.restarts else 0.0)
            try:
                self._connection = self._opened(begin, index)
            except MediaError:
                if not self.restarts:  # what was never there is rather misspelt than late
                    raise
                continue
            if self.restarts:
                self._tell("reconnect", begin, tries=tries)
            return self._connection
        return None

    def _opened(self, begin: float, index: int) -> LiveSource | None:
        """In a thread of its own: a source may take its time, and a request to stop is heard meanwhile."""
        opening: Future[LiveSource] = Future()

        def work() -> None:
            try:
                opening.set_result(
                    LiveSource(
                        self.address,
                        audio=self._audio,
                        sound=self.sound,
                        begin=begin,
                        first_index=index,
                        lookahead=float(self.model.config.sound_lookahead),
                        paced=self.options.realtime,
                    )
                )
            except BaseException as error:
                opening.set_exception(error)

        threading.Thread(target=work, name="opening", daemon=True).start()
        while not self._stopped:
            if wait([opening], 0.1).done:
                return opening.result()
        opening.add_done_callback(_close_late)
        return None

    def _of(self, connection: LiveSource) -> Iterator[LiveFrame]:
        """The frames of one connection."""
        is_first, told_drift, jumps = True, False, 0
        before = self._time
        for picture in connection.pictures():
            if is_first:
                self.has_sound = connection.has_sound
                if not self.restarts:
                    self._start_event(picture)
                is_first = False
            limit = self.options.max_latency
            if limit is not None and connection.drops and 1000 * (picture.taken - picture.arrived) > limit:
                self._tracker.left_out += 1 + picture.dropped
                continue
            if connection.jumps > jumps:
                jumps = connection.jumps
                self._tell("gap", picture.time, cause="a clock of the source was set anew")
            if not told_drift and abs(connection.drift) > DRIFT_WORTH_A_WORD:
                told_drift = True
                cause = f"picture and sound drift apart: corrected by {connection.drift:.3f} s"
                self._tell("gap", picture.time, cause=cause)
            with threads_for(self.model):
                result = self._tracker.process(picture, self.sound, self._tell)
            self._time = picture.time
            yield LiveFrame(picture.image, result, self.sound.levels(before, picture.time))
            before = picture.time
            if self._is_over():
                return

    def _is_over(self) -> bool:
        return self.options.duration is not None and self._time >= self.options.duration

    def _start_event(self, picture: LivePicture) -> None:
        config = self.model.config
        height, width = picture.image.shape[:2]
        self._tell(
            "start", picture.time, source=self.address.shown, model=self.model.name, width=width, height=height,
            sound=bool(self.has_sound), hears=[config.sound_lookahead - 1, config.sound_lookahead],
            token_fps=float(self._tracker.fps), categories=list(config.categories),
        )  # fmt: skip

    def _tell(self, name: str, time: float, **values: Any) -> None:
        self._on_event(StreamEvent(name, time, values))


class _Tracker:
    """The model on its way through the pictures."""

    def __init__(self, model: Model, options: StreamOptions) -> None:
        self._model, self._options = model, options
        self.fps = Fraction(model.config.fps if options.fps is None else options.fps).limit_denominator(10**6)
        self.left_out = 0
        self._state = model.start()
        self._told = Told(options.threshold)
        self._last: float | None = None  # time of the last token frame
        self._current: OnlineFrame | None = None
        self._heard: dict[int, int] = {}  # token frames in which each object has sounded
        self._alive: dict[int, str] = {}

    def process(self, picture: LivePicture, sound: SoundRing, tell: Callable[..., None]) -> FrameResult:
        """What is in a picture; a token frame if one is due."""
        size = picture.image.shape[0], picture.image.shape[1]
        config = self._model.config
        if self._is_due(picture.time):
            small = shrink(picture.image, network_size(*size, config.short_side, config.long_side))
            self._look(small, picture.time, sound, tell)
            features = None if self._current is None else self._current.mask_features
            drawn = self._drawn(features, size)
            self._tell_tracks(drawn, picture.time, tell)
        elif self._shows():
            small = shrink(picture.image, network_size(*size, config.short_side, config.long_side))
            drawn = self._drawn(self._model.mask_features(small[None])[0], size)
        else:
            drawn = []
        assert self._current is not None
        shown = [one for one in drawn if self._is_told(one.track.id)]
        frame = replace(self._current, tracks=tuple(t for t in self._current.tracks if self._is_known(t.id)))
        result = frame_result(frame, shown, config.categories, time=picture.time, index=picture.index)
        if not self._options.masks:
            result = replace(result, tracks=tuple(replace(track, mask=None) for track in result.tracks))
        done = clock.monotonic()
        steps = (picture.arrived, picture.decoded, picture.taken, done)
        capture, queue, computing = (1000 * (after - before) for before, after in pairwise(steps))
        latency = Latency(capture, queue, computing, 1000 * (done - picture.arrived))
        dropped, self.left_out = picture.dropped + self.left_out, 0
        return replace(result, latency=latency, wall=picture.wall, dropped=dropped)

    def end(self, tell: Callable[..., None], time: float) -> None:
        """The objects that were still there when the stream ended."""
        for id, label in sorted(self._alive.items()):
            tell("track_end", time, id=id, label=label)
        self._alive.clear()

    def _is_due(self, time: float) -> bool:
        # a picture that comes a hair before its time is still the one that was meant
        return self._last is None or time >= self._last + float(1 / self.fps) - 1e-3

    def _look(self, small: NDArray[np.uint8], time: float, sound: SoundRing, tell: Callable[..., None]) -> None:
        config = self._model.config
        life = getattr(config, "track_life", 20) / float(self.fps)
        if self._last is not None and time - self._last > life:
            # longer than anything is remembered: whatever comes is something else
            self.end(tell, time)
            self._state = self._model.start(self._state.named)
            self._told = Told(self._options.threshold)
        end = time + float(config.sound_lookahead)
        samples = torch.from_numpy(sound.between(end - 1.0, end))
        audio = self._model.embed_audio([samples], sound.rate)[0]
        self._current, self._state = self._model.observe(self._state, small, audio, time=time, gated=self._options.gate)
        self._last = time

    def _shows(self) -> bool:
        return self._options.masks and self._current is not None and any(map(self._is_told, self._told.ids))

    def _drawn(self, features: torch.Tensor | None, size: tuple[int, int]) -> list[DrawnTrack]:
        if self._current is None or features is None:
            return []
        return draw(self._current, features, size, self._model.config.size_divisor)

    def _tell_tracks(self, drawn: list[DrawnTrack], time: float, tell: Callable[..., None]) -> None:
        """After a token frame: who is told from now on, who is new, who is gone."""
        assert self._current is not None
        self._told.begin(drawn)
        names = self._model.config.categories
        for id in self._told.ids:
            self._heard[id] = self._heard.get(id, 0) + 1
        here = {track.id: names[track.category] for track in self._current.tracks}
        for id in sorted(self._told.ids):
            if self._is_told(id) and id not in self._alive:
                self._alive[id] = here[id]
                tell("track_new", time, id=id, label=here[id])
        for id in [id for id in self._alive if id not in here]:
            tell("track_end", time, id=id, label=self._alive.pop(id))
        for id in [id for id in self._told.seen if id not in here]:  # what is kept must not grow with the stream
            self._heard.pop(id, None)
            del self._told.seen[id]

    def _is_told(self, id: int) -> bool:
        return id in self._told.ids and self._is_confirmed(id)

    def _is_confirmed(self, id: int) -> bool:
        return self._heard.get(id, 0) >= max(self._options.confirm, 1)

    def _is_known(self, id: int) -> bool:
        return id in self._alive


def _close_late(opening: Future[LiveSource]) -> None:
    """What opened when nobody waited for it any more."""
    if opening.exception() is None:
        opening.result().close()


def _sleep(seconds: float, is_over: Callable[[], bool]) -> float:
    """Wait, at most until ``is_over``; seconds that it took."""
    begun = clock.monotonic()
    while not is_over() and (left := begun + seconds - clock.monotonic()) > 0:
        clock.sleep(min(left, 0.1))
    return clock.monotonic() - begun
