"""What is counted of single videos: their scores, the curve, the worst frames; nothing else is kept of them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest
from map_examples import evaluated, one_frame, videos

from avis_cli.errors import UsageError
from avis_cli.evaluate.semantic.evaluation import MapVideo, Task, evaluate_videos
from avis_cli.evaluate.semantic.scores import evaluate_maps
from avis_cli.evaluate.semantic.worst import find_worst, frames_of, worst_tables

TASKS: tuple[Task, ...] = get_args(Task)


@pytest.mark.parametrize("task", TASKS)
def test_a_video_scores_as_it_would_alone(task: Task) -> None:
    found = evaluated(task).video_scores()
    for video in videos(task):
        alone = evaluate_maps([video.drawn], [video.truth], task)
        of_video = found[video.name]
        assert of_video["frames"] == len(video.truth)
        for meaning in ("released", "corrected"):
            for name, value in of_video.get(meaning, {}).items():
                if name != "fscore_of_set":
                    assert alone[meaning][name] == pytest.approx(value, abs=1e-12), (meaning, name)


def test_means_of_binary_videos_are_those_of_the_set() -> None:
    evaluation = evaluated("ms3")
    found, corrected = evaluation.video_scores().values(), evaluation.scores()["corrected"]
    frames = [video["frames"] for video in found]
    truths = [video["corrected"]["frames_with_truth"] for video in found]
    assert np.average([v["corrected"]["miou"] for v in found], weights=frames) == pytest.approx(corrected["miou"])
    of_set = [v["corrected"]["fscore_of_set"] for v in found]
    assert np.average(of_set, weights=truths) == pytest.approx(corrected["fscore"])
    assert all(v["corrected"]["fscore_of_set"] <= v["corrected"]["fscore"] for v in found)
    assert truths == [count - 1 for count in frames]


def test_the_curve_has_its_top_where_the_scores_say() -> None:
    evaluation = evaluated("s4")
    curve, corrected = evaluation.curve(), evaluation.scores()["corrected"]
    assert curve is not None
    assert (curve.max(), curve.argmax()) == (corrected["fscore"], corrected["fscore_at"])
    assert evaluated("avss").curve() is None
    assert evaluate_videos([one_frame([[1.0]], [[0]])], "s4").curve() is None


def test_classes_of_a_video_are_counted_in_pixels() -> None:
    video = one_frame([[0, 1, 1, 2]], [[0, 1, 2, 2]])
    classes = evaluate_videos([video], "avss").video_scores()["one"]["classes"]
    assert classes["1"] == {"frames": 1, "iou": 0.5, "f": pytest.approx(1.3 * 0.5 / (0.3 * 0.5 + 1)), "both": 1,
                            "either": 2}  # fmt: skip
    assert list(classes) == ["0", "1", "2"]
    classes = evaluate_videos([video], "cavp").video_scores()["one"]["classes"]
    assert classes["1"] == {"hits": 1, "missed": 0, "false": 1}
    assert classes["2"] == {"hits": 1, "missed": 1, "false": 0}


def test_classes_of_the_set_have_both_kinds_of_means() -> None:
    small, large = one_frame([[1, 0]], [[1, 1]]), one_frame([[1] * 8], [[1] * 8], "two")
    corrected = evaluate_videos([small, large], "avss").scores()["corrected"]
    assert corrected["iou_per_class"]["1"] == pytest.approx((0.5 + 1) / 2)
    assert corrected["accumulated_iou_per_class"]["1"] == pytest.approx(9 / 10)


def test_padding_is_no_part_of_a_video() -> None:
    maps = np.array([[[0, 1]], [[0, 0]]])
    padded = MapVideo("clip", maps, maps * 0 + [[[0, 1]]], real=1)
    found = evaluate_videos([padded], "avss").video_scores()["clip"]
    assert (found["frames"], found["corrected"]["miou"], found["classes"]["0"]["frames"]) == (1, 1.0, 1)


@pytest.mark.parametrize("task", TASKS)
def test_nothing_but_counts_is_kept_of_a_video(task: Task) -> None:
    earlier: list[weakref.ref[Any]] = []

    def one_by_one() -> Iterator[MapVideo]:
        for video in videos(task):
            drawn = video.drawn.copy()
            earlier.append(weakref.ref(drawn))
            yield MapVideo(video.name, drawn, video.truth)
            del drawn

    evaluation = evaluate_videos(one_by_one(), task)
    gc.collect()
    assert [reference() for reference in earlier] == [None] * 4
    assert evaluation.scores() == evaluated(task).scores()


def test_videos_are_asked_for_one_after_another() -> None:
    asked: list[str] = []

    def maps(name: str) -> Iterator[Any]:
        for video in videos("cavp"):
            asked.append(name)
            yield video.drawn if name == "drawn" else video.truth

    evaluate_maps(maps("drawn"), maps("truth"), "cavp")
    assert asked == ["drawn", "truth"] * 4


def test_classes_that_come_late_are_no_different() -> None:
    late = [one_frame([[0, 1]], [[0, 1]]), one_frame([[0, 7]], [[0, 6]], "two")]
    corrected = evaluate_videos(late, "cavp").scores()["corrected"]
    assert corrected["iou_per_class"] == [1.0, 1.0, None, None, None, None, 0.0, 0.0]
    assert corrected["miou"] == 0.5
    assert corrected == evaluate_videos(late[::-1], "cavp").scores()["corrected"]


def test_worst_frames_come_first_and_right_ones_not_at_all() -> None:
    drawn = [[[1.0, 1, 1, 1]], [[-1, -1, -1, -1]], [[1, 1, -1, -1]], [[1, -1, -1, -1]]]
    truth = [[[0, 0, 0, 0]], [[0, 0, 0, 0]], [[0, 1, 1, 1]], [[1, 0, 0, 0]]]
    evaluation = evaluate_videos([MapVideo("clip", np.array(drawn), np.array(truth))], "ms3")
    worst = find_worst(evaluation, evaluation.video_scores(), 9)
    assert [(frame["frame"], frame["iou"], frame["missed"], frame["extra"]) for frame in worst["frames"]] == [
        (0, 0.0, 0, 4), (2, 0.25, 2, 1),
    ]  # fmt: skip
    assert [frame["why"] for frame in worst["frames"]] == [
        "4 pixels drawn where nothing sounds", "of 3 pixels 2 missed, 1 extra",
    ]  # fmt: skip
    assert worst["videos"] == [{"video": "clip", "frames": 4, "miou": (0 + 1 + 0.25 + 1) / 4}]
    assert "pixels drawn where" in worst_tables(worst)[1].text()
    assert len(find_worst(evaluation, evaluation.video_scores(), 1)["frames"]) == 1


def test_of_frames_with_one_iou_those_with_more_wrong_pixels_are_worse() -> None:
    drawn, truth = [[[1.0, -1, -1]], [[1, 1, -1]]], [[[0, 0, 0]], [[0, 0, 1]]]
    evaluation = evaluate_videos([MapVideo("clip", np.array(drawn), np.array(truth))], "ms3")
    worst = find_worst(evaluation, evaluation.video_scores(), 2)["frames"]
    assert [(frame["frame"], frame["missed"] + frame["extra"]) for frame in worst] == [(1, 3), (0, 1)]


def test_worst_frames_of_class_maps_leave_out_padding_and_the_background() -> None:
    drawn = np.array([[[0, 1, 2, 2]], [[3, 3, 3, 3]]])
    truth = np.array([[[0, 1, 1, 2]], [[0, 0, 0, 0]]])
    frames = list(frames_of(evaluate_videos([MapVideo("clip", drawn, truth, real=1)], "avss")))
    assert [(frame.iou, frame.truth, frame.missed, frame.extra) for frame in frames] == [
        (pytest.approx((1 + 0.5 + 0.5) / 3), 3, 1, 1)
    ]
    ignored = evaluate_videos([one_frame([[0, 1]], [[255, 255]])], "cavp")
    assert [frame.iou for frame in frames_of(ignored)] == [1.0]
    assert ignored.scores()["corrected"]["miou"] is None


def test_the_worst_video_is_that_of_the_least_iou() -> None:
    evaluation = evaluated("avss")
    found = evaluation.video_scores()
    worst = find_worst(evaluation, found, 4)["videos"]
    assert [entry["miou"] for entry in worst] == sorted(video["corrected"]["miou"] for video in found.values())


@pytest.mark.parametrize(
    ("task", "drawn", "truth", "words"),
    [
        ("s4", [[np.nan]], [[0]], "video one: a logit is not a number"),
        ("s4", [[1.0]], [[2]], "video one: a truth of s4 is 0 or 1 at every pixel"),
        ("avss", [[1.0]], [[1]], "video one: a class map of float64, expected whole numbers"),
        ("cavp", [[1]], [[1.5]], "video one: a truth of float64, expected whole numbers"),
        ("avss", [[71]], [[0]], "video one: a class map holds 71, expected classes from 0 to 70"),
        ("avss", [[0]], [[71]], "video one: a truth holds 71, expected classes from 0 to 70"),
        ("cavp", [[-1]], [[0]], "video one: a class map holds -1"),
        ("cavp", [[0]], [[-1]], "video one: a truth holds -1"),
        ("cavp", [[]], [[]], "expected the same (frames, h, w), each 1 or more"),
    ],
)
def test_maps_that_cannot_be_scored(task: Task, drawn: Any, truth: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        evaluate_videos([one_frame(drawn, truth)], task)
    assert words in caught.value.headline


def test_a_truth_of_255_is_of_no_class_in_avss() -> None:
    video = one_frame([[1, 1]], [[1, 255]])
    assert evaluate_videos([video], "avss").scores()["corrected"]["iou_per_class"] == {"1": 0.5}
    assert evaluate_videos([video], "cavp").scores()["corrected"]["iou_per_class"] == [None, 1.0]
