"""Association of tracks, assignment, and the areas and IoUs they rest on."""

from __future__ import annotations

import numpy as np
import pytest
from evaluate_boxes import HEIGHT, WIDTH, box, guess, truth, video
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import PredictedTrack
from avis_cli.errors import AnnotationError
from avis_cli.evaluate.instances.matching import EPS, THRESHOLDS, assign, associate, is_contested
from avis_cli.evaluate.instances.overlaps import measure

SIZES = st.integers(0, 12)


def naive_scores(
    iou: NDArray[np.float64], truth_shown: NDArray[np.bool_], prediction_shown: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The definition, one frame at a time, with matrices laid out as pycocotools gives them."""
    aligned = np.zeros(iou.shape[1:])
    for t in range(len(iou)):
        shown = np.ix_(truth_shown[t], prediction_shown[t])
        block = np.asfortranarray(iou[t][shown])
        total = block.sum(0)[None] + block.sum(1)[:, None] - block
        share = np.zeros_like(block)
        share[total > EPS] = block[total > EPS] / total[total > EPS]
        aligned[shown] += share
    either = truth_shown.sum(0)[:, None] + prediction_shown.sum(0)[None] - aligned
    return np.where(either > 0, aligned / np.where(either > 0, either, 1), 0)


@settings(max_examples=150, deadline=None)
@given(SIZES, SIZES, st.integers(0, 9), st.integers(0, 2**32 - 1))
def test_scores_agree_to_the_last_bit_with_the_definition(truths: int, guesses: int, frames: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    truth_shown, prediction_shown = random.random((frames, truths)) < 0.7, random.random((frames, guesses)) < 0.7
    stored = np.round(random.random((frames, guesses, truths)), 2) * (random.random((frames, guesses, truths)) < 0.5)
    stored *= prediction_shown[:, :, None] & truth_shown[:, None, :]
    iou = stored.transpose(0, 2, 1)
    found = associate(iou, truth_shown, prediction_shown)
    np.testing.assert_array_equal(found.score, naive_scores(iou, truth_shown, prediction_shown))
    np.testing.assert_array_equal(found.truth_frames, truth_shown.sum(0))
    np.testing.assert_array_equal(found.prediction_frames, prediction_shown.sum(0))


@settings(max_examples=100, deadline=None)
@given(SIZES, SIZES, st.integers(0, 2**32 - 1))
def test_the_assignment_is_scipys_also_among_equals(rows: int, columns: int, seed: int) -> None:
    score = np.random.default_rng(seed).integers(0, 3, (rows, columns)) / 2
    found, expected = assign(score), linear_sum_assignment(-score)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_thresholds_keep_their_float_noise() -> None:
    assert len(THRESHOLDS) == 19
    assert THRESHOLDS[2] == 0.15000000000000002
    assert THRESHOLDS[-1] == 0.9500000000000001


def test_a_frame_is_contested_if_a_track_has_two_possible_partners() -> None:
    positive = np.array([[[1, 0], [0, 1]], [[1, 1], [0, 0]], [[1, 0], [1, 0]], [[0, 0], [0, 0]]], bool)
    assert is_contested(positive).tolist() == [False, True, True, False]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_ious_and_areas_are_those_of_the_pixels(seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.random((5, 3, HEIGHT, WIDTH)) < random.random((5, 3, 1, 1))
    masks = [[coco.encode(np.asfortranarray(m, np.uint8)) if m.any() else None for m in track] for track in pixels]
    one = video(3, [], [PredictedTrack(j, 1, 0.5, masks[j]) for j in (2, 3, 4)])
    one.truths.extend(truth(i, [None] * 3) for i in (0, 1))
    for i in (0, 1):
        one.truths[i].masks[:] = masks[i]
    found = measure(one)
    for t in range(3):
        for i in (0, 1):
            assert found.truth_area[t, i] == pixels[i, t].sum()
            for j in (2, 3, 4):
                shared, either = (pixels[i, t] & pixels[j, t]).sum(), (pixels[i, t] | pixels[j, t]).sum()
                assert found.iou[t, i, j - 2] == (shared / either if shared else 0)


def test_long_tracks_are_measured_to_their_end() -> None:
    boxes = [(t % 20, 5, 10, 10) for t in range(700)]
    found = measure(video(700, [truth(1, boxes)], [guess(boxes)]))
    assert (found.iou == 1).all()
    assert (found.truth_area == 100).all()


def test_frames_beyond_the_video_are_measured_and_can_be_cut() -> None:
    found = measure(video(2, [truth(1, [(0, 0, 4, 4)] * 3)], [guess([(0, 0, 4, 4)] * 4)]))
    assert found.iou[:, 0, 0].tolist() == [1, 1, 1, 0]
    assert len(found.cut(2).iou) == 2


def test_masks_without_a_pixel_are_told_from_missing_ones() -> None:
    found = measure(video(3, [truth(1, [(0, 0, 4, 4)] * 3)], [guess([(0, 0, 4, 4), (0, 0, 0, 0), None])]))
    assert found.prediction_shown[:, 0].tolist() == [True, True, False]
    assert found.without_empty_masks().prediction_shown[:, 0].tolist() == [True, False, False]
    solid = found.without_empty_masks()
    assert solid.without_empty_masks() is solid


def test_masks_of_other_sizes_are_refused() -> None:
    one = video(1, [truth(1, [(0, 0, 9, 9)])], [PredictedTrack(0, 1, 0.5, [box(0, 0, 9, 9, HEIGHT * 2, WIDTH * 2)])])
    with pytest.raises(AnnotationError, match="differ in size"):
        measure(one)
