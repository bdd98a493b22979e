"""The baselines: detections of single frames, linked by appearance or by SORT."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from baselines.detections import Detection, detect
from baselines.linking import Trail, as_tracks, linked_by_appearance
from pycocotools import mask as coco

from avis_cli.datasets.synth.clips import make_clip
from avis_cli.inference.model import Model
from avis_cli.inference.sort import BoxFilter, box_iou, linked_by_sort
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.system import build
from avis_cli.models.training import AudioAblation
from avis_cli.train.clips import RawClip

TOKENS = np.eye(4, dtype=np.float32)


def seen(x: int, y: int = 10, *, category: int = 0, token: int = 0, score: float = 0.8, size: int = 20) -> Detection:
    mask = np.zeros((60, 200), bool)
    mask[y : y + size, x : x + size] = True
    return Detection(category, score, mask, TOKENS[token])


def positions(trails: list[Trail]) -> list[list[tuple[int, int]]]:
    """Per trail its (frame, left edge)."""
    return [[(frame, int(one.box()[0])) for frame, one in trail.items()] for trail in trails]


def test_a_box_that_moves_steadily_is_expected_where_it_goes() -> None:
    box = np.array([10.0, 10.0, 30.0, 40.0])
    followed = BoxFilter(box)
    step = np.array([6.0, 2.0, 6.0, 2.0])
    for number in range(1, 8):
        expected = followed.predict()
        followed.correct(box + number * step)
    assert np.abs(expected - (box + 7 * step)).max() < 2.0


def test_sort_keeps_apart_what_crosses() -> None:
    # the second rides over the first's place: velocity, not nearness, says who is who
    frames = [[seen(10 + 8 * t), seen(154 - 8 * t)] for t in range(19)]
    trails = linked_by_sort(frames)
    assert len(trails) == 2
    assert [left for _, left in positions(trails)[0]] == [10 + 8 * t for t in range(19)]


def test_sort_forgets_what_was_away_for_longer_than_its_patience() -> None:
    here, gone = [seen(50)], list[Detection]()
    assert len(linked_by_sort([here, gone, here])) == 1
    assert len(linked_by_sort([here, gone, gone, here])) == 2


def test_sort_never_joins_two_categories() -> None:
    assert len(linked_by_sort([[seen(50)], [seen(50, category=1)]])) == 2


def test_appearance_finds_an_object_again_wherever_and_whenever() -> None:
    frames = [[seen(10, token=0), seen(100, token=1)], [], [], [seen(20, token=1), seen(90, token=0)]]
    assert positions(linked_by_appearance(frames)) == [[(0, 10), (3, 90)], [(0, 100), (3, 20)]]


def test_what_resembles_nothing_begins_a_trail() -> None:
    assert len(linked_by_appearance([[seen(10, token=0)], [seen(10, token=1)]])) == 2


def test_a_track_takes_the_category_that_scores_most_and_the_mean_score() -> None:
    trail = {0: seen(0, category=2, score=0.9), 2: seen(5, category=1, score=0.5), 3: seen(6, category=1, score=0.6)}
    (track,) = as_tracks([trail], 5)
    assert track.category_id == 2
    assert track.score == pytest.approx(2.0 / 3.0)
    assert [mask is None for mask in track.masks] == [False, True, False, False, True]
    assert track.masks[2] is not None
    assert np.array_equal(coco.decode(track.masks[2]).astype(bool), trail[2].mask)


def test_overlap_of_boxes() -> None:
    box = np.array([0.0, 0.0, 10.0, 10.0])
    assert box_iou(box, box) == 1.0
    assert box_iou(box, box + 10) == 0.0
    assert box_iou(box, box + np.array([5.0, 0.0, 5.0, 0.0])) == pytest.approx(1 / 3)


def test_detections_are_those_of_the_localizer_and_depend_on_what_is_heard() -> None:
    torch.manual_seed(3)
    model = Model(build(PRESETS["avism-tiny"]))
    with torch.no_grad():
        model.network.localizer.class_head.weight.mul_(30.0)  # a random network is unsure of everything
    clip = make_clip(5, frames=2, size=(64, 48))
    patches = np.random.default_rng(0).normal(-2.0, 1.5, (2, 96, 64)).astype(np.float32)
    raw = RawClip(
        frames=clip.images,
        patches=patches,
        categories=clip.category_ids - 1,
        masks=clip.masks,
        sounding=clip.sounding,
        tags=np.zeros((2, 10), bool),
        complete=True,
    )
    found, deaf = detect(model, raw, AudioAblation()), detect(model, raw, AudioAblation(localizer=False))
    assert len(found) == 2
    assert found[0]
    for one in found[0]:
        assert one.mask.shape == (48, 64)
        assert one.mask.any()
        assert 0.3 < one.score <= 1.0
        assert np.linalg.norm(one.token) == pytest.approx(1.0, abs=1e-5)
    scores = [[d.score for d in frame] for frame in found]
    assert scores != [[d.score for d in frame] for frame in deaf]
