"""Instances of one category told apart, and silence left alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pytest
from pycocotools import mask as coco
from train_examples import bright_clip

from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.inference.model import Model
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.system import build
from avis_cli.models.training import AudioAblation
from avis_cli.train.clips import RawClip
from avis_cli.train.predict import Predicted, predict
from avis_cli.train.validate import best_gate, count_twins, share_suppressed, track_iou, validate


def square(left: int, side: int = 6) -> Mask:
    mask = np.zeros((10, 30), dtype=np.uint8, order="F")
    mask[2 : 2 + side, left : left + side] = 1
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


def test_counted_strictly_a_mask_on_a_part_of_a_silent_object_is_a_fault() -> None:
    # the square that is drawn lies in the silent one and is a quarter of it
    silent, drawn = square(0, side=6), square(0, side=3)
    dataset = video([], [(1, [drawn, None])])
    assert share_suppressed(dataset, [[[silent]]]) == 1.0, "an IoU of a quarter is no mask on the object"
    assert share_suppressed(dataset, [[[silent]]], of_object=0.1) == 0.0
    assert share_suppressed(dataset, [[[silent]]], of_object=0.3) == 1.0
    half_beside = video([], [(1, [square(3, side=6), None])])
    assert share_suppressed(half_beside, [[[silent]]], of_object=0.4) == 0.0, "a half of it, at an IoU of a third"


@dataclass(frozen=True)
class OfThreeGates:
    """A network that finds the one track with the gate at a half, and half of it with a lower or higher one."""

    silent: list[list[list[Mask | None]]]

    def dataset(self, gate: float | None) -> Dataset:
        return video([(1, LEFT)], [(1, LEFT if gate == 0.5 else [square(0), None])])


def test_the_gate_is_the_one_whose_scores_are_best() -> None:
    predicted = cast(Predicted, OfThreeGates([[]]))
    found = best_gate(predicted, (0.2, 0.5, 0.7))
    assert found.gate == 0.5
    assert found.fsla == validate(predicted, 0.5).fsla
    assert found.fsla is not None
    assert found.fsla > (validate(predicted, 0.2).fsla or 0.0)


@pytest.mark.parametrize(
    ("ablation", "heard"),
    [
        (AudioAblation(), (True, True)),
        (AudioAblation(localizer=False), (False, True)),
        (AudioAblation(localizer=False, tracker=False), (False, False)),
    ],
)
def test_a_level_that_is_not_to_hear_gets_silence(ablation: AudioAblation, heard: tuple[bool, bool]) -> None:
    model = Model(build(PRESETS["avism-tiny"]))
    got: dict[str, bool] = {}

    def listen(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: got.update({name: bool(inputs[1].any())})

    model.network.localizer.register_forward_hook(listen("localizer"))
    model.network.tracker.register_forward_hook(listen("tracker"))
    predict(model, OneClip(), 1, ablation)
    assert (got["localizer"], got["tracker"]) == heard


class OneClip:
    """A source of a single clip."""

    categories: tuple[str, ...] = ("bell", "drum", "bird")

    def __len__(self) -> int:
        return 1

    def length(self, clip: int) -> int:
        return 2

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        return bright_clip()
