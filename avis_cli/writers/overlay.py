"""``overlay.mp4``: the clip with the result drawn over it and its own sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from avis_cli.errors import MediaError
from avis_cli.media.clip import SAMPLE_RATE, ClipInfo, Frame, Waveform
from avis_cli.media.decode import DEFAULT_MAX_PIXELS, FrameReader, read_waveform
from avis_cli.media.encode import write_video
from avis_cli.media.prefetch import ahead
from avis_cli.progress import Progress, silent
from avis_cli.results.clip import ClipResult
from avis_cli.writers.draw import Painter
from avis_cli.writers.style import DrawStyle

_MAX_SAMPLES = 1 << 21  # of a waveform that is only looked at: two minutes at the full rate, 8 MB
_MIN_RATE = 1000  # Hz
_ROUNDING = Fraction(1, 10**6)  # seconds; JSON times are floats, those of frames are exact


def write_overlay(
    path: Path,
    result: ClipResult,
    frames: Iterable[Frame],
    clip: ClipInfo,
    *,
    waveform: Waveform | None = None,
    source: str | os.PathLike[str] | None = None,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    style: DrawStyle = DrawStyle(),
    progress: Progress = silent,
) -> None:
    """Draw ``result`` over every frame and write the video to ``path``.

    ``frames``: the clip's pictures from ``start`` to ``end`` (seconds on its clock), each drawn with the mask frame on
    screen at its time. ``waveform``: what the timeline shows; ``source``: the file whose sound is taken along, none
    if None; ``style``: how the result is drawn. Raises OutputError or MediaError.
    """
    # a container's duration is a guess: the timeline holds at least what the result has
    duration = max(float(clip.duration), result.times[-1] if result.times else 0.0)
    last = duration if end is None else min(float(end), duration)
    painter = Painter(result, span=(float(start), last), waveform=waveform, style=style)

    def painted() -> Generator[Frame, None, None]:
        for frame in frames:
            yield replace(frame, image=painter.paint(frame.image, float(frame.time)))

    with closing(ahead(painted())) as drawn:
        write_video(path, drawn, clip, source=source, start=start, end=end, progress=progress)


def overlay_clip(
    path: Path,
    result: ClipResult,
    source: str | os.PathLike[str],
    clip: ClipInfo,
    *,
    until: Fraction | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    style: DrawStyle = DrawStyle(),
    progress: Progress = silent,
    warn: Callable[[str], None],
) -> None:
    """``write_overlay`` of a file, from its own frames and sound, for the part of it that the result speaks about.

    ``until``: seconds where that part ends at the latest; a result alone does not tell how long its last mask frame
    stays. ``style``: how the result is drawn. ``warn`` is told in a line each what could not be decoded.
    """
    start, end = overlay_span(result, clip)
    end = min((time for time in (end, until) if time is not None), default=None)
    waveform = None
    try:
        if style.strip:
            waveform = overlay_waveform(source, clip, start=start, end=end)
    except MediaError as error:
        warn(f"the timeline has no waveform: {error}")
    with FrameReader(source, clip, start=start, end=end, max_pixels=max_pixels) as frames:
        write_overlay(
            path, result, frames, clip, waveform=waveform, source=source, start=start, end=end,
            style=style, progress=_counted(progress, clip, start, end),
        )  # fmt: skip
        for warning in frames.warnings:
            warn(warning)


def _counted(progress: Progress, clip: ClipInfo, start: Fraction, end: Fraction | None) -> Progress:
    """``progress`` told about how many frames there will be, as far as the file's headers can be believed."""
    seconds = min(clip.duration if end is None else end, clip.duration) - start
    expected = None if clip.frame_rate is None else max(1, round(seconds * clip.frame_rate))

    def report(phase: str, done: int, total: int | None) -> None:
        progress("drawing the overlay", done, expected)

    return report


def overlay_waveform(
    path: str | os.PathLike[str], clip: ClipInfo, *, start: Fraction = Fraction(0), end: Fraction | None = None
) -> Waveform | None:
    """A clip's sound for the timeline, None if it has none: of a long clip at a lower rate, to bound its memory."""
    if clip.audio is None:
        return None
    seconds = max(float((end or clip.duration) - start), 1.0)
    rate = int(min(max(_MAX_SAMPLES / seconds, _MIN_RATE), SAMPLE_RATE))
    return read_waveform(path, clip, start=start, end=end, rate=rate)


def overlay_span(result: ClipResult, clip: ClipInfo) -> tuple[Fraction, Fraction | None]:
    """(start, end) in seconds of the part of the clip that the result speaks about; end None: to the clip's end."""
    if not result.times:
        return Fraction(0), None
    start = max(Fraction(result.times[0]) - _ROUNDING, Fraction(0))
    return start, Fraction(result.end) if result.end < clip.duration else None
