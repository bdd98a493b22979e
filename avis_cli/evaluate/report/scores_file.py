"""scores.json -> typed numbers: of this run and of an earlier one alike."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import Any

from avis_cli.evaluate.instances.scores import Headline
from avis_cli.files.json_file import DEFAULT_MAX_BYTES, read_json
from avis_cli.files.strict_json import Node

METRICS = tuple(field.name for field in fields(Headline))


@dataclass(frozen=True)
class Pair:
    """The same numbers in both meanings."""

    released: Headline
    corrected: Headline


@dataclass(frozen=True)
class Report:
    """What scores.json holds; categories and videos by name, in its order.

    ``sounding``: HOTA and its parts over the categories that have ground truth, the rest undefined.
    """

    overall: Pair
    sounding: Pair | None
    categories: dict[str, Pair]
    videos: dict[str, Pair]
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


def _pairs(top: Node, key: str) -> dict[str, Pair]:
    if not top.has(key):
        return {}
    entries = top.key(key)
    if not isinstance(entries.value, dict):
        entries.refuse("an object with an entry per name")
    return {name: _pair(entries.key(name)) for name in entries.value}


def _pair(node: Node) -> Pair:
    return Pair(_headline(node), _headline(node.key("corrected")))


def _headline(node: Node) -> Headline:
    if not isinstance(node.value, dict):
        node.refuse("an object with the metrics")
    values: dict[str, Any] = {}
    for name in METRICS:
        item = node.key(name) if node.has(name) else None
        if item is None or item.is_null:
            values[name] = None
        else:
            values[name] = item.integer() if name == "IDSW" else item.number(-math.inf)
    return Headline(**values)
