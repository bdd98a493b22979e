"""A run of class maps beside another one on the same videos: differences, and how far they may be chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avis_cli.errors import AnnotationError
from avis_cli.evaluate.report.tables import Table, cut_path, signed
from avis_cli.evaluate.semantic.document import MEASURES
from avis_cli.evaluate.semantic.printed import LABELS, SHORT, percent
from avis_cli.evaluate.semantic.resample import DRAWS, LEVEL, SEED, draw_weights, interval, resampled

Document = Mapping[str, Any]


def differences(this: Document, other: Document, file: str, draws: int = DRAWS, seed: int = SEED) -> dict[str, Any]:
    """What scores.json says of a comparison: for each mean the ``other`` run's and the ``difference`` to it; in
    corrected meaning also the interval from ``low`` to ``high`` in which the difference lies in ``LEVEL`` percent of
    ``draws`` sets of videos, each drawn for both runs alike. Raises AnnotationError for runs that cannot be compared.
    """
    _check(this, other, file)
    task = this["task"]
    found: dict[str, Any] = {"file": file, "bootstrap": {"draws": draws, "seed": seed, "level": LEVEL}}
    for meaning in ("released", "corrected"):
        found[meaning] = {
            name: {
                "other": other[meaning].get(name),
                "difference": difference(this[meaning].get(name), other[meaning].get(name)),
            }
            for name in MEASURES[task]
        }
    names = list(this["per_video"])
    weights = draw_weights(len(names), draws, seed)
    mine, theirs = (resampled(task, [run["per_video"][name] for name in names], weights) for run in (this, other))
    for name, entry in found["corrected"].items():
        low, high = interval(mine[name] - theirs[name]) or (None, None)
        entry.update(low=low, high=high)
    found["per_video"] = {
        name: {
            measure: difference(this["per_video"][name]["corrected"][measure],
                                other["per_video"][name]["corrected"][measure])
            for measure in MEASURES[task]
        }
        for name in names
    }  # fmt: skip
    return found


def difference(mine: float | None, theirs: float | None) -> float | None:
    """None where either is undefined."""
    return None if mine is None or theirs is None else mine - theirs


def _check(this: Document, other: Document, file: str) -> None:
    if this["task"] != other["task"]:
        raise AnnotationError(f"scores of {other['task']}, these are of {this['task']}", file=file)
    sizes = [run["released"].get("batch_size") for run in (other, this)]
    if sizes[0] != sizes[1]:
        hint = f"give --batch-size {sizes[0]} to both"
        raise AnnotationError(f"scored in batches of {sizes[0]}, these in batches of {sizes[1]}", hint=hint, file=file)
    for one, two, words in ((this, other, "has no scores of video"), (other, this, "has scores of a further video,")):
        for name in one["per_video"]:
            if name not in two["per_video"]:
                raise AnnotationError(f"{words} {name}", hint="compare runs over the same videos", file=file)


def compare_tables(this: Document, compared: Mapping[str, Any]) -> list[Table]:
    """What ``differences`` found, overall and by video."""
    rows = []
    for name in MEASURES[this["task"]]:
        row = [LABELS[name]]
        for meaning in ("released", "corrected"):
            entry = compared[meaning][name]
            row += [percent(this[meaning].get(name)), percent(entry["other"]), _change(entry["difference"])]
        rows.append([*row, _interval(compared["corrected"][name])])
    title = f"This run and {cut_path(compared['file'], 80)}"
    header = ["", *("this", "other", "change") * 2, f"{compared['bootstrap']['level']:g} %"]
    measures = MEASURES[this["task"]]
    videos = [[name, *map(_change, values.values())] for name, values in compared["per_video"].items()]
    return [
        Table(title, header, rows, (("released", 3), ("corrected", 4))),
        Table("Changes by video, corrected", ["", *(SHORT[name] for name in measures)], videos),
    ]


def _change(value: float | None) -> str:
    return signed(None if value is None else 100 * value)


def _interval(entry: Mapping[str, Any]) -> str:
    return "-" if entry["low"] is None else f"{_change(entry['low'])} to {_change(entry['high'])}"
