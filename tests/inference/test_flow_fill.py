"""Masks carried by optical flow: where they come to lie, what sounds at one end only, and every frame's own time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avis_cli.inference.clip_frames import BATCH, FrameBatch, Sampling
from avis_cli.inference.flow_fill import DrawnFrame, between, carried, displacements, fill_between
from avis_cli.inference.segment_clip import ClipMasks
from avis_cli.results import run_length

SIZE = (96, 160)
SPEED = 2  # pixels a frame, to the right


def picture(shift: int) -> NDArray[np.uint8]:
    """A smooth random texture over which a brighter patch of another moves by ``shift`` pixels."""
    rng = np.random.default_rng(3)
    ground, patch = (cv2.GaussianBlur(rng.integers(0, 255, SIZE, dtype=np.uint8), (0, 0), 2.5) for _ in range(2))
    out = np.array(ground // 2)
    out[30:62, 30 + shift : 66 + shift] = 100 + patch[30:62, 30:66] // 2
    return out.astype(np.uint8)


def mask(shift: int, scale: int = 1) -> NDArray[np.bool_]:
    out = np.zeros(SIZE, bool)
    out[30:62, 30 + shift : 66 + shift] = True
    return out.repeat(scale, 0).repeat(scale, 1)


def iou(one: NDArray[np.bool_] | None, other: NDArray[np.bool_]) -> float:
    return 0.0 if one is None else float((one & other).sum() / (one | other).sum())


def test_displacements_lead_to_either_end() -> None:
    to_first, to_last = displacements([picture(SPEED * index) for index in range(5)])
    assert len(to_first) == len(to_last) == 3
    inside = mask(SPEED * 2) & mask(0) & mask(SPEED * 4)
    assert np.median(to_first[1][inside][:, 0]) == pytest.approx(-2 * SPEED, abs=0.3)
    assert np.median(to_last[0][inside][:, 0]) == pytest.approx(3 * SPEED, abs=0.5)
    assert abs(np.median(to_first[1][inside][:, 1])) < 0.3


@pytest.mark.parametrize("scale", [1, 3])
def test_a_mask_is_carried_at_its_own_size(scale: int) -> None:
    field = np.zeros((*SIZE, 2), np.float32)
    field[..., 0], field[..., 1] = -6.0, 3.0  # it was 6 pixels to the left, 3 further down
    out = carried(mask(0, scale), field) > 0.5
    expected = np.roll(mask(0, scale), (-3 * scale, 6 * scale), (0, 1))
    assert np.array_equal(out, expected)


def test_frames_between_have_the_mask_where_the_object_is() -> None:
    pictures = [picture(SPEED * index) for index in range(9)]
    first, last = DrawnFrame([mask(0)], [True]), DrawnFrame([mask(SPEED * 8)], [True])
    for index, (found,) in enumerate(between(pictures, first, last, [[True]] * 7), start=1):
        assert iou(found, mask(SPEED * index)) > 0.93
        assert iou(mask(0), mask(SPEED * index)) < iou(found, mask(SPEED * index))


def test_what_sounds_at_one_end_alone_is_carried_from_there() -> None:
    pictures = [picture(SPEED * index) for index in range(5)]
    silent, sounding = DrawnFrame([None], [False]), DrawnFrame([mask(SPEED * 4)], [True])
    found = [masks for (masks,) in between(pictures, silent, sounding, [[False], [True], [True]])]
    assert found[0] is None, "it is not heard yet"
    assert iou(found[1], mask(SPEED * 2)) > 0.9
    gone = [masks for (masks,) in between(pictures, sounding, DrawnFrame([None], [True]), [[True]] * 3)]
    assert [one is None for one in gone] == [False, True, True], "from half way on nearer to where it is out of sight"


class Moving:
    """A clip of ``count`` pictures at 10 a second."""

    def __init__(self, count: int, start: Fraction = Fraction(0)) -> None:
        self.sampling = Sampling(Fraction(1), Fraction(2), start)
        self._count, self._start = count, start

    def batches(self, rate: Fraction | None) -> Iterator[FrameBatch]:
        assert rate is None, "every picture is wanted"
        for first in range(0, self._count, BATCH):
            numbers = range(first, min(first + BATCH, self._count))
            images = np.stack([np.repeat(picture(SPEED * number)[None], 3, 0) for number in numbers])
            yield [self._start + Fraction(number, 10) for number in numbers], images

    def expected(self, rate: Fraction | None) -> int | None:
        return self._count


def found_at(times: list[Fraction], sounding: list[tuple[float, float]] | None = None) -> ClipMasks:
    masks = [run_length.encode(mask(int(SPEED * 10 * time))) for time in times]
    return ClipMasks(times, [list(masks)], [0.9], [4], None if sounding is None else [sounding])


def test_every_picture_gets_its_masks_and_the_networks_own_are_kept() -> None:
    times = [Fraction(number, 2) for number in range(3)]
    filled = fill_between(found_at(times), Moving(13))
    assert filled.times == [Fraction(number, 10) for number in range(13)]
    assert filled.drawn is not None
    assert [number for number, own in enumerate(filled.drawn) if own] == [0, 5, 10]
    (track,) = filled.masks
    assert [track[number] for number in (0, 5, 10)] == found_at(times).masks[0]
    for number, encoded in enumerate(track):
        assert encoded is not None
        assert iou(run_length.decode(encoded), mask(SPEED * number)) > 0.9, number
    assert (filled.scores, filled.classes) == ([0.9], [4])


def test_a_mask_frame_between_two_pictures_shows_the_earlier_one() -> None:
    # at 1/4 the picture of 2/10 is on screen
    filled = fill_between(found_at([Fraction(0), Fraction(1, 4)]), Moving(6))
    assert filled.drawn == [True, False, True, False, False, False]
    assert filled.times[2] == Fraction(2, 10)


def test_between_is_drawn_what_is_heard_there() -> None:
    times = [Fraction(number, 2) for number in range(3)]
    found = found_at(times, [(0.5, 0.85)])
    gated = replace(found, masks=[[None, found.masks[0][1], None]])
    filled = fill_between(gated, Moving(11))
    shown = [number for number, one in enumerate(filled.masks[0]) if one is not None]
    assert shown == [5, 6, 7, 8]
