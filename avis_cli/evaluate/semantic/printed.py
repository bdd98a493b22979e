"""Scores of class maps as tables to read and as CSV to compute with, from the values of scores.json."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from avis_cli.evaluate.report.tables import Table, number
from avis_cli.evaluate.semantic.document import MEASURES, PER_CLASS, class_value, classes_of
from avis_cli.text import printable, spreadsheet_safe

Document = Mapping[str, Any]
# measure -> what the overall table calls it; parts are set in below what they are parts of
LABELS = {
    "miou": "mIoU",
    "miou_noBg": "  without the background",
    "fscore": "F",
    "fscore_noBg": "  without the background",
    "accumulated_miou": "mIoU, accumulated over the set",
    "accumulated_miou_noBg": "  without the background",
    "acc": "accuracy",
    "fdr": "false discovery rate",
    "f1": "F, beta squared 1",
    "f03": "F, beta squared 0.3",
}
# measure -> heading of a column
SHORT = {
    "miou": "mIoU", "miou_noBg": "no bg", "fscore": "F", "fscore_noBg": "F no bg", "accumulated_miou": "accum.",
    "accumulated_miou_noBg": "accum. no bg", "acc": "accuracy", "fdr": "FDR", "f1": "F1", "f03": "F0.3",
}  # fmt: skip


def percent(value: float | None, digits: int = 2) -> str:
    """A ratio as percent, ``-`` where it is undefined."""
    return number(None if value is None else 100 * value, digits)


def overall(document: Document) -> Table:
    """Every mean in both meanings."""
    counts = document["counts"]
    title = f"Class maps ({document['task']}) in percent: {counts['videos']} videos, {counts['frames']} frames"
    released, corrected = document["released"], document["corrected"]
    rows = [
        [LABELS[name], percent(released.get(name)), percent(corrected.get(name))] for name in MEASURES[document["task"]]
    ]
    return Table(title, ["", "released", "corrected"], rows)


def breakdowns(document: Document) -> list[Table]:
    """A table by class, where there are classes, and one by video."""
    task = document["task"]
    return [_by_class(document), _by_video(document)] if task in PER_CLASS else [_by_video(document)]


def class_name(document: Document, id: int) -> str:
    """Number and name, as far as it is known."""
    return f"{id} {document.get('class_names', {}).get(str(id), '')}".rstrip()


def _by_class(document: Document) -> Table:
    columns = PER_CLASS[document["task"]]
    known = {
        meaning: {mean: name for mean, name in columns.items() if f"{name}_per_class" in document[meaning]}
        for meaning in ("corrected", "released")
    }
    rows = [
        [
            class_name(document, id),
            *(
                percent(class_value(document[meaning], name, id), 1)
                for meaning, found in known.items()
                for name in found.values()
            ),
        ]
        for id in classes_of(document)
    ]
    header = ["", *(SHORT[mean].replace("mIoU", "IoU") for found in known.values() for mean in found)]
    return Table("By class that occurs", header, rows, tuple((meaning, len(found)) for meaning, found in known.items()))


def _by_video(document: Document) -> Table:
    measures = MEASURES[document["task"]]
    videos = document["per_video"]
    meanings = [meaning for meaning in ("corrected", "released") if meaning in next(iter(videos.values()))]
    rows = [
        [
            name,
            str(video["frames"]),
            *(percent(video[meaning][measure], 1) for meaning in meanings for measure in measures),
        ]
        for name, video in videos.items()
    ]
    header = ["", "frames", *(SHORT[measure] for _ in meanings for measure in measures)]
    groups = (("", 1), *((meaning, len(measures)) for meaning in meanings))
    return Table("By video", header, rows, groups)


def to_csv(document: Document) -> str:
    """One row per scope (all, class, video), name and meaning; ratios at full precision, empty where undefined.

    Of a class a mean stands for what it is the mean of. Names are one line each; what a spreadsheet would take for a
    formula is set behind an apostrophe.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    measures = MEASURES[document["task"]]
    writer.writerow(["scope", "name", "meaning", *measures])
    for scope, name, meaning, values in _scopes(document):
        cells = (values.get(measure) for measure in measures)
        shown = ("" if value is None else f"{value:.17g}" for value in cells)
        writer.writerow([scope, spreadsheet_safe(printable(name)), meaning, *shown])
    return stream.getvalue()


def _scopes(document: Document) -> Iterator[tuple[str, str, str, Mapping[str, float | None]]]:
    for meaning in ("released", "corrected"):
        yield "all", "", meaning, document[meaning]
    columns = PER_CLASS.get(document["task"], {})
    for id in classes_of(document):
        for meaning in ("released", "corrected"):
            values = {mean: class_value(document[meaning], name, id) for mean, name in columns.items()}
            yield "class", class_name(document, id), meaning, values
    for name, video in document["per_video"].items():
        for meaning in ("released", "corrected"):
            if meaning in video:
                yield "video", name, meaning, video[meaning]
