"""CLEAR and Identity on cases counted by hand, and against their definitions frame by frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
from evaluate_boxes import Box, guess, measured, random_overlaps, truth, video
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import Video
from avis_cli.evaluate.instances import clear, identity
from avis_cli.evaluate.instances.clear import ClearCounts
from avis_cli.evaluate.instances.identity import IdentityCounts
from avis_cli.evaluate.instances.matching import EPS
from avis_cli.evaluate.instances.overlaps import Overlaps

LEFT: Box = (0, 0, 10, 10)
RIGHT: Box = (30, 0, 10, 10)


def clear_of(one: Video) -> ClearCounts:
    return clear.count(measured(one)[0])


def identity_of(one: Video) -> IdentityCounts:
    return identity.count(measured(one)[0])


def by_definition(overlaps: Overlaps) -> ClearCounts:
    truths = overlaps.truth_shown.shape[1]
    last, previous = [math.nan] * truths, [math.nan] * truths
    matched, starts = [0] * truths, [0] * truths
    hits, misses, false, switches, total = 0, 0, 0, 0, 0.0
    for t in range(len(overlaps.iou)):
        rows, columns = np.flatnonzero(overlaps.truth_shown[t]), np.flatnonzero(overlaps.prediction_shown[t])
        if not len(rows) or not len(columns):
            misses, false = misses + len(rows), false + len(columns)
            continue
        iou = overlaps.iou[t][np.ix_(rows, columns)]
        score = 1000.0 * (np.array(previous)[rows][:, None] == columns) + iou
        score[iou < 0.5 - EPS] = 0
        pairs = [
            (rows[r], columns[c]) for r, c in zip(*linear_sum_assignment(-score), strict=True) if score[r, c] > EPS
        ]
        now = [math.nan] * truths
        for i, j in pairs:
            switches += not math.isnan(last[i]) and last[i] != j
            starts[i] += math.isnan(previous[i])
            last[i] = now[i] = j
            matched[i] += 1
            total += overlaps.iou[t, i, j]
        previous = now
        hits, misses, false = hits + len(pairs), misses + len(rows) - len(pairs), false + len(columns) - len(pairs)
    shown = overlaps.truth_shown.sum(axis=0)
    share = [m / n for m, n in zip(matched, shown, strict=True) if n]
    mostly, partly = sum(s > 0.8 for s in share), sum(0.2 <= s <= 0.8 for s in share)
    gaps = sum(s - 1 for s in starts if s)
    return ClearCounts(hits, misses, false, switches, mostly, partly, len(share) - mostly - partly, gaps, total)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_definition(seed: int) -> None:
    overlaps = random_overlaps(seed)
    found, expected = clear.count(overlaps), by_definition(overlaps)
    assert vars(found) | {"iou": 0} == vars(expected) | {"iou": 0}
    assert found.iou == pytest.approx(expected.iou)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_identity_errs_least_when_tracks_may_also_stay_single(seed: int) -> None:
    overlaps = random_overlaps(seed)
    n, m = overlaps.truth_shown.sum(axis=0), overlaps.prediction_shown.sum(axis=0)
    agree = (overlaps.iou >= 0.5).sum(axis=0)
    rows, columns = agree.shape
    cost = np.full((rows + columns, rows + columns), 10.0**6)
    cost[:rows, :columns] = n[:, None] + m[None] - 2 * agree
    cost[:rows, columns:][np.arange(rows), np.arange(rows)] = n
    cost[rows:, :columns][np.arange(columns), np.arange(columns)] = m
    cost[rows:, columns:] = 0
    found = identity.count(overlaps)
    assert found.false_negatives + found.false_positives == cost[linear_sum_assignment(cost)].sum()
    assert found.true_positives + found.false_negatives == n.sum()
    assert found.true_positives + found.false_positives == m.sum()


def test_a_perfect_track() -> None:
    one = video(3, [truth(1, [LEFT] * 3)], [guess([LEFT] * 3)])
    assert clear_of(one) == ClearCounts(true_positives=3, mostly_tracked=1, iou=3.0)
    assert clear_of(one).mota == 1
    assert identity_of(one) == IdentityCounts(3, 0, 0)


def test_two_tracks_that_exchange_their_predictions_switch_twice() -> None:
    one = video(
        4,
        [truth(1, [LEFT] * 4), truth(2, [RIGHT] * 4)],
        [guess([LEFT, LEFT, RIGHT, RIGHT]), guess([RIGHT, RIGHT, LEFT, LEFT])],
    )
    assert clear_of(one).switches == 2
    assert clear_of(one).mota == pytest.approx((8 - 2) / 8)
    assert identity_of(one) == IdentityCounts(4, 4, 4)
    assert identity_of(one).idf1 == pytest.approx(0.5)


def test_a_match_is_kept_although_another_prediction_overlaps_more() -> None:
    near: Box = (2, 0, 10, 10)
    one = video(2, [truth(1, [LEFT, LEFT])], [guess([LEFT, near]), guess([None, LEFT])])
    assert clear_of(one).switches == 0
    assert clear_of(one).iou == pytest.approx(1 + 80 / 120)


def test_a_silent_frame_does_not_forget_the_match() -> None:
    one = video(3, [truth(1, [LEFT, None, LEFT])], [guess([LEFT, LEFT, None]), guess([None, None, LEFT])])
    found = clear_of(one)
    assert (found.switches, found.fragments, found.false_positives) == (1, 0, 1)


def test_a_track_that_is_lost_and_found_again_has_one_fragment() -> None:
    one = video(3, [truth(1, [LEFT] * 3)], [guess([LEFT, RIGHT, LEFT])])
    found = clear_of(one)
    assert (found.fragments, found.switches, found.partly_tracked) == (1, 0, 1)


def test_more_errors_than_objects_make_the_accuracy_negative() -> None:
    one = video(1, [truth(1, [LEFT])], [guess([RIGHT]), guess([RIGHT])])
    assert clear_of(one).mota == -2
    assert clear_of(one).mostly_lost == 1


def test_nothing_at_all() -> None:
    assert clear_of(video(2)) == ClearCounts()
    assert clear_of(video(2)).mota == 0
    assert identity_of(video(2)).idf1 == identity_of(video(2)).idr == identity_of(video(2)).idp == 0


def test_counts_add_up() -> None:
    one, other = ClearCounts(1, 2, 3, 4, 5, 6, 7, 8, 0.5), ClearCounts(10, 20, 30, 40, 50, 60, 70, 80, 0.25)
    assert one + other == ClearCounts(11, 22, 33, 44, 55, 66, 77, 88, 0.75)
    assert IdentityCounts(1, 2, 3) + IdentityCounts(10, 20, 30) == IdentityCounts(11, 22, 33)
