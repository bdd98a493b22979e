"""Two runs side by side."""

from __future__ import annotations

from typing import Any

from avis_cli.evaluate.instances.scores import Headline
from avis_cli.evaluate.report.printed import LABELS, cell
from avis_cli.evaluate.report.scores_file import METRICS, Pair, Report
from avis_cli.evaluate.report.tables import Table, cut_path, signed

_COLUMNS = ("FSLA", "HOTA", "mAP", "IDF1")


def difference(this: Headline, other: Headline, metric: str) -> float | None:
    """This run minus the other, None where either is undefined."""
    mine: float | None = getattr(this, metric)
    theirs: float | None = getattr(other, metric)
    return None if mine is None or theirs is None else mine - theirs


def differences(this: Report, other: Report) -> dict[str, Any]:
    """The other run's overall numbers and the differences to them, laid out as in scores.json."""

    def one(mine: Headline, theirs: Headline) -> dict[str, Any]:
        return {
            metric: {"other": getattr(theirs, metric), "difference": difference(mine, theirs, metric)}
            for metric in METRICS
        }

    mine, theirs = this.overall, other.overall
    return {**one(mine.released, theirs.released), "corrected": one(mine.corrected, theirs.corrected)}


def compare(this: Report, other: Report, other_name: str) -> list[Table]:
    """Overall numbers, then the categories and videos that both runs have."""
    rows = []
    for metric, label in LABELS.items():
        row = [label]
        for mine, theirs in (
            (this.overall.released, other.overall.released),
            (this.overall.corrected, other.overall.corrected),
        ):
            row += [cell(mine, metric), cell(theirs, metric), _change(mine, theirs, metric)]
        rows.append(row)
    title = f"This run and {cut_path(other_name, 80)}"
    header = ["", *("this", "other", "change") * 2]
    tables = [Table(title, header, rows, (("released", 3), ("corrected", 3)))]
    for heading, mine_of, theirs_of in (
        ("Changes by category, corrected", this.categories, other.categories),
        ("Changes by video, corrected", this.videos, other.videos),
    ):
        # without a value for FSLA there is no track in either: nothing to compare
        shared = {
            name: pair
            for name, pair in mine_of.items()
            if name in theirs_of and (pair.corrected.FSLA is not None or theirs_of[name].corrected.FSLA is not None)
        }
        if shared:
            tables.append(_changes(heading, shared, theirs_of))
    return tables


def _change(mine: Headline, theirs: Headline, metric: str) -> str:
    text = signed(difference(mine, theirs, metric))
    return text.removesuffix(".00") if metric == "IDSW" else text


def _changes(title: str, mine: dict[str, Pair], theirs: dict[str, Pair]) -> Table:
    rows = []
    for name, pair in mine.items():
        other = theirs[name].corrected
        row = [name]
        for metric in _COLUMNS:
            row += [cell(pair.corrected, metric), cell(other, metric), _change(pair.corrected, other, metric)]
        rows.append(row)
    header = ["", *("this", "other", "change") * len(_COLUMNS)]
    return Table(title, header, rows, tuple((metric, 3) for metric in _COLUMNS))
