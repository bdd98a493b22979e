"""Scores predictions against ground truth: FSLA, HOTA, track mAP, CLEAR and Identity."""

from __future__ import annotations

import os
from typing import Any

from avis_cli.progress import Progress, silent


def evaluate(
    gt: str | os.PathLike[str],
    pred: str | os.PathLike[str],
    *,
    jobs: int = 1,
    ignore_unknown: bool = False,
    allow_empty: bool = False,
    annotation_fps: float = 1.0,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Every metric of the predictions ``pred`` against the ground truth ``gt``, in the layout of scores.json.

    ``gt``: annotations in the AVISeg / YouTube-VIS layout. ``pred``: a results list, or a folder of tracks.json.
    ``jobs``: processes among which the videos are divided. ``ignore_unknown``: leave out predictions for videos that
    the ground truth does not have, instead of refusing them. ``allow_empty``: accept ground truth without any
    annotation. ``annotation_fps``: annotated frames per second of video, by which tracks.json are matched.

    Raises ``AnnotationError`` where either does not mean what its format says.
    """
    from avis_cli.datasets.truth import read_truth
    from avis_cli.evaluate.instances.scores import evaluate_dataset
    from avis_cli.evaluate.predictions import read_predictions
    from avis_cli.evaluate.report.scores_file import document_of

    truth = read_truth(gt, allow_empty=allow_empty)
    dataset = read_predictions(pred, truth, ignore_unknown=ignore_unknown, annotation_fps=annotation_fps)
    return document_of(evaluate_dataset(dataset, jobs=jobs, progress=progress))
