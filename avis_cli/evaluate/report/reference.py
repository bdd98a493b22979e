"""What the authors of AVISM report for their four checkpoints (Audio-Visual Instance Segmentation, CVPR 2025)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from avis_cli.evaluate.report.scores_file import Report
from avis_cli.evaluate.report.tables import Table, number


@dataclass(frozen=True)
class Published:
    """Percent on the AVISeg test split, by the released evaluator."""

    model: str
    backbone: str
    pretraining: str
    FSLA: float
    HOTA: float
    mAP: float  # noqa: N815 (the metric's own name)


# arXiv 2310.18709, main results on AVISeg
PUBLISHED = (
    Published("avism-r50-in", "ResNet-50", "ImageNet", 42.78, 61.73, 40.57),
    Published("avism-r50-coco", "ResNet-50", "COCO", 44.42, 64.52, 45.04),
    Published("avism-swinl-in", "Swin-L", "ImageNet", 49.15, 68.81, 49.06),
    Published("avism-swinl-coco", "Swin-L", "COCO", 52.49, 71.13, 53.46),
)


def published() -> list[dict[str, Any]]:
    """The same for JSON."""
    return [asdict(entry) for entry in PUBLISHED]


def reference_table(run: Report | None = None) -> Table:
    """The published numbers, and below them those of ``run``: only the released meaning can be compared with them."""
    rows = [
        [entry.model, entry.backbone, entry.pretraining, *map(number, (entry.FSLA, entry.HOTA, entry.mAP))]
        for entry in PUBLISHED
    ]
    if run is not None:
        for name, headline in (("this run", run.overall.released), ("  corrected", run.overall.corrected)):
            rows.append([name, "", "", *map(number, (headline.FSLA, headline.HOTA, headline.mAP))])
    title = "Published for AVISM on the AVISeg test split (CVPR 2025)"
    return Table(title, ["", "backbone", "pretraining", "FSLA", "HOTA", "mAP"], rows, left=frozenset({1, 2}))
