"""FSLA on frames judged by hand, and both meanings against their definitions frame by frame."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from evaluate_boxes import Box, box, guess, measured, random_video, truth, video
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import Video
from avis_cli.evaluate.instances import fsla
from avis_cli.evaluate.instances.fsla import RIGHT as ALWAYS
from avis_cli.evaluate.instances.fsla import WRONG, FrameFaults, FslaFrames, ReleasedFailure
from avis_cli.evaluate.instances.matching import associate
from avis_cli.evaluate.instances.overlaps import RELEASED_EMPTY, Overlaps

LEFT: Box = (0, 0, 10, 10)
RIGHT: Box = (30, 0, 10, 10)
NOTHING: Box = (0, 0, 0, 0)


def corrected(one: Video) -> tuple[FslaFrames, FrameFaults]:
    return fsla.correct_frames(one.truths, one.predictions, *measured(one))


def released(one: Video, overlaps: Overlaps | None = None) -> FslaFrames:
    overlaps = overlaps or measured(one, empty_masks=True)[0]
    association = associate(overlaps.iou, overlaps.truth_shown, overlaps.prediction_shown)
    return fsla.released_frames(one.truths, one.predictions, overlaps, association)


def as_if_large(one: Video) -> Overlaps:
    """Overlaps in which masks without a pixel are spelled as those of a video of 1280 x 720 are."""
    overlaps = measured(one, empty_masks=True)[0]
    return replace(overlaps, prediction_blank=overlaps.prediction_shown & (overlaps.prediction_area == 0))


def test_a_frame_is_right_below_the_least_of_its_overlaps() -> None:
    one = video(1, [truth(1, [LEFT]), truth(2, [RIGHT], 2)], [guess([LEFT]), guess([(30, 0, 10, 5)], 2)])
    frames, _ = corrected(one)
    assert frames.limit.tolist() == [0.5]
    assert frames.count().right[2].tolist() == [1] * 9 + [0] * 10


def test_silence_is_right_only_if_nothing_is_shown() -> None:
    one = video(4, [truth(1, [LEFT, None, None, None])], [guess([LEFT, None, LEFT, NOTHING])])
    frames, faults = corrected(one)
    assert frames.kind.tolist() == [1, 0, 0, 0]
    assert frames.limit.tolist() == [1, ALWAYS, WRONG, ALWAYS]
    assert faults.silent.tolist() == [0, 0, 1, 0]


def test_each_fault_is_named() -> None:
    one = video(
        5,
        [truth(1, [LEFT, LEFT, LEFT, LEFT, None])],
        [guess([LEFT, None, (0, 0, 10, 2), LEFT, LEFT]), guess([None, None, None, RIGHT, None], 2)],
    )
    frames, faults = corrected(one)
    assert frames.limit.tolist() == pytest.approx([1, WRONG, 0.2, WRONG, WRONG])
    assert faults.missed.tolist() == [0, 1, 0, 0, 0]
    assert faults.weak.tolist() == [0, 0, 1, 0, 0]
    assert faults.extra.tolist() == [0, 0, 0, 1, 0]
    assert faults.silent.tolist() == [0, 0, 0, 0, 1]
    other = video(1, [truth(1, [LEFT])], [guess([LEFT], 2)])
    assert corrected(other)[0].limit.tolist() == [WRONG]
    assert corrected(other)[1].wrong_category.tolist() == [1]


def test_a_kind_without_frames_is_undefined() -> None:
    frames = corrected(video(2, [truth(1, [LEFT, LEFT])], [guess([LEFT, LEFT])]))[0]
    assert np.isnan(frames.count().ratios()).all(axis=1).tolist() == [False, True, False, True]


def limits_by_definition(one: Video) -> list[float]:
    """Section by section: present masks, association, one-to-one pairs, then each frame by itself."""
    overlaps, association = measured(one)
    by_id = sorted(range(len(one.truths)), key=lambda i: one.truths[i].id)
    rows = [i for i in by_id if overlaps.truth_shown[:, i].any()]
    columns = [j for j in range(len(one.predictions)) if overlaps.prediction_shown[:, j].any()]
    score = association.score[np.ix_(rows, columns)]
    pairs = zip(*linear_sum_assignment(-score), strict=True)
    partner = {rows[r]: columns[c] for r, c in pairs if score[r, c] > 0}
    limits = []
    for t in range(one.length):
        sounding = np.flatnonzero(overlaps.truth_shown[t]).tolist()
        limit = ALWAYS if len(sounding) == overlaps.prediction_shown[t].sum() else WRONG
        for i in sounding:
            j = partner.get(i)
            fits = (
                j is not None
                and overlaps.prediction_shown[t, j]
                and one.truths[i].category_id == one.predictions[j].category_id
            )
            limit = min(limit, float(overlaps.iou[t, i, j])) if fits else WRONG
        limits.append(limit)
    return limits


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_corrected_frames_are_those_of_the_definition(seed: int) -> None:
    one = random_video(seed)
    assert corrected(one)[0].limit.tolist() == limits_by_definition(one)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1), st.randoms(use_true_random=False))
def test_the_order_of_tracks_does_not_matter(seed: int, shuffle: Random) -> None:
    one = random_video(seed)
    truths, predictions = list(one.truths), list(one.predictions)
    shuffle.shuffle(truths)
    shuffle.shuffle(predictions)
    other = replace(one, truths=truths, predictions=predictions)
    assert corrected(other)[0].limit.tolist() == corrected(one)[0].limit.tolist()


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_frame_is_wrong_exactly_if_a_fault_is_named(seed: int) -> None:
    frames, faults = corrected(random_video(seed))
    structural = faults.missed + faults.wrong_category + faults.silent + faults.extra
    np.testing.assert_array_equal(frames.limit == WRONG, structural > 0)
    weak = faults.weak[frames.limit != WRONG] > 0
    np.testing.assert_array_equal(weak, frames.limit[frames.limit != WRONG] <= 0.5)


def released_by_definition(one: Video, overlaps: Overlaps) -> list[float] | None:
    """As the released program goes about it, one frame after the other; None where it stops."""
    association = associate(overlaps.iou, overlaps.truth_shown, overlaps.prediction_shown)
    by_id = sorted(range(len(one.truths)), key=lambda i: one.truths[i].id)
    rows = [i for i in by_id if overlaps.truth_shown[:, i].any()]
    columns = [j for j in range(len(one.predictions)) if overlaps.prediction_shown[:, j].any()]
    r, c = linear_sum_assignment(-association.score[np.ix_(rows, columns)])
    limits = []
    for t in range(one.length):
        g = [i for i in range(len(one.truths)) if overlaps.truth_shown[t, i]]
        p = [j for j in range(len(one.predictions)) if overlaps.prediction_shown[t, j]]
        real = [j for j in p if not overlaps.prediction_blank[t, j]]
        limit = ALWAYS
        if {one.truths[i].category_id for i in g} != {one.predictions[j].category_id for j in p} or len(g) != len(real):
            limit = WRONG
        elif len(g) == 1:
            first = next(i for i, tr in enumerate(one.truths) if i in g or t in tr.empty_lists)
            ranks = [k for k in range(len(c)) if c[k] == first]
            if ranks and ranks[0] >= len(p):
                return None
            limit = overlaps.iou[t, g[0], p[ranks[0]]] if ranks else WRONG
        elif g:
            for row, column in zip(r, c, strict=True):
                if column >= len(p):
                    return None
                j, tr = p[column], one.truths[row]
                if tr.category_id != one.predictions[j].category_id:
                    limit = WRONG
                elif row in g:
                    limit = min(limit, overlaps.iou[t, row, j])
                elif t in tr.empty_lists:
                    return None
                elif not overlaps.prediction_blank[t, j]:
                    limit = WRONG
        limits.append(float(limit))
    return limits


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.1]))
def test_released_frames_are_those_of_the_released_program(seed: int, empty_lists: float) -> None:
    random = np.random.default_rng(seed)
    one = random_video(seed)
    one = replace(one, predictions=[replace(p, category_id=p.category_id % 2 + 1) for p in one.predictions])
    truths = []
    for track in one.truths:
        silent = [t for t, mask in enumerate(track.masks) if mask is None and random.random() < empty_lists]
        truths.append(replace(track, category_id=track.category_id % 2 + 1, empty_lists=frozenset(silent)))
    one = replace(one, truths=truths)
    overlaps = as_if_large(one)
    expected = released_by_definition(one, overlaps)
    if expected is None:
        with pytest.raises(ReleasedFailure):
            released(one, overlaps)
    else:
        assert released(one, overlaps).limit.tolist() == expected


def test_only_one_spelling_of_an_empty_mask_is_empty_to_the_released_program() -> None:
    assert box(0, 0, 0, 0, 720, 1280)["counts"] == RELEASED_EMPTY
    assert box(0, 0, 0, 0, 360, 640)["counts"] != RELEASED_EMPTY
    one = video(2, [truth(1, [LEFT, LEFT]), truth(2, [RIGHT, None])], [guess([LEFT, LEFT]), guess([RIGHT, NOTHING])])
    assert released(one).limit.tolist() == [1, WRONG]
    assert released(one, as_if_large(one)).limit.tolist() == [1, 1]


def test_the_released_program_stops_where_a_column_does_not_exist() -> None:
    one = video(2, [truth(1, [LEFT, None]), truth(2, [RIGHT, RIGHT])], [guess([LEFT, None]), guess([RIGHT, RIGHT])])
    with pytest.raises(ReleasedFailure, match="frame 1"):
        released(one)
    assert corrected(one)[0].limit.tolist() == [1, 1]
