"""A run beside others: another run of ours, and the numbers that authors published for the AVISeg test split."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from avis_cli.evaluate.instances.scores import MetricValues
from avis_cli.evaluate.report.printed import LABELS, cell
from avis_cli.evaluate.report.scores_file import METRICS, BothMeanings, Report
from avis_cli.evaluate.report.tables import Table, cut_path, number, signed

_COLUMNS = ("FSLA", "HOTA", "mAP", "IDF1")


def difference(this: MetricValues, other: MetricValues, metric: str) -> float | None:
    """This run minus the other, None where either is undefined."""
    mine: float | None = getattr(this, metric)
    theirs: float | None = getattr(other, metric)
    return None if mine is None or theirs is None else mine - theirs


def differences(this: Report, other: Report) -> dict[str, Any]:
    """The other run's overall numbers and the differences to them, laid out as in scores.json."""

    def one(mine: MetricValues, theirs: MetricValues) -> dict[str, Any]:
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


def _change(mine: MetricValues, theirs: MetricValues, metric: str) -> str:
    text = signed(difference(mine, theirs, metric))
    return text.removesuffix(".00") if metric == "IDSW" else text


def _changes(title: str, mine: dict[str, BothMeanings], theirs: dict[str, BothMeanings]) -> Table:
    rows = []
    for name, pair in mine.items():
        other = theirs[name].corrected
        row = [name]
        for metric in _COLUMNS:
            row += [cell(pair.corrected, metric), cell(other, metric), _change(pair.corrected, other, metric)]
        rows.append(row)
    header = ["", *("this", "other", "change") * len(_COLUMNS)]
    return Table(title, header, rows, tuple((metric, 3) for metric in _COLUMNS))


@dataclass(frozen=True)
class Published:
    """Percent on the AVISeg test split, by the released evaluator. ``paper``: where they stand."""

    model: str
    backbone: str
    pretraining: str
    FSLA: float
    HOTA: float
    mAP: float  # noqa: N815 (the metric's own name)
    paper: str


_AVISM = "CVPR 2025, arXiv 2310.18709"
_ACVIS = "ICASSP 2026, arXiv 2509.22740"
_H2S = "ACM MM 2026, arXiv 2608.03264"
PUBLISHED = (
    Published("avism-r50-in", "ResNet-50", "ImageNet", 42.78, 61.73, 40.57, _AVISM),
    Published("avism-r50-coco", "ResNet-50", "COCO", 44.42, 64.52, 45.04, _AVISM),
    Published("avism-swinl-in", "Swin-L", "ImageNet", 49.15, 68.81, 49.06, _AVISM),
    Published("avism-swinl-coco", "Swin-L", "COCO", 52.49, 71.13, 53.46, _AVISM),
    Published("acvis-r50-in", "ResNet-50", "ImageNet", 42.43, 62.04, 42.01, _ACVIS),
    Published("acvis-r50-coco", "ResNet-50", "COCO", 46.72, 65.02, 46.64, _ACVIS),
    Published("H2S R50-IN", "ResNet-50", "ImageNet", 45.96, 63.32, 43.21, _H2S),
    Published("H2S R50-COCO", "ResNet-50", "COCO", 47.58, 65.70, 48.54, _H2S),
    Published("H2S SwinL-COCO", "Swin-L", "COCO", 55.06, 72.27, 55.38, _H2S),
)
"""A name in lower case is that of a model of ours; the others are not here to run."""


def published() -> list[dict[str, Any]]:
    """The same for JSON."""
    return [asdict(entry) for entry in PUBLISHED]


def reference_table(run: Report | None = None) -> Table:
    """The published numbers, and below them those of ``run``: only the released meaning can be compared with them."""
    rows = [
        [entry.model, entry.backbone, entry.pretraining, *map(number, (entry.FSLA, entry.HOTA, entry.mAP)), entry.paper]
        for entry in PUBLISHED
    ]
    if run is not None:
        for name, values in (("this run", run.overall.released), ("  corrected", run.overall.corrected)):
            rows.append([name, "", "", *map(number, (values.FSLA, values.HOTA, values.mAP)), ""])
    title = "Published for the AVISeg test split"
    header = ["", "backbone", "pretraining", "FSLA", "HOTA", "mAP", "paper"]
    return Table(title, header, rows, left=frozenset({1, 2, 6}))
