"""``report.html`` of a video file: what the page shows of the clip is read from the file itself."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import MediaError
from avis_cli.media.clip_info import ClipInfo
from avis_cli.media.decode import FrameReader
from avis_cli.results.clip import ClipResult
from avis_cli.writers.overlay import overlay_span, overlay_waveform
from avis_cli.writers.report.index import Summary
from avis_cli.writers.report.page import write_report
from avis_cli.writers.report.pictures import take_pictures
from avis_cli.writers.style import Palette


def report_clip(
    path: Path,
    result: ClipResult,
    clip: ClipInfo,
    *,
    overlay: str | None,
    colours: Palette | None = None,
    linked: bool = True,
    warn: Callable[[str], None],
) -> Summary:
    """``write_report`` with the sound's shape and the pictures of the file that ``clip`` describes.

    ``overlay``: name of the overlay beside the page, None if there is none; ``colours``: the overlay's; ``linked``: the
    page may lead to the file, which stays where it is. What cannot be decoded is left out of the page, and ``warn`` is
    called. Returns what an index says about the clip.
    """
    start, end = overlay_span(result, clip)
    waveform = None
    try:
        waveform = overlay_waveform(clip, start=start, end=end)
    except MediaError as error:
        warn(f"the report has no waveform: {error}")
    missing: list[MediaError] = []

    def picture_at(time: float) -> NDArray[np.uint8] | None:
        try:
            return frame_at(clip, time)
        except MediaError as error:
            missing.append(error)
            return None

    pictures = take_pictures(result, picture_at, aspect=float(clip.sample_aspect_ratio), colours=colours)
    if missing:
        warn(f"the report lacks pictures of some tracks: {missing[0]}")
    # pictures, and a video whose sound is another file's, cannot be played as they are
    source = Path(clip.file) if linked and not clip.pictures and clip.other_sound is None else None
    return write_report(
        path, result, overlay=overlay, source=source, waveform=waveform, pictures=pictures, colours=colours
    )


_ROUNDING = Fraction(1, 10**6)  # seconds; a result's times are floats, those of frames are exact


def frame_at(clip: ClipInfo, time: float) -> NDArray[np.uint8] | None:
    """The picture on screen at ``time`` seconds, uint8 RGB (H, W, 3), None where the clip has ended."""
    # a grid that starts there: its first frame is the one being shown then
    with FrameReader(clip.file, clip, rate=Fraction(1), start=Fraction(time) + _ROUNDING) as frames:
        for frame in frames:
            return frame.image
    return None
