"""Detections of frame after frame -> tracks, by how alike their tokens are (MinVIS, Huang et al., NeurIPS 2022,
section 3.2)."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from pycocotools import mask as coco
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import PredictedTrack
from baselines.detections import Detection

ALIKE = 0.5  # cosine of two tokens from which they may be one object

Trail = dict[int, Detection]
"""An object's detections by frame, in rising order."""


def linked_by_appearance(frames: list[list[Detection]]) -> list[Trail]:
    """Each frame's detections go to the trails whose latest tokens they resemble most, one to one; what resembles none
    begins a trail of its own. A trail is never given up: an object may come back at any time."""
    trails: list[Trail] = []
    for number, found in enumerate(frames):
        taken: set[int] = set()
        if trails and found:
            latest = np.stack([trail[max(trail)].token for trail in trails])
            cosine = latest @ np.stack([detection.token for detection in found]).T
            for row, column in zip(*linear_sum_assignment(cosine, maximize=True), strict=True):
                if cosine[row, column] >= ALIKE:
                    trails[row][number] = found[column]
                    taken.add(int(column))
        trails += [{number: detection} for column, detection in enumerate(found) if column not in taken]
    return trails


def as_tracks(trails: list[Trail], length: int) -> list[PredictedTrack]:
    """Trails through ``length`` frames as the evaluation takes them: the category that scores most over the trail, and
    the mean score of its detections."""
    return [_as_track(entry, trail, length) for entry, trail in enumerate(trails)]


def _as_track(entry: int, trail: Trail, length: int) -> PredictedTrack:
    votes: dict[int, float] = defaultdict(float)
    for detection in trail.values():
        votes[detection.category] += detection.score
    masks = [
        dict(coco.encode(np.asfortranarray(trail[frame].mask, dtype=np.uint8))) if frame in trail else None
        for frame in range(length)
    ]
    score = float(np.mean([detection.score for detection in trail.values()]))
    return PredictedTrack(entry, max(votes, key=lambda category: votes[category]) + 1, score, masks)
