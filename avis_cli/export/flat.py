"""Masks that may overlap as one number per pixel, for formats that know no overlap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from avis_cli.export.request import Request
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult


def flat_frames(
    result: ClipResult, numbers: Mapping[int, int], request: Request
) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """(index, labels) of every mask frame; labels uint16 (H, W), ``numbers[track id]`` or 0 where there is none.

    Where masks overlap the higher score counts (of equal ones the lower id). At the end ``request.warn`` is told how
    many pixels that cost the others.
    """
    # the higher score is laid last: on top
    rising = sorted(result.tracks, key=lambda track: (track.score, -track.id))
    lost = frames = 0
    for index in range(len(result.times)):
        labels = np.zeros((result.source.height, result.source.width), dtype=np.uint16)
        covered = 0
        for track in rising:
            mask = track.masks[index]
            if mask is not None:
                pixels = run_length.decode(mask)
                covered += int(np.count_nonzero(pixels))
                labels[pixels] = numbers[track.id]
        lost_here = covered - int(np.count_nonzero(labels))
        lost, frames = lost + lost_here, frames + (lost_here > 0)
        yield index, labels
        request.progress("masks", index + 1, len(result.times))
    if lost:
        request.warn(
            f"masks overlap, which the format cannot hold: {lost} pixels in {frames} frames went to the track with "
            "the higher score and are lost to the other"
        )
