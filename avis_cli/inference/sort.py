"""SORT: boxes followed by a Kalman filter of constant velocity and assigned by overlap (Bewley et al., ICIP 2016)."""

from __future__ import annotations

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

Box = NDArray[np.float64]
"""Left, top, right and bottom in pixels, (4,)."""


class Boxed(Protocol):
    """What is seen in one frame. ``category``: two of different ones are never the same object."""

    @property
    def category(self) -> int: ...

    def box(self) -> Box:
        """The box around it."""
        ...


Seen = TypeVar("Seen", bound=Boxed)

OVERLAP = 0.3  # IoU of a box with a predicted one from which they may be one object
PATIENCE = 1  # frames that a trail is followed without being seen

State = NDArray[np.float64]
"""Centre x and y, area, aspect (pixels), and the velocities of the first three per frame: (7,)."""

_MOTION = np.eye(7) + np.diag([1.0, 1.0, 1.0], k=4)
_SEEN = np.eye(4, 7)
_SEEING_NOISE = np.diag([1.0, 1.0, 10.0, 10.0])
_MOTION_NOISE = np.diag([1.0, 1.0, 1.0, 1.0, 0.01, 0.01, 0.0001])
_FIRST_DOUBT = np.diag([10.0, 10.0, 10.0, 10.0, 1e4, 1e4, 1e4])  # nothing is known of velocities at first


class BoxFilter:
    """Where one box is believed to be."""

    def __init__(self, box: Box) -> None:
        self._state: State = np.concatenate([_measured(box), np.zeros(3)])
        self._doubt = _FIRST_DOUBT.copy()

    def predict(self) -> Box:
        """One frame on; the box that is expected there."""
        if self._state[2] + self._state[6] <= 0:
            self._state[6] = 0.0  # an area cannot shrink below nothing
        self._state = _MOTION @ self._state
        self._doubt = _MOTION @ self._doubt @ _MOTION.T + _MOTION_NOISE
        return _box(self._state)

    def correct(self, box: Box) -> None:
        """It was seen here."""
        gain = self._doubt @ _SEEN.T @ np.linalg.inv(_SEEN @ self._doubt @ _SEEN.T + _SEEING_NOISE)
        self._state = self._state + gain @ (_measured(box) - _SEEN @ self._state)
        self._doubt = (np.eye(7) - gain @ _SEEN) @ self._doubt


def linked_by_sort(frames: list[list[Seen]]) -> list[dict[int, Seen]]:
    """Trails, by frame in rising order: what is seen goes to the trail whose predicted box it overlaps most, one to one
    within a category."""
    trails: list[dict[int, Seen]] = []
    filters: dict[int, BoxFilter] = {}  # of the trails that are still followed
    for number, found in enumerate(frames):
        followed = list(filters)
        expected = [filters[trail].predict() for trail in followed]
        taken = _assign(number, found, followed, expected, trails, filters)
        for column in set(range(len(found))) - taken:
            filters[len(trails)] = BoxFilter(found[column].box())
            trails.append({number: found[column]})
        filters = {trail: one for trail, one in filters.items() if number - max(trails[trail]) <= PATIENCE}
    return trails


def _assign(
    number: int,
    found: list[Seen],
    followed: list[int],
    expected: list[Box],
    trails: list[dict[int, Seen]],
    filters: dict[int, BoxFilter],
) -> set[int]:
    """Detections of frame ``number`` that continue a trail."""
    taken: set[int] = set()
    if not found or not followed:
        return taken
    overlaps = np.array([[box_iou(box, detection.box()) for detection in found] for box in expected])
    same = np.array([[trails[t][max(trails[t])].category == d.category for d in found] for t in followed])
    overlaps *= same
    for row, column in zip(*linear_sum_assignment(overlaps, maximize=True), strict=True):
        if overlaps[row, column] >= OVERLAP:
            trails[followed[row]][number] = found[column]
            filters[followed[row]].correct(found[column].box())
            taken.add(int(column))
    return taken


def box_iou(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    common = float(np.prod(np.clip(sides, 0.0, None)))
    union = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - common
    return common / union if union > 0 else 0.0


def _measured(box: Box) -> State:
    width, height = box[2:] - box[:2]
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, width * height, width / height])


def _box(state: State) -> Box:
    width = float(np.sqrt(max(state[2] * state[3], 0.0)))
    height = state[2] / width if width > 0 else 0.0
    return np.array([state[0] - width / 2, state[1] - height / 2, state[0] + width / 2, state[1] + height / 2])
