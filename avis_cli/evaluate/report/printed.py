"""Scores as tables to read and as CSV to compute with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from avis_cli.evaluate.instances.scores import MetricValues
from avis_cli.evaluate.report.scores_file import METRICS, BothMeanings, Report
from avis_cli.evaluate.report.tables import Table, number
from avis_cli.text import printable, spreadsheet_safe

# metric -> how the overall table calls it; parts are set in below what they are parts of
LABELS = {
    "FSLA": "FSLA",
    "FSLA_none": "  no source",
    "FSLA_single": "  single source",
    "FSLA_multi": "  multi source",
    "HOTA": "HOTA",
    "DetA": "  DetA",
    "DetRe": "    DetRe",
    "DetPr": "    DetPr",
    "AssA": "  AssA",
    "AssRe": "    AssRe",
    "AssPr": "    AssPr",
    "LocA": "  LocA",
    "mAP": "mAP",
    "AP_small": "  small",
    "AP_medium": "  medium",
    "AP_large": "  large",
    "AR": "AR",
    "MOTA": "MOTA",
    "IDF1": "IDF1",
    "IDSW": "IDSW (count)",
}
_CORRECTED_COLUMNS = ("FSLA", "HOTA", "DetA", "AssA", "LocA", "mAP", "AR", "MOTA", "IDF1", "IDSW")
_RELEASED_COLUMNS = ("FSLA", "HOTA", "mAP")


def overall(report: Report) -> Table:
    """Every metric in both meanings."""
    counts = report.counts
    found = [
        f"{counts[key]} {words}"
        for key, words in (
            ("videos", "videos"),
            ("ground_truth_tracks", "ground-truth tracks"),
            ("predicted_tracks", "predicted tracks"),
        )
        if isinstance(counts.get(key), int)
    ]
    title = "Scores in percent" + (f": {', '.join(found)}" if found else "")
    rows: list[list[str]] = []
    for metric, label in LABELS.items():
        rows.append(_row(label, metric, report.overall))
        if metric == "HOTA" and report.sounding is not None:
            # the mean counts categories without ground truth as 0, as published numbers do
            rows.append(_row("  over categories with ground truth", metric, report.sounding))
    return Table(title, ["", "released", "corrected"], rows)


def _row(label: str, metric: str, pair: BothMeanings) -> list[str]:
    return [label, cell(pair.released, metric), cell(pair.corrected, metric)]


def cell(values: MetricValues, metric: str, digits: int = 2) -> str:
    """One metric of ``values`` to print; counts without decimals."""
    value: float | None = getattr(values, metric)
    return number(value, 0 if metric == "IDSW" else digits)


def breakdowns(report: Report) -> list[Table]:
    """One table by category, one by video. Categories without any track are left out."""
    # FSLA of a category has no frames, and so no value, exactly where no video has a track of it
    occurring = {name: pair for name, pair in report.categories.items() if pair.corrected.FSLA is not None}
    absent = len(report.categories) - len(occurring)
    return [
        _breakdown("By category" + (f" ({absent} without any track left out)" if absent else ""), occurring),
        _breakdown("By video, over the categories that occur in it", report.videos),
    ]


def _breakdown(title: str, entries: dict[str, BothMeanings]) -> Table:
    header = ["", *_CORRECTED_COLUMNS, *_RELEASED_COLUMNS]
    rows = [
        [
            name,
            *(cell(pair.corrected, metric, 1) for metric in _CORRECTED_COLUMNS),
            *(cell(pair.released, metric, 1) for metric in _RELEASED_COLUMNS),
        ]
        for name, pair in entries.items()
    ]
    groups = (("corrected", len(_CORRECTED_COLUMNS)), ("released", len(_RELEASED_COLUMNS)))
    return Table(title, header, rows, groups)


def to_csv(report: Report) -> str:
    """One row per scope (all, category, video), name and meaning; metrics at full precision, empty where undefined.

    Names are one line each; what a spreadsheet would take for a formula is set behind an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["scope", "name", "meaning", *METRICS])
    for scope, name, pair in _scopes(report):
        for meaning, values in (("released", pair.released), ("corrected", pair.corrected)):
            numbers = (getattr(values, metric) for metric in METRICS)
            cells = ("" if value is None else f"{value:.17g}" for value in numbers)
            writer.writerow([scope, spreadsheet_safe(printable(name)), meaning, *cells])
    return stream.getvalue()


def _scopes(report: Report) -> Iterator[tuple[str, str, BothMeanings]]:
    yield "all", "", report.overall
    for name, pair in report.categories.items():
        yield "category", name, pair
    for name, pair in report.videos.items():
        yield "video", name, pair
