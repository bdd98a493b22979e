"""Instances of one category told apart, and silence left alone."""

from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.train.validate import count_twins, share_suppressed, track_iou


def square(left: int) -> Mask:
    mask = np.zeros((10, 30), dtype=np.uint8, order="F")
    mask[2:8, left : left + 6] = 1
    return dict(coco.encode(mask))


def video(truths: list[tuple[int, list[Mask | None]]], found: list[tuple[int, list[Mask | None]]]) -> Dataset:
    return Dataset(
        [Category(1, "a"), Category(2, "b")],
        [
            Video(
                1, "v", 2, 10, 30, ["v/0.jpg", "v/1.jpg"],
                [TruthTrack(n, c, False, [None, None], masks) for n, (c, masks) in enumerate(truths)],
                [PredictedTrack(n, c, 0.9, masks) for n, (c, masks) in enumerate(found)],
            )
        ],
    )  # fmt: skip


LEFT: list[Mask | None] = [square(0), square(1)]
RIGHT: list[Mask | None] = [square(20), None]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([(1, LEFT), (1, RIGHT)], 1.0),
        ([(1, LEFT), (1, LEFT)], 0.0),
        ([(1, LEFT)], 0.0),
        ([(1, LEFT), (2, RIGHT)], 0.0),
        ([(1, RIGHT), (1, LEFT), (2, LEFT)], 1.0),
    ],
)
def test_both_instances_need_a_track_of_their_own(found: list[tuple[int, list[Mask | None]]], expected: float) -> None:
    assert count_twins(video([(1, LEFT), (1, RIGHT)], found)).share == expected


def test_clips_with_one_instance_of_each_category_do_not_count() -> None:
    assert count_twins(video([(1, LEFT), (2, RIGHT)], [])).share is None


def test_a_mask_over_both_is_neither() -> None:
    both = [coco.merge([square(0), square(20)]), square(1)]
    assert track_iou(both, LEFT) == pytest.approx(72 / 108)
    assert track_iou(both, RIGHT) == pytest.approx(36 / 108)
    assert track_iou([None], [None]) == 0.0


def test_suppressed_is_the_share_of_silent_objects_without_a_mask() -> None:
    dataset = video([], [(1, [square(0), None])])
    assert share_suppressed(dataset, [[[square(1), square(1)]]]) == 0.5
    assert share_suppressed(dataset, [[[None, None]]]) is None
