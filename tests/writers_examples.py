"""A small result whose masks are plain boxes, for the tests of what is written from one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.source import ModelInfo, Source, SourceAudio

Box = tuple[int, int, int, int]  # left, top, right, bottom


def boxes_result(
    width: int,
    height: int,
    tracks: Sequence[Sequence[Box | None]],
    *,
    times: Sequence[float] = (0.0,),
    sounding: Sequence[tuple[float, float]] = ((0.0, 1.0),),
    duration: float = 2.0,
) -> ClipResult:
    """Track n has the n-th list of boxes, one per mask frame, and a score that falls with n."""

    def mask(box: Box | None) -> run_length.RunLength | None:
        if box is None:
            return None
        image = np.zeros((height, width), dtype=bool)
        image[box[1] : box[3], box[0] : box[2]] = True
        return run_length.encode(image)

    return ClipResult(
        source=Source("clip.mp4", width, height, 0, duration, "10/1", SourceAudio(16000, 1)),
        model=ModelInfo("avism-tiny", "avism-tiny", None, 0.3, "fp32", 1.0, 1.0),
        categories=((1, "person"), (2, "dog")),
        times=tuple(times),
        tracks=tuple(
            Track(id, 1, "person", 1 - id / 1000, [mask(box) for box in boxes], list(sounding))
            for id, boxes in enumerate(tracks, start=1)
        ),
    )
