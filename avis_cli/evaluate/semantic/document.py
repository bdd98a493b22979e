"""The layout of scores.json of class maps: ``MapEvaluation`` -> JSON values, and a file of an earlier run -> the same.

Ratios from 0 to 1 at full precision, None where undefined. Strict JSON: no NaN.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from avis_cli.evaluate.semantic.binary import THRESHOLDS
from avis_cli.evaluate.semantic.evaluation import MapEvaluation
from avis_cli.files.json_file import DEFAULT_MAX_BYTES, read_json
from avis_cli.files.strict_json import Node

_OF_SETS = ("miou", "miou_noBg", "acc", "fdr", "f1", "f03")
MEASURES = {
    "s4": ("miou", "fscore"),
    "ms3": ("miou", "fscore"),
    "avss": ("miou", "miou_noBg", "fscore", "fscore_noBg", "accumulated_miou", "accumulated_miou_noBg"),
    "vpo": _OF_SETS,
    "cavp": _OF_SETS,
}
"""The means of each benchmark; ``accumulated``: pixels are summed over the set before they are divided."""
PER_CLASS = {
    "avss": {"miou": "iou", "fscore": "f", "accumulated_miou": "accumulated_iou"},
    "vpo": {"miou": "iou", "fdr": "fdr", "f1": "f1", "f03": "f03"},
    "cavp": {"miou": "iou", "fdr": "fdr", "f1": "f1", "f03": "f03"},
}
"""Mean -> what it is the mean of, as ``NAME_per_class`` has it."""
_IN_A_VIDEO = {"avss": ("frames", "iou", "f", "both", "either"), "cavp": ("hits", "missed", "false")}
_IN_A_VIDEO["vpo"] = _IN_A_VIDEO["cavp"]


def document_of(
    evaluation: MapEvaluation, benchmark: str, class_names: Mapping[int, str] | None = None
) -> dict[str, Any]:
    """The JSON values. ``benchmark``: s4, ms3, avss, vpo or cavp; ``class_names``: where they are known."""
    curve = evaluation.curve()
    return {
        "task": benchmark,
        **evaluation.scores(),
        **({} if curve is None else {"curve": {"thresholds": THRESHOLDS.tolist(), "f": curve.tolist()}}),
        **({} if class_names is None else {"class_names": {str(id): name for id, name in class_names.items()}}),
        "counts": {"videos": len(evaluation.names), "frames": sum(evaluation.real)},
        "per_video": evaluation.video_scores(),
    }


def class_value(scores: Mapping[str, Any], name: str, number: int) -> float | None:
    """Of released or corrected scores the one called ``name`` of a class; None where it has none."""
    values = scores.get(f"{name}_per_class", {})
    if isinstance(values, list):
        return values[number] if number < len(values) else None
    value: float | None = values.get(str(number))
    return value


def classes_of(document: Mapping[str, Any]) -> list[int]:
    """The classes that occur in truth or prediction, rising."""
    values = document["corrected"].get("iou_per_class", {})
    pairs = enumerate(values) if isinstance(values, list) else values.items()
    return [int(number) for number, value in pairs if value is not None]


def read_document(path: str | os.PathLike[str], *, max_bytes: int = DEFAULT_MAX_BYTES) -> dict[str, Any]:
    """Scores of class maps that ``avis evaluate`` wrote, as far as another run can be compared with them. Raises
    AnnotationError naming the field that is not as it should be."""
    top = read_json(path, max_bytes=max_bytes)
    task = top.value.get("task") if isinstance(top.value, dict) else None
    if not isinstance(task, str) or task not in MEASURES:
        top.refuse(
            "scores of class maps, which `avis evaluate -o scores.json` wrote", got="something else",
            hint="evaluate that run first",
        )  # fmt: skip
    released, corrected = top.key("released"), top.key("corrected")
    content: dict[str, Any] = {"task": task, "released": {}, "corrected": {}, "per_video": {}}
    for meaning, node in (("released", released), ("corrected", corrected)):
        content[meaning] = {name: _share(node.key(name)) for name in MEASURES[task] if node.has(name)}
    if released.has("batch_size"):
        content["released"]["batch_size"] = released.key("batch_size").integer(low=1)
    videos = top.key("per_video")
    for name in _names(videos):
        content["per_video"][name] = _read_video(videos.key(name), task)
    return content


def _read_video(node: Node, task: str) -> dict[str, Any]:
    corrected = node.key("corrected")
    video: dict[str, Any] = {
        "frames": node.key("frames").integer(low=1),
        "corrected": {name: _share(corrected.key(name)) for name in MEASURES[task]},
    }
    if task not in _IN_A_VIDEO:
        video["corrected"]["miou"] = corrected.key("miou").number(0, 1)
        video["corrected"]["fscore_of_set"] = _share(corrected.key("fscore_of_set"))
        found = corrected.key("frames_with_truth").integer(high=video["frames"])
        return {**video, "corrected": {**video["corrected"], "frames_with_truth": found}}
    entries = node.key("classes")
    video["classes"] = {}
    for number in _names(entries, least=0):
        entry = entries.key(number)
        if not (number.isascii() and number.isdigit() and int(number) < _MOST_CLASSES):
            entry.refuse(f"a class from 0 to {_MOST_CLASSES - 1}", got=number)
        video["classes"][number] = {
            name: entry.key(name).number(0, 1) if name in ("iou", "f") else entry.key(name).integer()
            for name in _IN_A_VIDEO[task]
        }
    return video


_MOST_CLASSES = 256  # that a label image can hold


def _names(node: Node, least: int = 1) -> list[str]:
    if not isinstance(node.value, dict) or len(node.value) < least:
        node.refuse("an object with an entry per name")
    return list(node.value)


def _share(node: Node) -> float | None:
    return None if node.is_null else node.number(0, 1)
