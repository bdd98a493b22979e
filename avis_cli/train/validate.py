"""How good a network is on a split: the metrics of `avis evaluate`, those of instances, and the best gate threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Dataset, Mask, Video
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.evaluate.report.scores_file import document_of
from avis_cli.train.instance_metrics import count_twins, share_suppressed
from avis_cli.train.predict import Predicted

GATES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)  # thresholds that are tried


@dataclass(frozen=True)
class Validation:
    """Scores of one network on one split. ``gate``: the threshold they belong to, None without a gate; percent, None
    where undefined; ``twins``: of the clips with several sounding instances of a category, those with all tracked;
    ``suppressed``: of the silent visible objects, those left without a mask; ``scores``: everything, as scores.json."""

    gate: float | None
    fsla: float | None
    hota: float | None
    precision: float | None
    twins: float | None
    suppressed: float | None
    scores: dict[str, Any]

    def numbers(self) -> dict[str, float]:
        """What the log keeps."""
        values = {
            "FSLA": self.fsla,
            "HOTA": self.hota,
            "mAP": self.precision,
            "twins": self.twins,
            "suppressed": self.suppressed,
            "gate": self.gate,
        }
        return {name: value for name, value in values.items() if value is not None}

    def summary(self) -> str:
        """One line, corrected meaning."""
        return ", ".join(f"{name} {value:.2f}" for name, value in self.numbers().items())


def validate(predicted: Predicted, gate: float | None) -> Validation:
    """All scores with the gate at one threshold, in corrected meaning (scores hold the released one too)."""
    return validate_dataset(predicted.dataset(gate), predicted.silent, gate)


def validate_dataset(dataset: Dataset, silent: list[list[list[Mask | None]]], gate: float | None) -> Validation:
    """As ``validate``, of tracks made in any way; ``silent`` as in `Predicted`."""
    scores = document_of(evaluate_dataset(as_listed(dataset)))
    corrected = scores["corrected"]
    suppressed = share_suppressed(dataset, silent)
    twins = count_twins(dataset).share
    return Validation(
        gate=gate,
        fsla=corrected["FSLA"],
        hota=corrected["HOTA"],
        precision=corrected["mAP"],
        twins=None if twins is None else 100.0 * twins,
        suppressed=None if suppressed is None else 100.0 * suppressed,
        scores=scores,
    )


def as_listed(dataset: Dataset) -> Dataset:
    """Predictions as a results list of the released program holds them: a mask for every frame, empty where there is
    none. The released metrics tell an empty mask from none, the corrected ones do not."""
    return replace(dataset, videos=[_listed(video) for video in dataset.videos])


def _listed(video: Video) -> Video:
    empty: Mask = dict(coco.encode(np.zeros((video.height, video.width), np.uint8, order="F")))
    filled = [
        replace(track, masks=[empty if mask is None else mask for mask in track.masks]) for track in video.predictions
    ]
    return replace(video, predictions=filled)


def best_gate(predicted: Predicted, gates: tuple[float, ...] = GATES) -> Validation:
    """The scores at the threshold whose FSLA is highest."""
    found = [validate(predicted, gate) for gate in gates]
    return max(found, key=lambda validation: validation.fsla or 0.0)
