"""One frame of a stream with its masks and labels drawn in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.frame import FrameResult
from avis_cli.results.source import ModelInfo, Source
from avis_cli.writers.draw import OverlayPainter
from avis_cli.writers.style import DrawStyle, StripPlace

_NOBODY = ModelInfo("", "", None, 0.0, "fp32", 1.0, "video")


def paint(image: NDArray[np.uint8], result: FrameResult, style: DrawStyle) -> NDArray[np.uint8]:
    """A copy of ``image``, uint8 RGB (H, W, 3), with the masks of ``result``, which are of its size; no timeline."""
    shown = [track for track in result.tracks if track.mask is not None]
    if not shown:
        return image.copy()
    height, width = image.shape[:2]
    tracks = tuple(
        Track(track.id, track.category_id, track.label, track.score, [track.mask], [(0.0, 1.0)]) for track in shown
    )
    source = Source("", width, height, 0, 1.0, None, None)
    clip = ClipResult(source, _NOBODY, tuple({t.category_id: t.label for t in shown}.items()), (0.0,), tracks)
    return OverlayPainter(clip, span=(0.0, 1.0), style=style).paint(image, 0.0)


def live_style(style: DrawStyle) -> DrawStyle:
    """``style`` without a timeline, which a stream has no end for."""
    from dataclasses import replace

    return replace(style, strip=StripPlace.none.value)
