"""HOTA on cases counted by hand, and against its definition frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from evaluate_boxes import guess, measured, random_overlaps, truth, video
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import Video
from avis_cli.evaluate.instances import hota
from avis_cli.evaluate.instances.hota import PARTS, HotaCounts
from avis_cli.evaluate.instances.matching import EPS, THRESHOLDS, Association, associate
from avis_cli.evaluate.instances.overlaps import Overlaps

BOX = (5, 5, 20, 20)


def ratios_of(one: Video, *, empty_masks: bool = False) -> dict[str, float]:
    found = hota.ratios(hota.count(*measured(one, empty_masks=empty_masks)))
    return {part: float(getattr(found, part).mean()) for part in PARTS}


def by_definition(overlaps: Overlaps, association: Association) -> HotaCounts:
    n, m = association.truth_frames, association.prediction_frames
    table = np.zeros((7, 19))
    for k, threshold in enumerate(THRESHOLDS):
        together = np.zeros(association.score.shape)
        for t in range(len(overlaps.iou)):
            rows, columns = np.flatnonzero(overlaps.truth_shown[t]), np.flatnonzero(overlaps.prediction_shown[t])
            iou = overlaps.iou[t][np.ix_(rows, columns)]
            r, c = linear_sum_assignment(-association.score[np.ix_(rows, columns)] * iou)
            kept = iou[r, c] >= threshold - EPS
            together[rows[r[kept]], columns[c[kept]]] += 1
            table[0:3, k] += kept.sum(), len(rows) - kept.sum(), len(columns) - kept.sum()
            table[6, k] += iou[r, c][kept].sum()
        for i, j in np.ndindex(*together.shape):
            count = together[i, j]
            table[3:6, k] += count * count / np.maximum(1, [n[i] + m[j] - count, n[i], m[j]])
    return HotaCounts.from_table(table)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_definition(seed: int) -> None:
    overlaps = random_overlaps(seed)
    association = associate(overlaps.iou, overlaps.truth_shown, overlaps.prediction_shown)
    found, expected = hota.count(overlaps, association), by_definition(overlaps, association)
    np.testing.assert_allclose(found.table(), expected.table(), rtol=0, atol=1e-12)


def test_a_perfect_track_scores_one_in_every_part() -> None:
    one = video(3, [truth(1, [BOX, None, BOX])], [guess([BOX, None, BOX])])
    assert ratios_of(one) == dict.fromkeys(PARTS, 1.0)


def test_half_a_track() -> None:
    """Two of four masks found: DetA 2/4; both hits share 2 of the 4 frames of their tracks: AssA 1/2."""
    one = video(4, [truth(1, [BOX] * 4)], [guess([BOX, BOX, None, None])])
    found = ratios_of(one)
    assert found["DetA"] == pytest.approx(0.5)
    assert found["DetPr"] == pytest.approx(1)
    assert found["AssA"] == pytest.approx(0.5)
    assert found["AssPr"] == pytest.approx(1)
    assert found["HOTA"] == pytest.approx(0.5)


def test_masks_without_a_pixel_are_false_positives_unless_left_out() -> None:
    one = video(2, [truth(1, [BOX, None])], [guess([BOX, (0, 0, 0, 0)])])
    assert ratios_of(one, empty_masks=True)["DetPr"] == pytest.approx(0.5)
    assert ratios_of(one)["DetPr"] == pytest.approx(1)


def test_an_iou_on_the_threshold_counts() -> None:
    """Half a box: IoU 0.5, a hit at the ten thresholds up to 0.5."""
    counts = hota.count(*measured(video(1, [truth(1, [(0, 0, 20, 10)])], [guess([(0, 0, 10, 10)])])))
    assert counts.true_positives.tolist() == [1] * 10 + [0] * 9


def test_without_a_hit_only_the_localisation_is_one() -> None:
    expected = dict.fromkeys(PARTS, 0.0) | {"LocA": 1.0}
    assert ratios_of(video(1, [truth(1, [BOX])])) == expected
    assert ratios_of(video(1, [], [guess([BOX])])) == expected
    assert ratios_of(video(1)) == expected
    assert ratios_of(video(1, [truth(1, [(0, 0, 5, 5)])], [guess([(30, 30, 5, 5)])])) == expected


def test_the_mean_over_no_class_is_undefined() -> None:
    counts = HotaCounts.from_table(np.zeros((7, 2, 19)))
    assert np.isnan(hota.ratios(counts).mean_of(np.zeros(2, bool)).HOTA).all()
