"""The frames of a clip: upright RGB, at their exact times, every one or those shown at the times of a grid."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import MediaError
from avis_cli.media import packets, picture
from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.clock import ClipClock, ShownPicture, on_grid
from avis_cli.media.container import DEFAULT_MAX_PIXELS, open_decoder, open_media, require_size
from avis_cli.media.packets import Damage
from avis_cli.media.picture import Orientation
from avis_cli.media.pictures import read_picture

USUAL_STEP = Fraction(1, 25)  # seconds between frames where nothing tells
_CUT_SHORT = Fraction(1, 2)  # seconds missing at the end that are worth a word
_SEEK_FROM = Fraction(2)  # seconds; decoding to an earlier start is cheaper than seeking
_SEEK_AHEAD = Fraction(1, 2)  # seconds before the start to look for a key frame


@dataclass(frozen=True)
class _TimedPicture:
    """A decoded picture, its clip time, and for how long the file shows it (0: unknown), in seconds."""

    picture: Any
    time: Fraction
    duration: Fraction


class FrameReader:
    """The frames of a clip, upright, with exact times; iterate once or as often as needed.

    ``rate`` None gives every frame with ``start <= time < end``. A rate gives, for each grid time ``start + k / rate``
    before ``end`` and before the last frame's own end, the frame being shown then (``timeline.on_grid`` has the rule);
    ``Frame.time`` is then the grid time, and a frame may come several times. Memory is that of a few frames, each of at
    most ``max_pixels`` (None: as many as were allowed when the clip was probed).

    During and after iteration ``failures`` counts the packets and pictures that could not be decoded, ``stopped`` says
    that eight in a row ended the reading there, and ``warnings`` holds what the user should know.
    Raises MediaError where nothing can be read between ``start`` and ``end``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clip: ClipInfo,
        *,
        rate: Fraction | None = None,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
        max_pixels: int | None = None,
    ) -> None:
        if rate is not None and rate <= 0:
            raise ValueError(f"a rate is above 0, got {rate}")
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f"0 <= start < end expected, got start {start}, end {end}")
        self._path, self._clip = path, clip
        self._max_pixels = max_pixels or clip.max_pixels or max(DEFAULT_MAX_PIXELS, clip.width * clip.height)
        self._rate = None if rate is None else Fraction(rate)
        self._start, self._end = Fraction(start), end
        self._open = ExitStack()
        self._damage = Damage()
        self.warnings: list[str] = []

    @property
    def failures(self) -> int:
        """Packets and pictures skipped so far."""
        return self._damage.failures

    @property
    def stopped(self) -> bool:
        """Whether too many failures in a row ended the reading before the end of the file."""
        return self._damage.stopped

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; iteration may begin anew."""
        self._open.close()

    def __iter__(self) -> Iterator[Frame]:
        index, time = 0, self._start
        converted: tuple[Any, NDArray[np.uint8]] | None = None
        self.warnings = []
        try:
            for shown, time, duration in self._selected():
                if converted is None or converted[0] is not shown.picture:
                    converted = shown.picture, self._image(shown.picture)
                yield Frame(converted[1], time, index, duration)
                index += 1
        finally:
            self.close()
        if self.stopped:
            self._warn(f"damaged: nothing could be decoded beyond {float(time):.3f} s, the rest is left out")
        elif self.failures:
            self._warn(f"damaged: {self.failures} frames could not be decoded and are skipped")
        if index == 0:
            raise MediaError(f"no frame at or after {float(self._start):.3f} s", hint="start earlier", file=self._path)

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _selected(self) -> Iterator[tuple[ShownPicture[Any], Fraction, Fraction]]:
        """The pictures to yield, each with the time and the duration it is yielded with."""
        if self._rate is not None:
            for shown, time in on_grid(self._shown(), self._rate, self._start, self._end):
                yield shown, time, 1 / self._rate
            return
        for shown in self._shown():
            if self._end is not None and shown.time >= self._end:
                return
            if shown.time >= self._start:
                yield shown, shown.time, shown.until - shown.time

    def _shown(self) -> Iterator[ShownPicture[Any]]:
        """Every picture from one at or before ``start`` on, with the span of time in which it is shown."""
        timed = self._timed_from_start()
        step = 1 / self._clip.frame_rate if self._clip.frame_rate else USUAL_STEP
        held = next(timed, None)
        if held is None:
            return
        for following in timed:
            step = following.time - held.time
            yield ShownPicture(held.picture, held.time, following.time)
            held = following
        until = held.time + (held.duration or step)
        if not self.stopped and until + max(2 * step, _CUT_SHORT) < self._clip.duration:
            self._warn(
                f"the pictures end at {float(until):.3f} s of {float(self._clip.duration):.3f} s: a cut-off file?"
            )
        yield ShownPicture(held.picture, held.time, until)

    def _timed_from_start(self) -> Iterator[_TimedPicture]:
        if self._start >= _SEEK_FROM:
            timed = self._timed(self._start - _SEEK_AHEAD)
            first = next(timed, None)
            if first is not None and first.time <= self._start:
                return chain([first], timed)
        # a short way, or the file's index leads too far
        return self._timed(None)

    def _timed(self, near: Fraction | None) -> Iterator[_TimedPicture]:
        """Decoded pictures with their clip times, from the beginning or from a key frame before ``near``."""
        self.close()
        self._damage = Damage()
        clip = self._clip
        if clip.pictures:
            yield from self._numbered(near or Fraction(0))
            return
        container = self._open.enter_context(
            open_media(self._path, max_pixels=self._max_pixels, identity=clip.identity)
        )
        if clip.video_stream is None or clip.video_stream >= len(container.streams):
            raise ValueError("the clip does not come from probing this file")
        stream: Any = container.streams[clip.video_stream]
        open_decoder(stream, self._path, self._max_pixels)
        tick = Fraction(stream.time_base)
        if near is not None:
            try:
                container.seek(int((clip.origin + near) / tick), stream=stream)
            except av.FFmpegError:
                return
        clock = ClipClock(clip.origin, 1 / clip.frame_rate if clip.frame_rate else USUAL_STEP)
        for frame in packets.decode(container, stream, self._damage):
            if near is not None and frame.pts is None:
                return  # without timestamps nobody knows where this is
            duration = (getattr(frame, "duration", 0) or 0) * tick
            yield _TimedPicture(frame, clock.place(packets.timestamp(frame, stream)), duration)

    def _numbered(self, near: Fraction) -> Iterator[_TimedPicture]:
        """The picture files of a folder from about ``near`` on; one that cannot be decoded leaves its place empty."""
        rate = self._clip.frame_rate or 1 / USUAL_STEP
        first = max(int(near * rate), 0)
        for number, name in enumerate(self._clip.pictures[first:], start=first):
            found = read_picture(Path(self._path, name), self._max_pixels)
            if found is None:
                self._damage.fail()
                if self._damage.stopped:
                    return
                continue
            self._damage.succeed()
            yield _TimedPicture(av.VideoFrame.from_ndarray(found[0], "rgb24"), number / rate, 1 / rate)

    def _image(self, frame: Any) -> NDArray[np.uint8]:
        """A decoded picture as an upright RGB image of the clip's size."""
        require_size(frame.width, frame.height, self._path, self._max_pixels)
        clip = self._clip
        orientation = Orientation(clip.rotation, clip.mirrored)
        width, height = (clip.height, clip.width) if orientation.transposed else (clip.width, clip.height)
        if (frame.width, frame.height) != (width, height):
            self._warn(f"the picture size changes to {frame.width}x{frame.height}: resized to {width}x{height}")
        return orientation.upright(picture.to_rgb(frame, width, height))
