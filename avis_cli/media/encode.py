"""Frames and the source's own sound to an MP4 file that plays everywhere.

H.264 4:2:0 in BT.709 limited range, without B-frames: decoding order is then showing order, so that every frame keeps
its exact time in every player. The file begins at the first frame; its index stands in front of the pictures.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from fractions import Fraction
from itertools import chain, islice
from typing import Any

import av
import cv2
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from avis_cli.errors import MediaError, OutputError
from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.picture import to_limited_bt709
from avis_cli.media.soundtrack import Soundtrack, can_copy, open_soundtrack
from avis_cli.progress import Progress, silent

_CRF = "18"  # visually close to the source
_LARGEST_CLOCK = 2**31 - 1  # ticks per second that MP4 can name
_FINE_CLOCK = 90_000  # ticks per second where no common clock fits
_USUAL_STEP = Fraction(1, 25)  # seconds of the last frame where nothing tells
# of an encoder, whatever the machine has: x264 cuts a picture into as many slices, so the bytes depend on it
_THREADS = 4
_AVX_512F = 13  # CV_CPU_AVX_512F of OpenCV's cvdef.h
_BT709, _LIMITED = 1, 1  # colour description and range, ITU-T H.273


def missing_encoders() -> list[str]:
    """The encoders that ``write_video`` needs and this PyAV lacks."""
    missing = []
    for name in ("libx264", "aac"):
        try:
            av.Codec(name, "w")
        except (av.FFmpegError, ValueError):
            missing.append(name)
    return missing


def write_video(
    path: str | os.PathLike[str],
    frames: Iterable[Frame],
    clip: ClipInfo,
    *,
    source: str | os.PathLike[str] | None = None,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    progress: Progress | None = None,
) -> None:
    """Write ``frames`` (all of one size, times rising) as an H.264 MP4 file, with the sound of ``source`` if given.

    The new file's time 0 is the first frame's time, and every frame keeps its distance from it exactly, on a clock
    fine enough for the source's own timestamps; so does the sound, which is cut to the span of the pictures. Odd sizes
    are padded to even ones by repeating the last row or column. ``clip`` describes the source: its clock, its pixels'
    aspect and its sound. ``start`` and ``end`` are the span the frames were read from (``end`` bounds the last one).

    Raises MediaError without frames, OutputError where the file cannot be written; nothing is then left at ``path``.
    """
    report = progress or silent
    spans = with_durations(frames, clip, end)
    opening = list(islice(spans, 2))
    if not opening:
        raise MediaError("there is no frame to write", file=clip.file)
    if opening[0][0].time < start:
        raise ValueError(f"frames from {start} s on expected, got one at {opening[0][0].time} s")
    writer = _VideoWriter(path, clip, opening, source)
    try:
        writer.open()
        for count, (frame, duration) in enumerate(chain(opening, spans), start=1):
            writer.write(frame, duration)
            report("encode", count, None)
        writer.finish()
    except BaseException:
        writer.discard()
        raise


class _VideoWriter:
    """One new file under way."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        clip: ClipInfo,
        opening: list[tuple[Frame, Fraction]],
        source: str | os.PathLike[str] | None,
    ) -> None:
        self._path, self._clip, self._source = path, clip, source
        self._first = opening[0][0]
        self._zero = self._first.time
        self._clock = common_clock(
            clip, [span for frame, length in opening for span in (frame.time - self._zero, length)]
        )
        self._reading = ExitStack()
        self._sound: Soundtrack | None = None
        self._durations: dict[int, int] = {}  # ticks, by presentation time
        self._next = 0  # earliest tick that the next frame may have
        self._end = Fraction(0)  # seconds written so far

    def open(self) -> None:
        """Begin the file; sound that MP4 will not take after all is encoded anew."""
        has_sound = self._source is not None and self._clip.audio is not None
        copying = has_sound and can_copy(self._source or "", self._clip)
        try:
            self._begin(has_sound, copying)
        except (av.FFmpegError, ValueError):
            if not copying:
                raise
            self._reading.close()
            with suppress(Exception):
                self._out.close()
            self._begin(has_sound, False)

    def _begin(self, has_sound: bool, copying: bool) -> None:
        height, width = self._first.image.shape[:2]
        with naming_output(self._path) if not copying else nullcontext():
            # the prefix keeps FFmpeg from reading a protocol into the name
            name = "file:" + os.path.abspath(os.fsdecode(self._path))
            self._out = av.open(name, "w", format="mp4", container_options={"movflags": "+faststart"})
            self._video = _add_video(self._out, width + width % 2, height + height % 2, self._clip, self._clock)
        if has_sound and self._source is not None:
            self._sound = open_soundtrack(
                self._out, self._source, self._clip, self._zero, self._reading, copying=copying
            )
        with naming_output(self._path) if not copying else nullcontext():
            self._out.start_encoding()

    def write(self, frame: Frame, duration: Fraction) -> None:
        """One frame, and the sound up to its end."""
        image = frame.image
        if image.shape != self._first.image.shape:
            raise ValueError(f"every frame has the first one's shape {self._first.image.shape}, got {image.shape}")
        tick = max(round((frame.time - self._zero) * self._clock), self._next)
        self._end = frame.time - self._zero + duration
        self._durations[tick] = max(round(self._end * self._clock) - tick, 1)
        self._next = tick + 1
        picture = to_limited_bt709(av.VideoFrame.from_ndarray(_even(image), "rgb24"), "yuv420p")
        picture.pts, picture.time_base = tick, Fraction(1, self._clock)
        with naming_output(self._path):
            self._mux(self._video.encode(picture))
            if self._sound is not None:
                self._sound.write_until(self._end)

    def finish(self) -> None:
        """Write what is held back, and the index."""
        with naming_output(self._path):
            self._mux(self._video.encode(None))
            if self._sound is not None:
                self._sound.finish()
            self._out.close()
        self._reading.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._reading.close()
        with suppress(Exception):  # the failure that led here is the one to tell
            self._out.close()
        with suppress(OSError):
            os.unlink(self._path)

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration or 1)
            self._out.mux(packet)


