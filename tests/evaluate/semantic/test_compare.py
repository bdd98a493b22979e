"""Two runs side by side: intervals over videos are those of scoring drawn videos again."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from damaged_json import ANYTHING, put_anywhere
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from map_examples import evaluated, one_frame, videos

from avis_cli.errors import AnnotationError
from avis_cli.evaluate.semantic.compare import compare_tables, differences
from avis_cli.evaluate.semantic.document import MEASURES, document_of, read_document
from avis_cli.evaluate.semantic.evaluation import MapVideo, Task, evaluate_videos
from avis_cli.evaluate.semantic.printed import to_csv
from avis_cli.evaluate.semantic.resample import draw_weights, interval, resampled

TASKS: tuple[Task, ...] = get_args(Task)


def document(task: Task, seed: int = 0, right: float = 0.7, **options: Any) -> dict[str, Any]:
    return dict(json.loads(json.dumps(document_of(evaluated(task, seed, right, **options), task))))


@pytest.mark.parametrize("task", TASKS)
def test_a_set_of_all_videos_scores_as_it_was_measured(task: Task) -> None:
    run = document(task)
    samples = resampled(task, list(run["per_video"].values()), np.ones((1, 4), int))
    assert set(samples) == set(MEASURES[task])
    for name, values in samples.items():
        assert values.tolist() == [pytest.approx(run["corrected"][name], abs=1e-9)], name


@pytest.mark.parametrize("task", ["avss", "cavp"])
@given(counts=st.lists(st.integers(0, 3), min_size=4, max_size=4).filter(any))
@settings(max_examples=20, deadline=None)
def test_a_drawn_set_scores_as_if_it_were_scored_anew(task: Task, counts: list[int]) -> None:
    run = document(task)
    samples = resampled(task, list(run["per_video"].values()), np.array([counts]))
    again = [
        MapVideo(f"{video.name} {copied}", video.drawn, video.truth)
        for video, count in zip(videos(task), counts, strict=True)
        for copied in range(count)
    ]
    wanted = evaluate_videos(again, task).scores()["corrected"]
    for name, values in samples.items():
        assert values[0] == pytest.approx(wanted[name], abs=1e-9), name


def test_a_drawn_binary_set_keeps_the_threshold() -> None:
    run, evaluation = document("ms3"), evaluated("ms3")
    at = run["corrected"]["fscore_at"]
    samples = resampled("ms3", list(run["per_video"].values()), np.array([[0, 2, 0, 1]]))
    again = [evaluation.counts[number].exact for number in (1, 1, 3)]
    curve = type(again[0]).join(again).curve()
    assert samples["fscore"][0] == pytest.approx(curve[at])
    assert samples["miou"][0] == pytest.approx(type(again[0]).join(again).iou(of_silence="all").mean())


def test_what_is_undefined_in_a_draw_is_left_out() -> None:
    quiet = evaluate_videos([one_frame([[-1.0]], [[0]]), one_frame([[1.0]], [[1]], "two")], "s4")
    entries = list(json.loads(json.dumps(document_of(quiet, "s4")))["per_video"].values())
    samples = resampled("s4", entries, np.array([[2, 0], [0, 2]]))
    assert np.isnan(samples["fscore"][0])
    assert interval(samples["fscore"]) == (1, 1)
    assert interval(np.array([np.nan])) is None
    assert interval(np.arange(101.0)) == (2.5, 97.5)


def test_videos_are_drawn_with_replacement_and_by_the_seed() -> None:
    weights = draw_weights(6, draws=500, seed=3)
    assert (weights.sum(1) == 6).all()
    assert weights.mean(0) == pytest.approx(np.ones(6), abs=0.15)
    assert weights.max() > 2
    assert (weights == draw_weights(6, 500, 3)).all()
    assert (weights != draw_weights(6, 500, 4)).any()


@pytest.mark.parametrize("task", TASKS)
def test_differences(task: Task) -> None:
    this, other = document(task, 1, 0.9), document(task, 2, 0.5)
    found = differences(this, other, "old.json")
    for name in MEASURES[task]:
        entry = found["corrected"][name]
        assert entry["other"] == other["corrected"][name]
        assert entry["difference"] == pytest.approx(this["corrected"][name] - other["corrected"][name])
        assert entry["low"] < entry["difference"] < entry["high"], name
        assert (entry["low"] > 0) == (name != "fdr")
        released = found["released"][name]
        if this["released"].get(name) is not None:
            assert released["difference"] == pytest.approx(this["released"][name] - other["released"][name])
    assert list(found["per_video"]) == list(this["per_video"])
    assert found == differences(this, other, "old.json")
    overall, by_video = compare_tables(this, found)
    assert "old.json" in overall.title
    assert f"{100 * found['corrected']['miou']['difference']:+.2f}" in overall.text()
    assert f"{100 * found['corrected']['miou']['low']:+.2f} to " in overall.text()
    assert "three" in by_video.text()


@pytest.mark.parametrize("task", TASKS)
def test_a_run_beside_itself_does_not_differ(task: Task) -> None:
    """Both runs are drawn alike, so that nothing is left of the chance in the videos."""
    run = document(task)
    entries = differences(run, copy.deepcopy(run), "itself")["corrected"].values()
    assert [(entry["difference"], entry["low"], entry["high"]) for entry in entries] == [(0, 0, 0)] * len(entries)


def test_the_order_of_videos_in_a_file_does_not_matter() -> None:
    this, other = document("avss", 1, 0.9), document("avss", 2, 0.5)
    turned = {**other, "per_video": dict(reversed(list(other["per_video"].items())))}
    assert differences(this, turned, "x") == differences(this, other, "x")


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (document("avss"), "old: scores of avss, these are of ms3"),
        (document("ms3", batch_size=2), "old: scored in batches of 2, these in batches of 1; give --batch-size 2"),
        ({**document("ms3"), "per_video": {}}, "old: has no scores of video one"),
    ],
)
def test_runs_that_cannot_be_compared(other: dict[str, Any], words: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        differences(document("ms3"), other, "old")
    assert words in caught.value.headline


def test_a_further_video_is_named() -> None:
    other = document("ms3")
    other["per_video"]["five"] = other["per_video"]["one"]
    with pytest.raises(AnnotationError, match="old: has scores of a further video, five"):
        differences(document("ms3"), other, "old")


@pytest.mark.parametrize("task", [*TASKS, "vpo"])
def test_a_file_is_read_as_it_was_written(task: Any, tmp_path: Path) -> None:
    run = document_of(evaluated("cavp" if task == "vpo" else task), task)
    (tmp_path / "scores.json").write_text(json.dumps(run))
    read = read_document(tmp_path / "scores.json")
    assert differences(run, read, "x") == differences(run, json.loads(json.dumps(run)), "x")
    assert to_csv(run).count("\n") > 6


@pytest.mark.parametrize("task", TASKS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_refused_or_can_be_compared(task: Task, data: st.DataObject, tmp_path: Path) -> None:
    run = document(task)
    damaged = copy.deepcopy(run)
    put_anywhere(damaged, data.draw(ANYTHING), data)
    path = tmp_path / "scores.json"
    path.write_text(json.dumps(damaged))
    with suppress(AnnotationError):
        differences(run, read_document(path), "x")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: run.update(task="s5"), "expected scores of class maps"),
        (lambda run: run["corrected"].update(miou=2), "corrected.miou"),
        (lambda run: run["per_video"]["one"].update(frames=0), "per_video.one.frames"),
        (lambda run: run["per_video"]["one"]["corrected"].update(miou=None), "per_video.one.corrected.miou"),
        (lambda run: run["per_video"]["one"]["corrected"].update(frames_with_truth=9), "frames_with_truth"),
        (lambda run: run.update(per_video={}), "per_video"),
    ],
)
def test_the_field_that_is_wrong_is_named(change: Any, words: str, tmp_path: Path) -> None:
    run = document("ms3")
    change(run)
    (tmp_path / "scores.json").write_text(json.dumps(run))
    with pytest.raises(AnnotationError) as caught:
        read_document(tmp_path / "scores.json")
    assert words in caught.value.headline
    assert "scores.json" in caught.value.headline


def test_a_ratio_of_a_class_is_at_most_one(tmp_path: Path) -> None:
    run = document("avss")
    run["per_video"]["one"]["classes"]["1"]["iou"] = 1.5
    (tmp_path / "scores.json").write_text(json.dumps(run))
    with pytest.raises(AnnotationError, match=r"classes\.1\.iou is 1\.5, expected a number from 0 to 1"):
        read_document(tmp_path / "scores.json")


def test_a_class_of_a_video_is_a_number(tmp_path: Path) -> None:
    for wrong in ("dog", "-1", "256", "²"):
        run = document("avss")
        run["per_video"]["one"]["classes"][wrong] = run["per_video"]["one"]["classes"]["1"]
        (tmp_path / "scores.json").write_text(json.dumps(run))
        with pytest.raises(AnnotationError, match="expected a class from 0 to 255"):
            read_document(tmp_path / "scores.json")
