"""``overlay.mp4``: the clip with the result drawn over it and its own sound."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from avis_cli.errors import MediaError
from avis_cli.media.clip_info import SAMPLE_RATE, ClipInfo, Frame, Waveform
from avis_cli.media.decode import FrameReader, read_peaks
from avis_cli.media.encode import write_video
from avis_cli.media.prefetch import prefetch
from avis_cli.progress import Progress, silent
from avis_cli.results.clip import ClipResult
from avis_cli.writers.draw import OverlayPainter
from avis_cli.writers.style import DrawStyle, StripPlace

_MAX_SAMPLES = 1 << 21  # of a waveform that is only looked at: two minutes at the full rate, 8 MB
_MIN_RATE = 1000  # Hz
_ROUNDING = Fraction(1, 10**6)  # seconds; JSON times are floats, those of frames are exact


def overlay_clip(
    path: Path,
    result: ClipResult,
    clip: ClipInfo,
    *,
    until: Fraction | None = None,
    style: DrawStyle = DrawStyle(),
    progress: Progress = silent,
    warn: Callable[[str], None],
) -> None:
    """Draw ``result`` over the frames of the file that ``clip`` describes, and write the video with the file's sound.

    It covers the part of the clip that the result speaks about; each frame gets the mask frame on screen at its time.
    ``until``: seconds where that part ends at the latest; a result alone does not tell how long its last mask frame
    stays. ``style``: how the result is drawn. ``warn`` is called with a line for each thing that could not be decoded.
    Raises OutputError or MediaError.
    """
    start, end = overlay_span(result, clip)
    end = min((time for time in (end, until) if time is not None), default=None)
    waveform = None
    try:
        if style.strip != StripPlace.none.value:
            waveform = overlay_waveform(clip, start=start, end=end)
    except MediaError as error:
        warn(f"the timeline has no waveform: {error}")
    painter = OverlayPainter(result, span=_timeline_span(result, clip, start, end), waveform=waveform, style=style)
    with FrameReader(clip.file, clip, start=start, end=end) as frames:
        with closing(prefetch(_painted(frames, painter))) as painted:
            counted = _counted(progress, clip, start, end)
            write_video(path, painted, clip, source=clip.file, start=start, end=end, progress=counted)
        for warning in frames.warnings:
            warn(warning)


def _painted(frames: Iterable[Frame], painter: OverlayPainter) -> Generator[Frame, None, None]:
    for frame in frames:
        yield replace(frame, image=painter.paint(frame.image, float(frame.time)))


def _timeline_span(result: ClipResult, clip: ClipInfo, start: Fraction, end: Fraction | None) -> tuple[float, float]:
    """Seconds (start, end) that the timeline shows."""
    # a container's duration is a guess: the timeline holds at least what the result has
    duration = max(float(clip.duration), result.times[-1] if result.times else 0.0)
    return float(start), duration if end is None else min(float(end), duration)


def _counted(progress: Progress, clip: ClipInfo, start: Fraction, end: Fraction | None) -> Progress:
    """``progress`` with the number of frames there will be, as far as the file's headers can be believed."""
    seconds = min(clip.duration if end is None else end, clip.duration) - start
    expected = None if clip.frame_rate is None else max(1, round(seconds * clip.frame_rate))

    def report(phase: str, done: int, total: int | None) -> None:
        progress("drawing the overlay", done, expected)

    return report


def overlay_waveform(clip: ClipInfo, *, start: Fraction = Fraction(0), end: Fraction | None = None) -> Waveform | None:
    """A clip's sound for the timeline, None if it has none: of a long clip at a lower rate, to bound its memory."""
    if clip.audio is None:
        return None
    seconds = max(float((end or clip.duration) - start), 1.0)
    rate = int(min(max(_MAX_SAMPLES / seconds, _MIN_RATE), SAMPLE_RATE))
    # twice as many: the headers that the rate goes by may be wrong, and past half an hour it falls no further
    return read_peaks(clip.file, clip, start=start, end=end, rate=rate, most=2 * _MAX_SAMPLES)


def overlay_span(result: ClipResult, clip: ClipInfo) -> tuple[Fraction, Fraction | None]:
    """(start, end) in seconds of the part of the clip that the result speaks about; end None: to the clip's end."""
    if not result.times:
        return Fraction(0), None
    start = max(Fraction(result.times[0]) - _ROUNDING, Fraction(0))
    return start, Fraction(result.end) if result.end < clip.duration else None
