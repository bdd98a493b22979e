"""All metrics together: the layout of scores.json, the order of videos, processes, and the worst frames."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import paths
import pytest
from evaluate_boxes import Box, dataset, guess, random_video, truth, video

import avis_cli
from avis_cli.datasets.tracks import Dataset, Mask, PredictedTrack
from avis_cli.errors import AnnotationError
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.evaluate.report.cost import frame_outcomes, worst_frames
from avis_cli.evaluate.report.scores_file import document_of

LEFT: Box = (0, 0, 10, 10)
RIGHT: Box = (30, 0, 10, 10)
DEV = paths.DATA / "evaluation" / "dev"

HOTA = ["HOTA", "DetA", "DetRe", "DetPr", "AssA", "AssRe", "AssPr", "LocA"]
KEYS = ["FSLA", "FSLA_none", "FSLA_single", "FSLA_multi", *HOTA]
KEYS += ["mAP", "AP_small", "AP_medium", "AP_large", "AR", "IDSW", "MOTA", "IDF1"]


def random_dataset(number: int = 9) -> Dataset:
    return dataset(*(random_video(seed, identity=seed + 1, name=f"v{seed}") for seed in range(number)))


def test_the_layout_is_that_of_the_contract() -> None:
    scores = document_of(evaluate_dataset(random_dataset()))
    assert list(scores)[: len(KEYS)] == KEYS
    assert {"corrected", "per_category", "per_video", "counts"} <= set(scores)
    assert list(scores["corrected"]) == KEYS
    assert list(scores["per_category"]) == ["person", "violin", "guitar"]
    assert list(scores["per_video"]) == [f"v{seed}" for seed in range(9)]
    for block in (*scores["per_category"].values(), *scores["per_video"].values()):
        assert list(block) == [*KEYS, "corrected"]
        assert list(block["corrected"]) == KEYS
    assert type(scores["IDSW"]) is int
    json.dumps(scores, allow_nan=False)


def test_what_has_no_ground_truth_is_null_or_reads_as_the_released_program_does() -> None:
    scores = document_of(evaluate_dataset(dataset(video(2, [truth(1, [LEFT, LEFT])], [guess([LEFT, LEFT])]))))
    assert (scores["FSLA"], scores["FSLA_single"]) == (100.0, 100.0)
    assert scores["FSLA_none"] is scores["FSLA_multi"] is scores["corrected"]["FSLA_none"] is None
    assert (scores["AP_small"], scores["AP_large"]) == (pytest.approx(100.0), -100.0)
    assert scores["corrected"]["AP_large"] is None
    # one category of three, and LocA is 1 for the other two
    assert (scores["HOTA"], scores["LocA"]) == (pytest.approx(100 / 3), 100.0)
    assert scores["sounding_categories"]["HOTA"] == 100.0
    assert scores["per_video"]["v"]["HOTA"] == 100.0
    assert scores["per_category"]["violin"]["FSLA"] is None


def test_nothing_at_all_is_scored() -> None:
    scores = document_of(evaluate_dataset(Dataset([], [video(3)])))
    assert scores["FSLA"] == scores["FSLA_none"] == 100.0
    assert scores["HOTA"] is scores["corrected"]["mAP"] is None
    assert (scores["IDSW"], scores["MOTA"]) == (0, 0.0)
    json.dumps(scores, allow_nan=False)


def test_a_category_is_scored_on_its_own_tracks() -> None:
    """The violin is right although the person of the same frame is not."""
    one = video(1, [truth(1, [LEFT]), truth(2, [RIGHT], 2)], [guess([RIGHT], 2)])
    scores = document_of(evaluate_dataset(dataset(one, video(1, identity=2, name="w"))))
    assert scores["corrected"]["FSLA"] == 50.0
    assert scores["per_category"]["violin"]["corrected"]["FSLA"] == 100.0
    assert scores["per_category"]["person"]["corrected"]["FSLA"] == 0.0
    assert scores["per_category"]["guitar"]["corrected"]["FSLA"] is None


def test_empty_masks_spoil_the_released_scores_only() -> None:
    one = video(2, [truth(1, [LEFT, None])], [guess([LEFT, (0, 0, 0, 0)])])
    scores = document_of(evaluate_dataset(dataset(one)))
    assert (scores["FSLA"], scores["corrected"]["FSLA"]) == (50.0, 100.0)
    assert (scores["MOTA"], scores["corrected"]["MOTA"]) == (0.0, 100.0)
    assert scores["corrected"]["HOTA"] > scores["HOTA"]
    assert scores["counts"]["predicted_empty_masks"] == 1


def test_the_order_of_videos_in_the_file_does_not_matter() -> None:
    given = random_dataset()
    expected = document_of(evaluate_dataset(given))
    assert document_of(evaluate_dataset(replace(given, videos=given.videos[::-1]))) == expected


def test_processes_change_nothing() -> None:
    given, steps = random_dataset(), []
    expected = document_of(evaluate_dataset(given))
    found = evaluate_dataset(given, jobs=2, progress=lambda phase, done, total: steps.append((phase, done, total)))
    assert document_of(found) == expected
    assert steps[-1] == ("videos", 9, 9)


def test_an_error_in_a_process_reaches_the_caller() -> None:
    large = replace(video(1, [truth(1, [LEFT])]), id=2, name="w")
    masks: list[Mask | None] = [{"size": [9, 9], "counts": b"0i2"}]
    wrong = replace(large, predictions=[PredictedTrack(0, 1, 0.5, masks)])
    with pytest.raises(AnnotationError, match="differ in size"):
        evaluate_dataset(dataset(random_video(1), wrong), jobs=2)


def test_only_the_first_prediction_of_all_leaves_its_ground_truth_free() -> None:
    twice = [guess([LEFT], score=0.9), guess([LEFT], score=0.8)]
    silent = video(1, name="a", identity=1)
    first = video(1, [truth(1, [LEFT])], twice, name="b", identity=2)
    second = video(1, [truth(2, [LEFT])], twice, name="c", identity=3)
    scores = document_of(evaluate_dataset(dataset(second, first, silent)))
    assert scores["AR"] == 150.0
    assert scores["corrected"]["AR"] == 100.0


def test_videos_that_share_a_name_are_all_in_the_corrected_scores() -> None:
    lost = video(1, [truth(1, [LEFT])], [guess([LEFT])], identity=1)
    kept = video(3, [truth(2, [LEFT] * 3)], identity=2)
    scores = document_of(evaluate_dataset(dataset(lost, kept)))
    assert (scores["FSLA"], scores["corrected"]["FSLA"]) == (0.0, 25.0)
    assert list(scores["per_video"]) == ["v (id 1)", "v"]
    assert "video 1" in scores["notes"][0]


def test_worst_frames_come_first_and_say_why() -> None:
    one = video(
        4,
        [truth(1, [LEFT] * 4), truth(2, [RIGHT, RIGHT, RIGHT, None], 2)],
        [
            guess([LEFT, LEFT, (0, 0, 10, 3), LEFT]),
            guess([RIGHT, None, RIGHT, None], 2),
            guess([None, LEFT, None, None]),
        ],
    )
    evaluation = evaluate_dataset(dataset(one))
    worst = worst_frames(evaluation.videos, 10)
    assert [frame.frame for frame in worst] == [1, 2]
    assert worst[0].reason == "1 missed, 1 extra"
    assert worst[1].reason == "IoU 0.30"
    assert worst[1].share == pytest.approx(5 / 19)
    assert [frame.kind for frame in frame_outcomes(evaluation.videos)] == ["multi", "multi", "multi", "single"]
    assert worst_frames(evaluation.videos, 1) == worst[:1]
    assert frame_outcomes(evaluation.videos)[0].reason == ""


def test_curves_hold_what_the_headline_averages() -> None:
    evaluation = evaluate_dataset(random_dataset())
    values, curves = evaluation.corrected.metric_values(), evaluation.corrected.curves
    assert curves.fsla is not None
    assert 100 * curves.fsla[0].mean() == pytest.approx(values.FSLA)
    assert 100 * curves.hota.HOTA.mean() == pytest.approx(values.HOTA)
    precision = curves.precision[curves.precision[:, 0] > -1]
    assert 100 * precision.mean() == pytest.approx(values.mAP)
    assert (np.diff(precision, axis=1) <= 1e-12).all()


def test_the_module_is_called_with_two_files() -> None:
    scores = avis_cli.evaluate(DEV / "gt.json.gz", DEV / "pred.json.gz", ignore_unknown=True)
    assert round(scores["HOTA"], 2) == 19.78
    assert round(scores["corrected"]["FSLA"], 2) == 56.54
