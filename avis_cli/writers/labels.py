"""Where the labels of one picture stand: each near its object, and none over another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avis_cli.writers.patch import Patch

Box = tuple[int, int, int, int]  # x, y, width, height in pixels


@dataclass(frozen=True, eq=False)
class PlacedLabel:
    """A label and the place of its corner in the picture."""

    patch: Patch
    x: int
    y: int

    def onto(self, image: NDArray[np.uint8]) -> None:
        """Lay it over ``image``, uint8 RGB (H, W, 3), in place."""
        self.patch.onto(image, self.x, self.y)


def place_labels(objects: Sequence[tuple[Box, Sequence[Patch]]], room: tuple[int, int], gap: int) -> list[PlacedLabel]:
    """Labels that fit, none over another.

    ``objects``, the one with the best choice of places first: its box, and what may stand there, the longest first.
    Every object gets the place of its shortest label before any gets a longer one; an object near which there is no
    room has none. ``room``: width and height that labels may take, from the picture's corner; ``gap``: pixels between
    a label and its object.
    """
    taken = np.zeros((len(objects), 4), dtype=np.int64)  # left, top, right, bottom; zeros overlap nothing
    placed: dict[int, PlacedLabel] = {}

    def put(number: int, box: Box, patch: Patch) -> bool:
        for x, y in _places(patch, box, room, gap):
            corners = x, y, x + patch.width, y + patch.height
            if not _overlaps(corners, taken):
                taken[number] = corners
                placed[number] = PlacedLabel(patch, x, y)
                return True
        return False

    for number, (box, patches) in enumerate(objects):
        if patches:
            put(number, box, patches[-1])
    for number, (box, patches) in enumerate(objects):
        if number not in placed:
            continue
        short = taken[number].copy()
        taken[number] = 0
        if not any(put(number, box, patch) for patch in patches[:-1]):
            taken[number] = short
    return list(placed.values())


def _places(patch: Patch, box: Box, room: tuple[int, int], gap: int) -> Iterator[tuple[int, int]]:
    """Corners of a label near ``box``, the best first: above it, at its top, below, beside it, at its corners."""
    x, y, width, height = box
    rightmost, lowest = room[0] - patch.width, room[1] - patch.height - gap
    if rightmost < 0 or lowest < 0:
        return
    middle, centre = x + (width - patch.width) // 2, y + (height - patch.height) // 2
    above, below = y - patch.height - gap, y + height + gap
    before, after = x - patch.width - gap, x + width + gap
    near = gap + patch.height
    for left, top in (
        (middle, above), (middle, y + gap), (middle, below), (after, centre), (before, centre), (middle, centre),
        (x, above), (x + width - patch.width, above), (x, below), (x + width - patch.width, below),
        (after, above), (before, above), (after, below), (before, below),
    ):  # fmt: skip
        left, top = min(max(left, 0), rightmost), min(max(top, min(gap, lowest)), lowest)
        beside = max(x - left - patch.width, left - x - width)
        over = max(y - top - patch.height, top - y - height)
        if max(beside, over) <= near:  # the picture's edge has not pushed it away
            yield left, top


def _overlaps(corners: tuple[int, int, int, int], taken: NDArray[np.int64]) -> bool:
    left, top, right, bottom = corners
    apart = (taken[:, 2] <= left) | (taken[:, 0] >= right) | (taken[:, 3] <= top) | (taken[:, 1] >= bottom)
    return not bool(apart.all())
