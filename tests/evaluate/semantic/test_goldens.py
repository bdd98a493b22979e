"""Scores of class maps against those of the released programs, and against a plain count of the corrected meaning."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import paths
import pytest
from numpy.typing import NDArray

import avis_cli
from avis_cli.evaluate.semantic import binary, classes, whole_set
from avis_cli.evaluate.semantic.binary import THRESHOLDS, BinaryVideo
from avis_cli.evaluate.semantic.classes import ClassCounts

AVS = paths.DATA / "evaluation" / "avs"
CASES = np.load(AVS / "cases.npz")
GOLDEN = json.loads((AVS / "golden.json").read_text())
CAVP = json.loads((paths.DATA / "evaluation" / "cavp" / "golden.json").read_text())


def agree(found: Any, wanted: Any, tolerance: float) -> None:
    for name, value in wanted.items():
        if isinstance(value, dict):
            agree(found[name], value, tolerance)
        elif isinstance(value, float):
            assert found[name] == pytest.approx(value, abs=tolerance), name
        else:
            assert found[name] == value, name


@pytest.mark.parametrize("case", GOLDEN["binary"])
def test_binary_cases(case: str) -> None:
    scores = avis_cli.evaluate_maps(CASES[f"binary_{case}_logits"][None], CASES[f"binary_{case}_truth"][None], "s4")
    agree(scores["released"], GOLDEN["binary"][case]["released"], 2e-6)
    agree(scores["corrected"], GOLDEN["binary"][case]["corrected"], 1e-9)


@pytest.mark.parametrize("run", GOLDEN["binary_set"]["released"])
def test_a_binary_set_in_any_order_and_batches(run: str) -> None:
    order, batch = run.split("_batch")
    places = GOLDEN["binary_set"]["orders"][order]
    scores = avis_cli.evaluate_maps(CASES["set_logits"][places], CASES["set_truth"][places], "ms3", int(batch))
    wanted = GOLDEN["binary_set"]["released"][run]
    assert scores["released"]["batch_miou"] == pytest.approx(wanted["batch_miou"], abs=2e-6)
    assert scores["released"]["batch_fscore"] == pytest.approx(wanted["batch_fscore"], abs=2e-6)
    agree(scores["released"], {name: wanted[name] for name in ("miou", "fscore")}, 2e-6)
    agree(scores["corrected"], GOLDEN["binary_set"]["corrected"], 1e-9)


def test_the_thresholds_are_those_of_the_release() -> None:
    wanted = GOLDEN["f_thresholds"]
    assert len(THRESHOLDS) == wanted["count"]
    ends = [THRESHOLDS[:3], THRESHOLDS[-2:]]
    assert [end.tolist() for end in ends] == [pytest.approx(wanted[name], abs=1e-9) for name in ("first", "last")]
    assert float(THRESHOLDS[127]) == wanted["index_127"]


@pytest.mark.parametrize("case", GOLDEN["semantic"])
def test_semantic_cases(case: str) -> None:
    wanted = GOLDEN["semantic"][case]
    scores = avis_cli.evaluate_maps(
        CASES[f"semantic_{case}_pred"], CASES[f"semantic_{case}_truth"], "avss", valid=wanted["valid_frames"]
    )
    released = {name: value for name, value in wanted["released"].items() if name != "per_frame_mean"}
    agree(scores["released"], released, 2e-6)
    agree(scores["released"], wanted["released_batch1"], 2e-6)
    agree(scores["corrected"], wanted["corrected"], 1e-9)


def logits_of(entry: dict[str, Any]) -> NDArray[np.float32]:
    shape, labels = tuple(entry["shape"]), np.array(entry["labels"])
    labels = labels if labels.ndim == 3 else labels[None]
    made = np.random.RandomState(entry["seed"]).standard_normal(shape).astype(np.float32)
    known = np.where(labels == whole_set.IGNORED, 0, labels)
    hints = {
        "label": known, "label+1": (known + 1) % shape[1], "zeros": np.zeros_like(known), "ones": np.ones_like(known),
        "1-label": 1 - known,
    }  # fmt: skip
    hot = np.moveaxis(np.eye(shape[1], dtype=np.float32)[hints[entry["hint"]]], -1, 1)
    return np.zeros(shape, np.float32) if entry.get("zero") else made + np.float32(entry["boost"]) * hot


@pytest.mark.parametrize("case", CAVP["dataset_level"], ids=lambda case: case["name"])
def test_whole_sets_as_cavp_scores_them(case: dict[str, Any]) -> None:
    images = [
        ClassCounts.of(logits_of(image).argmax(1), np.array(image["labels"])[None], case["classes"], whole_set.IGNORED)
        for image in case["images"]
    ]
    for count, image in enumerate(case["images"], start=1):
        so_far = whole_set.scores(images[:count])["released"]
        if image["running_miou"] is not None:
            assert so_far["miou"] == pytest.approx(image["running_miou"], abs=1e-4)
        if image["running_acc"] is not None and so_far["acc"] is not None:
            assert so_far["acc"] == pytest.approx(image["running_acc"], abs=1e-4)
    released = whole_set.scores(images, case["subset"])["released"]
    agree(released, {name: case[name] for name in ("miou", "acc", "fdr", "f1", "f03")}, 1e-4)
    assert released["iou_per_class"] == pytest.approx(case["iou_per_class"], abs=1e-6)


@pytest.mark.parametrize("case", CAVP["clip_binary"], ids=lambda case: case["name"])
def test_clips_of_two_logits_as_cavp_scores_them(case: dict[str, Any]) -> None:
    clip = BinaryVideo.of_two(logits_of(case), np.array(case["labels"]))
    released = binary.scores([clip])["released"]
    assert released["miou"] == pytest.approx(case["J"], abs=1e-6)
    assert released["fscore"] == pytest.approx(case["F"], abs=1e-6)


@pytest.mark.parametrize("case", CAVP["colour"], ids=lambda case: case["name"])
def test_class_sums_of_images(case: dict[str, Any]) -> None:
    counts = ClassCounts.of(logits_of(case).argmax(1), np.array(case["labels"]), case["shape"][1])
    frames = counts.either > 0
    assert counts.iou().sum(0).tolist() == pytest.approx(case["iou_sum"], abs=2e-6)
    assert counts.f().sum(0).tolist() == pytest.approx(case["f_sum"], abs=2e-6)
    assert frames.sum(0).tolist() == case["count"]


def test_corrected_class_scores_leave_out_what_is_nowhere() -> None:
    counts = ClassCounts.of(np.array([[[0, 2]]]), np.array([[[0, 2]]]), 4)
    corrected = classes.scores([counts])["corrected"]
    assert (corrected["miou"], corrected["miou_noBg"], corrected["classes_seen"]) == (1.0, 1.0, 2)
    assert classes.scores([counts])["released"]["miou"] == 0.5
