"""The layout of scores.json, both ways: ``Evaluation`` -> JSON values, and a file of this or an earlier run -> numbers.

Strict JSON: no NaN.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from avis_cli.evaluate.instances import hota
from avis_cli.evaluate.instances.fsla import KINDS, FslaCounts
from avis_cli.evaluate.instances.scores import Evaluation, MetricValues, Scores
from avis_cli.evaluate.instances.video_scores import VideoScores
from avis_cli.files.json_file import DEFAULT_MAX_BYTES, read_json
from avis_cli.files.strict_json import Node


def document_of(evaluation: Evaluation) -> dict[str, Any]:
    """The JSON values of scores.json: percent at full precision, None where undefined."""
    released, corrected = evaluation.released, evaluation.corrected
    per_category = {
        category.name: {**vars(released.of_class(c)), "corrected": vars(corrected.of_class(c))}
        for c, category in enumerate(evaluation.categories)
    }
    per_video = {
        key: _video(evaluation, video) for key, video in zip(_keys(evaluation), evaluation.videos, strict=True)
    }
    return {
        **vars(released.metric_values()),
        "corrected": vars(corrected.metric_values()),
        "sounding_categories": {**_hota_parts(released), "corrected": _hota_parts(corrected)},
        "per_category": per_category,
        "per_video": per_video,
        "counts": _counts(evaluation),
        "counts_corrected": _errors(evaluation.corrected),
        "notes": _notes(evaluation),
    }


def _hota_parts(scores: Scores) -> dict[str, float | None]:
    """HOTA and its parts as the mean over the categories that have ground truth."""
    values = vars(scores.metric_values(scores.sounding()))
    return {part: values[part] for part in hota.PARTS}


def _video(evaluation: Evaluation, video: VideoScores) -> dict[str, Any]:
    released, corrected = evaluation.of_video(video)
    return {
        **vars(released.metric_values(released.occurring())),
        "corrected": vars(corrected.metric_values(corrected.occurring())),
    }


def _keys(evaluation: Evaluation) -> list[str]:
    """The videos' names; of several that share one, those that the released evaluator drops get their id too."""
    dropped = evaluation.dropped
    return [f"{video.name} (id {video.id})" if video.id in dropped else video.name for video in evaluation.videos]


def _counts(evaluation: Evaluation) -> dict[str, Any]:
    videos = evaluation.videos
    return {
        "videos": len(videos),
        "categories": len(evaluation.categories),
        "ground_truth_tracks": sum(video.truths for video in videos),
        "ground_truth_masks": sum(video.truth_masks for video in videos),
        "predicted_tracks": sum(video.predictions for video in videos),
        "predicted_masks": sum(video.prediction_masks for video in videos),
        "predicted_empty_masks": sum(video.empty_masks for video in videos),
        **_errors(evaluation.released),
    }


def _errors(scores: Scores) -> dict[str, int | None]:
    clear, identity = scores.clear_total, scores.identity_total
    return {
        **_frames(scores.fsla),
        "CLR_TP": clear.true_positives,
        "CLR_FN": clear.false_negatives,
        "CLR_FP": clear.false_positives,
        "IDSW": clear.switches,
        "MT": clear.mostly_tracked,
        "PT": clear.partly_tracked,
        "ML": clear.mostly_lost,
        "Frag": clear.fragments,
        "IDTP": identity.true_positives,
        "IDFN": identity.false_negatives,
        "IDFP": identity.false_positives,
    }


def _frames(fsla: FslaCounts | None) -> dict[str, int | None]:
    """Frames of each kind and the right ones, their mean over the thresholds cut to a whole number."""
    counts: dict[str, int | None] = {}
    for k, kind in enumerate(KINDS):
        counts[f"frames_{kind}"] = None if fsla is None else int(fsla.frames[k])
        counts[f"right_{kind}"] = None if fsla is None else int(np.mean(fsla.right[k]))
    return counts


def _notes(evaluation: Evaluation) -> list[str]:
    notes = [
        f"the released FSLA is undefined: its program stops in video {name!r}, {cause}"
        for name, cause in evaluation.released_failures
    ]
    names = {video.id: video.name for video in evaluation.videos}
    notes += [
        f"the released columns leave out video {identity} ({names[identity]!r}): a later one has the same name"
        for identity in sorted(evaluation.dropped)
    ]
    return notes


METRICS = tuple(field.name for field in fields(MetricValues))


@dataclass(frozen=True)
class BothMeanings:
    """The same numbers in both meanings."""

    released: MetricValues
    corrected: MetricValues


@dataclass(frozen=True)
class Report:
    """What scores.json holds; categories and videos by name, in its order.

    ``sounding``: HOTA and its parts over the categories that have ground truth, the rest undefined.
    """

    overall: BothMeanings
    sounding: BothMeanings | None
    categories: dict[str, BothMeanings]
    videos: dict[str, BothMeanings]
    counts: dict[str, Any]
    notes: list[str]


def read_scores(path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> Report:
    """A scores.json that ``avis evaluate`` wrote. Raises ``AnnotationError`` naming the field that is none."""
    top = read_json(path, max_bytes=max_bytes)
    if not top.has("FSLA") or not top.has("corrected"):
        top.refuse(
            "scores that `avis evaluate --output scores.json` wrote",
            got="something else",
            hint="evaluate that run first",
        )
    return _report(top)


def report_of(document: dict[str, Any]) -> Report:
    """The typed form of the layout; a metric that is missing is undefined."""
    return _report(Node(document))


def _report(top: Node) -> Report:
    counts = top.key("counts").value if top.has("counts") else {}
    return Report(
        overall=_pair(top),
        sounding=_pair(top.key("sounding_categories")) if top.has("sounding_categories") else None,
        categories=_pairs(top, "per_category"),
        videos=_pairs(top, "per_video"),
        counts=counts if isinstance(counts, dict) else {},
        notes=[item.text() for item in top.key("notes").items()] if top.has("notes") else [],
    )


def _pairs(top: Node, key: str) -> dict[str, BothMeanings]:
    if not top.has(key):
        return {}
    entries = top.key(key)
    if not isinstance(entries.value, dict):
        entries.refuse("an object with an entry per name")
    return {name: _pair(entries.key(name)) for name in entries.value}


def _pair(node: Node) -> BothMeanings:
    return BothMeanings(_metric_values(node), _metric_values(node.key("corrected")))


def _metric_values(node: Node) -> MetricValues:
    if not isinstance(node.value, dict):
        node.refuse("an object with the metrics")
    values: dict[str, Any] = {}
    for name in METRICS:
        item = node.key(name) if node.has(name) else None
        if item is None or item.is_null:
            values[name] = None
        else:
            values[name] = item.integer() if name == "IDSW" else item.number(-math.inf)
    return MetricValues(**values)