def _add_video(out: OutputContainer, width: int, height: int, clip: ClipInfo, clock: int) -> Any:
    rate = clip.frame_rate or 1 / _USUAL_STEP
    options = {"crf": _CRF, "preset": "veryfast", "bf": "0", **same_bytes_x264()}
    stream: Any = out.add_stream("libx264", rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    describe_stream(stream, clip, clock)
    return stream


def same_bytes_x264() -> dict[str, str]:
    """The option of x264 that makes equal pictures equal bytes.

    With AVX-512 its macroblock tree (which spreads quality over the frames to come) gives now and then another file
    for the same pictures: up to one in six on a busy machine. Up to AVX2, or without the tree, none of 2,800 differed;
    AVX2's bytes are the usual ones of AVX-512.
    """
    return {"x264-params": "asm=AVX2"} if cv2.checkHardwareSupport(_AVX_512F) else {}


def describe_stream(stream: Any, clip: ClipInfo, clock: int) -> None:
    """Say what the pictures are (BT.709 of limited range, pixels as wide as the source's, ``clock`` ticks to a second)
    and in how many threads they are encoded."""
    context = stream.codec_context
    context.thread_count = _THREADS
    context.time_base = Fraction(1, clock)
    context.sample_aspect_ratio = clip.sample_aspect_ratio
    context.colorspace = context.color_primaries = context.color_trc = _BT709
    context.color_range = _LIMITED


def _even(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 3) padded to even height and width by repeating its last row and column."""
    height, width = image.shape[:2]
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
    return np.ascontiguousarray(image)


def with_durations(frames: Iterable[Frame], clip: ClipInfo, end: Fraction | None) -> Iterator[tuple[Frame, Fraction]]:
    """Each frame with the seconds it is shown: until the next, the last as long as it says or the clip lets guess."""
    held: Frame | None = None
    step = 1 / clip.frame_rate if clip.frame_rate else _USUAL_STEP
    for frame in frames:
        if held is not None:
            step = frame.time - held.time
            if step <= 0:
                raise ValueError(f"times of frames must rise, got {held.time} and then {frame.time}")
            yield held, step
        held = frame
    if held is None:
        return
    length = held.duration if held.duration is not None and held.duration > 0 else step
    yield held, min(length, end - held.time) if end is not None and end > held.time else length


def common_clock(clip: ClipInfo, times: list[Fraction]) -> int:
    """Ticks per second of a clock that has every given time, and every time of the source's own clock, exactly."""
    own = clip.time_base.denominator if clip.time_base is not None else 1
    for denominators in ([own, *(time.denominator for time in times)], [time.denominator for time in times], [own]):
        ticks = math.lcm(*denominators)
        if ticks <= _LARGEST_CLOCK:
            return ticks
    return _FINE_CLOCK


@contextmanager
def naming_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Tell what went wrong with the new file, not with FFmpeg."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"the video cannot be written: {error.strerror or error}", file=path) from error
