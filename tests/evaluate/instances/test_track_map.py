"""Average precision of tracks on cases counted by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from evaluate_boxes import Box, guess, truth, video
from numpy.typing import NDArray

from avis_cli.datasets.tracks import PredictedTrack, TruthTrack, Video
from avis_cli.evaluate.instances import track_map
from avis_cli.evaluate.instances.overlaps import measure
from avis_cli.evaluate.instances.track_map import RECALLS, THRESHOLDS, TrackMatches

LEFT: Box = (0, 0, 10, 10)
RIGHT: Box = (30, 0, 10, 10)


def matches(one: Video, reusing: int | None = None) -> TrackMatches:
    return track_map.match(one.truths, one.predictions, measure(one), reusing=reusing)


def ap(*videos: Video) -> NDArray[np.float64]:
    """(4,): mean over the thresholds."""
    return track_map.precision([matches(one) for one in videos]).ap.mean(axis=1)


def of_size(tracks: Sequence[TruthTrack], area: float) -> list[TruthTrack]:
    return [replace(track, areas=[area, None, 0.0]) for track in tracks]


def test_thresholds_and_recalls_keep_their_float_noise() -> None:
    assert THRESHOLDS[6] == 0.8000000000000003
    assert RECALLS[70] == 0.7000000000000001


def test_a_perfect_track_and_a_worse_scored_extra_one() -> None:
    one = video(2, [truth(1, [LEFT, RIGHT])], [guess([LEFT, RIGHT], score=0.9), guess([RIGHT, LEFT], score=0.1)])
    assert ap(one)[0] == pytest.approx(1)


def test_a_better_scored_extra_track_halves_the_precision() -> None:
    one = video(2, [truth(1, [LEFT, RIGHT])], [guess([LEFT, RIGHT], score=0.1), guess([RIGHT, LEFT], score=0.9)])
    assert ap(one)[0] == pytest.approx(0.5)


def test_half_of_the_tracks_found() -> None:
    """Recall reaches 0.5: 51 of the 101 recalls have precision 1."""
    one = video(1, [truth(1, [LEFT]), truth(2, [RIGHT])], [guess([LEFT])])
    found = track_map.precision([matches(one)])
    assert found.ap[0].tolist() == pytest.approx([51 / 101] * 10)
    assert found.ar[0].tolist() == [0.5] * 10


def test_the_overlap_of_tracks_is_summed_over_frames() -> None:
    """Two of three frames in common, each exactly: IoU 2/3 passes 0.5, 0.55, 0.6 and 0.65."""
    one = video(3, [truth(1, [LEFT, LEFT, None])], [guess([LEFT, LEFT, LEFT])])
    assert matches(one).matched[0, :, 0].tolist() == [True] * 4 + [False] * 6


def test_no_ground_truth_is_minus_one_in_every_entry() -> None:
    found = track_map.precision([matches(video(1, [], [guess([LEFT])]))])
    assert (found.ap == -1).all()
    assert (found.ar == -1).all()
    assert (found.precision == -1).all()
    assert (track_map.precision([]).ap == -1).all()


def test_ground_truth_without_predictions_is_zero() -> None:
    found = track_map.precision([matches(video(1, [truth(1, [LEFT])]))])
    assert (found.ap[0] == 0).all()
    assert (found.ar[0] == 0).all()


@pytest.mark.parametrize(
    ("area", "ranges"),
    [
        (100.0, ["area_s"]),
        (128.0**2, ["area_s", "area_m"]),
        (200.0**2, ["area_m"]),
        (256.0**2, ["area_m", "area_l"]),
        (300.0**2, ["area_l"]),
    ],
)
def test_ranges_include_both_ends_and_the_size_is_that_of_the_file(area: float, ranges: list[str]) -> None:
    one = video(1, of_size([truth(1, [LEFT])], area), [guess([LEFT])])
    counted = track_map.precision([matches(one)]).truths
    assert [name for name, n in zip(track_map.RANGES, counted, strict=True) if n] == ["all", *ranges]


def test_an_unmatched_prediction_out_of_range_is_ignored() -> None:
    """The extra track is small: a false positive among the small ones, nothing among the medium ones."""
    tracks = of_size([truth(1, [LEFT])], 200.0**2)
    one = video(1, tracks, [guess([LEFT], score=0.1), guess([RIGHT], score=0.9)])
    assert ap(one).tolist() == pytest.approx([0.5, -1, 1, -1])


def test_a_crowd_is_no_target_and_no_error() -> None:
    one = video(1, [truth(1, [LEFT], crowd=True), truth(2, [RIGHT])], [guess([LEFT]), guess([RIGHT])])
    found = matches(one)
    assert found.truths[0] == 1
    assert found.ignored[0, 0].tolist() == [True, False]
    assert ap(one)[0] == pytest.approx(1)


def test_a_regular_track_is_preferred_to_a_crowd_that_overlaps_more() -> None:
    wide: Box = (0, 0, 12, 10)
    one = video(1, [truth(1, [LEFT], crowd=True), truth(2, [wide])], [guess([LEFT])])
    assert not matches(one).ignored[0, 0].any()


def test_a_track_is_matched_once_but_for_the_prediction_that_leaves_it_free() -> None:
    one = video(1, [truth(1, [LEFT])], [guess([LEFT], score=0.9), guess([LEFT], score=0.8)])
    assert matches(one).matched[0, 0].tolist() == [True, False]
    assert matches(one, reusing=0).matched[0, 0].tolist() == [True, True]
    assert matches(one, reusing=1).matched[0, 0].tolist() == [True, False]


def test_equal_scores_keep_the_order_of_the_videos() -> None:
    right = video(1, [truth(1, [LEFT])], [guess([LEFT], score=0.5)])
    wrong = video(1, [], [guess([RIGHT], score=0.5)])
    assert ap(right, wrong)[0] == pytest.approx(1)
    assert ap(wrong, right)[0] == pytest.approx(0.5)


def test_the_mean_leaves_out_classes_without_ground_truth() -> None:
    values = np.array([[0.5, -1.0], [-1.0, -1.0], [1.0, -1.0]])
    assert track_map.mean_over_classes(values).tolist() == [0.75, -1.0]
    assert track_map.mean_over_classes(np.zeros((0, 2))).tolist() == [-1.0, -1.0]


def test_one_prediction_more_never_lowers_the_recall() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        boxes = [(int(x), 5, 10, 10) for x in random.integers(0, 40, 6)]
        tracks = [truth(i, [b]) for i, b in enumerate(boxes[:3])]
        guesses: list[PredictedTrack] = [guess([b], score=float(random.random())) for b in boxes[2:]]
        fewer = track_map.precision([matches(video(1, tracks, guesses[:-1]))]).ar
        more = track_map.precision([matches(video(1, tracks, guesses))]).ar
        assert (more >= fewer).all()
