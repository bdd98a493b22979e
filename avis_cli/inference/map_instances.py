"""Objects out of class maps: each connected piece of a class is one, followed from frame to frame by SORT.

How systems of audio-visual segmentation are compared with those that tell instances apart ("AVS + SORT").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from avis_cli.inference.segment_clip import ClipMasks
from avis_cli.inference.segment_maps import MapFrame
from avis_cli.inference.sort import Box, linked_by_sort
from avis_cli.inference.track_accumulator import TrackAccumulator
from avis_cli.results import run_length
from avis_cli.results.run_length import RunLength

SMALLEST = 0.001
"""Of the picture's pixels: 230 in 640x360. A smaller piece is noise at a map's edge and no object."""


@dataclass(frozen=True, eq=False)
class Piece:
    """A connected piece of a class in one frame. ``category``: from 0; ``corners``: its box in pixels; ``certainty``:
    the sum of its ``pixels``' probabilities."""

    category: int
    corners: tuple[int, int, int, int]
    mask: RunLength
    certainty: float
    pixels: int

    def box(self) -> Box:
        """Left, top, right and bottom."""
        return np.array(self.corners, np.float64)


def pieces(frame: MapFrame) -> Iterator[Piece]:
    """The pieces of one frame, joined by edges or corners, class by class."""
    smallest = SMALLEST * frame.labels.size
    for number in np.unique(frame.labels):
        if number == 0:
            continue
        of_class = (frame.labels == number).view(np.uint8)
        count, places, stats, _ = cv2.connectedComponentsWithStats(of_class, connectivity=8)
        for piece in range(1, count):
            left, top, width, height, area = (int(value) for value in stats[piece])
            if area < smallest:
                continue
            mask = places == piece
            certainty = float(frame.probability[mask].sum())
            corners = left, top, left + width, top + height
            yield Piece(int(number) - 1, corners, run_length.encode(mask), certainty, area)


def instances(frames: Iterable[MapFrame]) -> ClipMasks:
    """Frames one after another -> the objects in them; an object's score is the mean probability of its pixels."""
    found, seen = TrackAccumulator(), []
    times = []
    for frame in frames:
        times.append(frame.time)
        seen.append(list(pieces(frame)))
    trails = linked_by_sort(seen)
    for index, time in enumerate(times):
        here = [(number, trail[index]) for number, trail in enumerate(trails) if index in trail]
        found.add(time, [number for number, _ in here], [piece.mask for _, piece in here])
    for number, trail in enumerate(trails):
        pixels = sum(piece.pixels for piece in trail.values())
        score = sum(piece.certainty for piece in trail.values()) / pixels
        found.close([number], [next(iter(trail.values())).category], [min(score, 1.0)], [pixels])
    tracks = found.finished()
    return ClipMasks(
        times,
        [track.masks for track in tracks],
        [track.score for track in tracks],
        [track.category for track in tracks],
        None,
        None,
    )
