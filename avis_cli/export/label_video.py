"""``label-video``: a lossless grey video of the mask frames, whose values are the numbers of classes or tracks."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np

from avis_cli.errors import AnnotationError, OutputError
from avis_cli.export.export_request import Request
from avis_cli.export.images import flat_frames
from avis_cli.media.label_video import write_labels
from avis_cli.results.clip import ClipResult

LARGEST = 255
_CLOCK = 1_000_000  # JSON times are floats; microseconds tell all of them apart


def write(target: Path, result: ClipResult, request: Request) -> None:
    """Each mask frame at its own time: the class of each pixel, of tracks their ids, 0 for nothing.

    Raises OutputError for numbers beyond ``LARGEST``, AnnotationError for a result without mask frames.
    """
    highest = max((track.id for track in result.tracks), default=0)
    if highest > LARGEST:
        raise OutputError(
            f"track {highest} does not fit into a grey video, which tells {LARGEST} apart",
            hint="keep fewer tracks (avis segment --max-tracks or --threshold)",
        )
    if not result.times:
        raise AnnotationError("holds no mask frame, so there is nothing to show", hint="choose another clip")
    numbers = {track.id: track.id for track in result.tracks}
    times = [Fraction(round(time * _CLOCK), _CLOCK) for time in result.times]
    frames = (labels.astype(np.uint8) for _, labels in flat_frames(result, numbers, request))
    write_labels(target, frames, times)
