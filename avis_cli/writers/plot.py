"""A result as one picture: who sounds when, or the clip at one moment."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from avis_cli.errors import UsageError
from avis_cli.media.clip_info import ClipInfo
from avis_cli.results.clip import ClipResult
from avis_cli.writers.draw import OverlayPainter
from avis_cli.writers.overlay import overlay_span, overlay_waveform
from avis_cli.writers.report.clip_report import frame_at
from avis_cli.writers.report.page_data import clip_span
from avis_cli.writers.style import DrawStyle, Palette, StripPlace
from avis_cli.writers.timeline import GROUND, Timeline

_SIZE = (960, 540)  # pixels of the picture whose strip this would be
_ALL = 1000.0  # of its height: every lane has room
_AXIS = 30  # pixels below the lanes
_TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)  # seconds
_MOST_TICKS = 12
_INK = (190, 196, 206)
_PLAIN = 56  # grey level where there is no clip


def timeline_picture(result: ClipResult, clip: ClipInfo | None, colours: Palette) -> Image.Image:
    """Every track's name and the intervals in which it sounds, under the waveform of ``clip`` if there is one."""
    span, waveform = clip_span(result), None
    if clip is not None:
        start, end = overlay_span(result, clip)
        waveform = overlay_waveform(clip, start=start, end=end)
    timeline = Timeline(_SIZE, result.tracks, span, waveform, colours, _ALL)
    height = timeline.layout.height
    picture = np.full((height + _AXIS, _SIZE[0], 3), GROUND, dtype=np.uint8)
    timeline.draw(picture[:height], None)
    image = Image.fromarray(picture)
    _draw_axis(ImageDraw.Draw(image), timeline, height, span)
    return image


def _draw_axis(pen: ImageDraw.ImageDraw, timeline: Timeline, top: int, span: tuple[float, float]) -> None:
    """Ticks with their seconds."""
    seconds = max(span[1] - span[0], 1e-3)
    step = next((tick for tick in _TICKS if seconds / tick <= _MOST_TICKS), seconds)
    font = ImageFont.load_default(13)
    number = int(np.ceil(span[0] / step))
    while number * step <= span[1]:
        x = round(timeline.column(number * step))
        pen.line([(x, top), (x, top + 5)], fill=_INK)
        pen.text((x, top + 8), f"{number * step:g} s", fill=_INK, font=font, anchor="mt")
        number += 1


def frame_picture(result: ClipResult, clip: ClipInfo | None, time: float, style: DrawStyle) -> Image.Image:
    """What the overlay shows at ``time`` seconds; without ``clip`` on a plain ground.

    Raises UsageError where the clip, or without it the result, has no such time.
    """
    span, waveform = clip_span(result), None
    image, end = None, span[1] if clip is None else max(float(clip.duration), span[1])
    if not 0 <= time <= end:  # not a number fails this too
        raise UsageError(f"time {time:g}, expected seconds from 0 to {end:g}")
    if clip is not None:
        image = frame_at(clip, time)
        if style.strip != StripPlace.none.value:
            first, last = overlay_span(result, clip)
            waveform = overlay_waveform(clip, start=first, end=last)
    if image is None:
        image = np.full((result.source.height, result.source.width, 3), _PLAIN, dtype=np.uint8)
    return Image.fromarray(OverlayPainter(result, span=span, waveform=waveform, style=style).paint(image, time))
