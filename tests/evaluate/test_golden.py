"""Every value of the released evaluator's golden files, in both meanings.

``tests/data/evaluation/dev`` is a set of 12 videos, ``edge`` one case per quirk: ground truth, predictions and what
the released program and TrackEval 1.3.0 made of them. In these files a scalar stands for a list with equal entries,
null for NaN, and a category without ground truth and predictions is only named.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paths
import pytest
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Dataset
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError
from avis_cli.evaluate.instances import hota, track_map
from avis_cli.evaluate.instances.fsla import FslaCounts
from avis_cli.evaluate.instances.scores import Evaluation, Scores, evaluate_dataset
from avis_cli.evaluate.predictions import read_predictions
from avis_cli.evaluate.report.scores_file import document_of

DATA = paths.DATA / "evaluation"
EDGE = sorted(path.name for path in (DATA / "edge").iterdir())
TOLERANCE = 1e-9

# what our reader refuses; the released program fails on all but the first, in which it compares masks of unlike sizes
REFUSED = {
    "mask_size_mismatch_disjoint": "640x360, expected 1280x720",
    "mask_size_mismatch": "640x360, expected 1280x720",
    "segmentations_too_short": "segmentations",
    "gt_flat_polygon": "polygon",
    "gt_four_number_polygon": "polygon",
}
# the released program fails before it computes anything, and we do not
ACCEPTED = {"gt_compressed_rle_dict", "gt_uncompressed_rle_dict", "gt_without_areas"}
# the released FSLA fails, the rest of the program does not
FSLA_FAILS = {"fsla_gt_empty_list_multi": "empty list", "fsla_null_prediction_index_error": "shifts the columns"}

Found = Iterator[tuple[str, Any, Any]]


def load(case: Path) -> Dataset:
    truth = read_truth(case / "gt.json.gz", allow_empty=True)
    return read_predictions(case / "pred.json.gz", truth, ignore_unknown=True)


def golden(case: Path) -> dict[str, Any]:
    return json.loads((case / "golden.json").read_text())


def without_empty_predictions(dataset: Dataset) -> Dataset:
    videos = []
    for video in dataset.videos:
        tracks = [
            replace(track, masks=[m if m is not None and coco.area(m) else None for m in track.masks])
            for track in video.predictions
        ]
        videos.append(replace(video, predictions=tracks))
    return replace(dataset, videos=videos)


def compare(found: Found) -> tuple[int, list[str]]:
    """Number of values compared, and the names of those that differ."""
    compared, wrong = 0, []
    for name, ours, theirs in found:
        ours = np.atleast_1d(np.asarray(ours, np.float64))
        expected = np.asarray([math.nan if v is None else v for v in np.atleast_1d(np.asarray(theirs, object))], float)
        expected = np.broadcast_to(expected, ours.shape)
        compared += ours.size
        if not np.allclose(ours, expected, rtol=0, atol=TOLERANCE, equal_nan=True):
            wrong.append(f"{name}: {ours} instead of {expected}")
    return compared, wrong


def fsla_values(counts: FslaCounts, expected: dict[str, Any]) -> Found:
    frames = counts.frames
    for k, kind in enumerate(("FAn", "FAs", "FAm")):
        yield f"{kind}_all", frames[k], expected[f"{kind}_all"]
        yield f"{kind}_count", int(counts.right[k].mean()), expected[f"{kind}_count"]
        if f"{kind}_all_per_threshold" in expected:
            yield f"{kind}_all", np.full(19, frames[k]), expected[f"{kind}_all_per_threshold"]
            yield f"{kind}_count", counts.right[k], expected[f"{kind}_count_per_threshold"]
    for name, ratio in zip(("FA", "FAn", "FAs", "FAm"), counts.ratios(), strict=True):
        yield name, ratio, expected[name]
        yield f"{name}_mean", ratio.mean(), expected[f"{name}_mean"]


def sequence_values(evaluation: Evaluation, expected: dict[str, Any]) -> Found:
    videos = {video.name: video for video in evaluation.videos if video.id not in evaluation.dropped}
    assert set(videos) == set(expected)
    for name, kinds in expected.items():
        frames = videos[name].released_frames
        assert (frames is None) == ("error" in kinds)
        if frames is None:
            continue
        counts = frames.count()
        for k, kind in enumerate("nsm"):
            yield f"{name} {kind} all", counts.frames[k], kinds[kind]["all"]
            yield f"{name} {kind} correct", counts.right[k], kinds[kind]["correct"]


def class_values(scores: Scores, evaluation: Evaluation, expected: dict[str, Any]) -> Found:
    """HOTA and TrackMAP: per class, averaged over classes, and from counts added up over classes."""
    counts = {"HOTA_TP": "true_positives", "HOTA_FN": "false_negatives", "HOTA_FP": "false_positives"}
    everything = np.ones(len(evaluation.categories), bool)
    total = hota.HotaCounts.from_table(scores.hota.table().sum(axis=1))
    mean, summed = scores.hota_ratios.mean_of(everything), hota.ratios(total)
    absent = dict.fromkeys((*hota.PARTS, *counts), 0) | {"LocA": 1}
    ranges = [f"{metric}_{name}" for metric in ("AP", "AR") for name in track_map.RANGES]
    averages = [*track_map.mean_over_classes(scores.ap), *track_map.mean_over_classes(scores.ar)]
    for c, category in enumerate(evaluation.categories):
        named = expected["hota"]["per_class"].get(category.name, absent)
        assert (named is absent) == (category.name in expected["classes_absent"])
        for part in hota.PARTS:
            yield f"{category.name} {part}", getattr(scores.hota_ratios, part)[c], named[part]
        for key, field in counts.items():
            yield f"{category.name} {key}", getattr(scores.hota, field)[c], named[key]
        named = expected["track_map"]["per_class"].get(category.name, dict.fromkeys(ranges, -1))
        for name, ours in zip(ranges, (*scores.ap[c], *scores.ar[c]), strict=True):
            yield f"{category.name} {name}", ours, named[name]
    for part in hota.PARTS:
        yield part, getattr(mean, part), expected["hota"]["class_averaged"][part]
        yield f"{part} mean", getattr(mean, part).mean(), expected["hota"]["class_averaged_mean"][part]
        if "det_averaged" in expected["hota"]:
            yield f"{part} over detections", getattr(summed, part), expected["hota"]["det_averaged"][part]
    for key, field in counts.items():
        yield key, getattr(total, field), expected["hota"]["class_averaged"][key]
    for name, ours in zip(ranges, averages, strict=True):
        yield name, ours, expected["track_map"]["class_averaged"][name]
        yield f"{name} mean", ours.mean(), expected["track_map"]["class_averaged_mean"][name]


def trackeval_values(scores: Scores, evaluation: Evaluation, expected: dict[str, Any]) -> Found:
    clear, identity = scores.clear_total, scores.identity_total
    ours = {
        "CLR_TP": clear.true_positives,
        "CLR_FN": clear.false_negatives,
        "CLR_FP": clear.false_positives,
        "IDSW": clear.switches,
        "MT": clear.mostly_tracked,
        "PT": clear.partly_tracked,
        "ML": clear.mostly_lost,
        "Frag": clear.fragments,
        "MOTP_sum": clear.iou,
        "MOTA": clear.mota,
        "IDTP": identity.true_positives,
        "IDFN": identity.false_negatives,
        "IDFP": identity.false_positives,
        "IDF1": identity.idf1,
        "IDR": identity.idr,
        "IDP": identity.idp,
    }
    for block in (expected["CLEAR"], expected["Identity"], {k: expected[k] for k in ("IDSW", "MOTA", "IDF1")}):
        for key, value in block.items():
            yield key, ours[key], value
    for c, category in enumerate(evaluation.categories):
        named = expected["per_class"].get(category.name, {"IDSW": 0, "MOTA": 0, "IDF1": 0})
        yield f"{category.name} IDSW", scores.clear[c].switches, named["IDSW"]
        yield f"{category.name} MOTA", scores.clear[c].mota, named["MOTA"]
        yield f"{category.name} IDF1", scores.identity[c].idf1, named["IDF1"]


def returned_values(evaluation: Evaluation, expected: dict[str, Any]) -> Found:
    """The numbers of the report, as scores.json holds them, rounded as the released program does."""
    scores = document_of(evaluation)
    names = {"AP_all": "mAP", "AP_s": "AP_small", "AP_m": "AP_medium", "AP_l": "AP_large", "AR_all": "AR"}
    names |= {"FA": "FSLA", "FAn": "FSLA_none", "FAs": "FSLA_single", "FAm": "FSLA_multi"}
    for kind, word in (("n", "none"), ("s", "single"), ("m", "multi")):
        yield f"FA{kind}_all", scores["counts"][f"frames_{word}"], expected[f"FA{kind}_all"]
        yield f"FA{kind}_count", scores["counts"][f"right_{word}"], expected[f"FA{kind}_count"]
    for key, value in expected.items():
        if not key.endswith(("_all", "_count")) or key in names:
            ours = scores[names.get(key, key)]
            yield key, math.nan if ours is None else round(ours, 2), value


def released_values(evaluation: Evaluation, expected: dict[str, Any]) -> Found:
    official = expected.get("official_parts", expected["official"])
    if expected["official"]["status"] == "ok":
        assert evaluation.released.fsla is not None
        yield from fsla_values(evaluation.released.fsla, official["fsla"])
        yield from returned_values(evaluation, official["returned"])
    yield from sequence_values(evaluation, official["fsla_per_sequence"])
    yield from class_values(evaluation.released, evaluation, official)
    yield from trackeval_values(evaluation.released, evaluation, expected["trackeval"])


def corrected_values(dataset: Dataset, evaluation: Evaluation, expected: dict[str, Any]) -> Found:
    assert evaluation.corrected.fsla is not None
    yield from fsla_values(evaluation.corrected.fsla, expected["corrected_fsla"])
    if "nulled" not in expected:
        return
    nulled = evaluate_dataset(without_empty_predictions(dataset))
    block = expected["nulled"]
    if block.get("same_as_official"):
        block = {**expected.get("official_parts", expected["official"]), **block}
    yield from class_values(nulled.released, nulled, block)
    yield from trackeval_values(nulled.released, nulled, block["trackeval"])
    # ours also leaves out empty ground truth and keeps videos that share a name; mAP differs by the id-0 quirk
    truth_masks = [
        m for video in dataset.videos for t in video.truths for m in t.masks[: video.length] if m is not None
    ]
    if not evaluation.dropped and all(coco.area(m) for m in truth_masks):
        assert np.array_equal(nulled.released.hota.table(), evaluation.corrected.hota.table())
        yield from trackeval_values(evaluation.corrected, evaluation, block["trackeval"])
        for part in hota.PARTS:
            for name, named in block["hota"]["per_class"].items():
                c = [category.name for category in evaluation.categories].index(name)
                yield f"{name} {part}", getattr(evaluation.corrected.hota_ratios, part)[c], named[part]


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    counts: Counter[str] = Counter()
    yield counts
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print("\ngolden values, compared / equal:")
        for name in sorted({key.rsplit(" ", 1)[0] for key in counts}):
            print(f"  {name}: {counts[name + ' compared']} / {counts[name + ' equal']}")


def check(group: str, found: Found, tally: Counter[str]) -> None:
    compared, wrong = compare(found)
    tally[f"{group} cases compared"] += 1
    tally[f"{group} cases equal"] += not wrong
    tally[f"{group} values compared"] += compared
    tally[f"{group} values equal"] += compared if not wrong else 0
    assert compared
    assert not wrong, "\n".join(wrong)


def test_dev(tally: Counter[str]) -> None:
    dataset, expected = load(DATA / "dev"), golden(DATA / "dev")
    evaluation = evaluate_dataset(dataset)
    check("dev, released", released_values(evaluation, expected), tally)
    check("dev, corrected", corrected_values(dataset, evaluation, expected), tally)


@pytest.mark.parametrize("case", [case for case in EDGE if case not in REFUSED])
def test_edge_case(case: str, tally: Counter[str]) -> None:
    dataset, expected = load(DATA / "edge" / case), golden(DATA / "edge" / case)
    evaluation = evaluate_dataset(dataset)
    assert (expected["official"]["status"] == "error") == (case in ACCEPTED | set(FSLA_FAILS))
    if case not in ACCEPTED:
        check("edge, released", released_values(evaluation, expected), tally)
    check("edge, corrected", corrected_values(dataset, evaluation, expected), tally)


@pytest.mark.parametrize("case", REFUSED)
def test_refused_case(case: str, tally: Counter[str]) -> None:
    with pytest.raises(AnnotationError, match=REFUSED[case]):
        load(DATA / "edge" / case)
    assert "error" in golden(DATA / "edge" / case)["corrected_fsla"]
    tally["edge, refused cases compared"] += 1
    tally["edge, refused cases equal"] += 1


@pytest.mark.parametrize("case", FSLA_FAILS)
def test_released_fsla_has_no_value_where_its_program_stops(case: str) -> None:
    scores = document_of(evaluate_dataset(load(DATA / "edge" / case)))
    assert [scores[key] for key in ("FSLA", "FSLA_none", "FSLA_single", "FSLA_multi")] == [None] * 4
    assert scores["corrected"]["FSLA"] == pytest.approx(100.0)
    assert scores["HOTA"] is not None
    assert FSLA_FAILS[case] in scores["notes"][0]
