"""HOTA: detection and association of tracks over 19 IoU thresholds (Luiten et al., IJCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avis_cli.evaluate.instances.matching import EPS, THRESHOLDS, Association, Indices, assign, is_contested
from avis_cli.evaluate.instances.overlaps import Overlaps

PARTS = ("HOTA", "DetA", "DetRe", "DetPr", "AssA", "AssRe", "AssPr", "LocA")


@dataclass(frozen=True)
class HotaCounts:
    """Sums that add up over videos, each per threshold: (..., 19).

    ``ass_a``, ``ass_re``, ``ass_pr``: of each true positive, the share of its two tracks on which they agree;
    ``iou``: of the true positives.
    """

    true_positives: NDArray[np.float64]
    false_negatives: NDArray[np.float64]
    false_positives: NDArray[np.float64]
    ass_a: NDArray[np.float64]
    ass_re: NDArray[np.float64]
    ass_pr: NDArray[np.float64]
    iou: NDArray[np.float64]

    def table(self) -> NDArray[np.float64]:
        """(7, ..., 19), fields in order."""
        return np.stack([getattr(self, name) for name in self.__dataclass_fields__])

    @classmethod
    def from_table(cls, table: NDArray[np.float64]) -> HotaCounts:
        return cls(*table)


@dataclass(frozen=True)
class HotaRatios:
    """Fractions per threshold: (..., 19)."""

    HOTA: NDArray[np.float64]
    DetA: NDArray[np.float64]
    DetRe: NDArray[np.float64]
    DetPr: NDArray[np.float64]
    AssA: NDArray[np.float64]
    AssRe: NDArray[np.float64]
    AssPr: NDArray[np.float64]
    LocA: NDArray[np.float64]

    def table(self) -> NDArray[np.float64]:
        """(8, ..., 19), in the order of ``PARTS``."""
        return np.stack([getattr(self, part) for part in PARTS])

    def mean_of(self, chosen: NDArray[np.bool_]) -> HotaRatios:
        """(C, 19) -> (19,): the mean over the chosen classes; NaN where none is chosen."""
        if not chosen.any():
            return HotaRatios(*np.full((len(PARTS), len(THRESHOLDS)), np.nan))
        return HotaRatios(*self.table()[:, chosen].mean(axis=1))


def count(overlaps: Overlaps, association: Association) -> HotaCounts:
    """One class of one video."""
    masks, predicted = overlaps.truth_shown.sum(), overlaps.prediction_shown.sum()
    if not association.score.any():
        nothing = np.zeros(len(THRESHOLDS))
        return HotaCounts(nothing, nothing + masks, nothing + predicted, nothing, nothing, nothing, nothing)
    frames, rows, columns = _pairs(overlaps, association)
    iou = overlaps.iou[frames, rows, columns]
    hit = (iou[:, None] >= THRESHOLDS - EPS).astype(np.float64)
    hits = hit.sum(axis=0)
    together = np.zeros((*association.score.shape, len(THRESHOLDS)))
    np.add.at(together, (rows, columns), hit)
    n = association.truth_frames[:, None, None]
    m = association.prediction_frames[None, :, None]
    return HotaCounts(
        true_positives=hits,
        false_negatives=masks - hits,
        false_positives=predicted - hits,
        ass_a=(together * together / np.maximum(1, n + m - together)).sum(axis=(0, 1)),
        ass_re=(together * together / np.maximum(1, n)).sum(axis=(0, 1)),
        ass_pr=(together * together / np.maximum(1, m)).sum(axis=(0, 1)),
        iou=(iou[:, None] * hit).sum(axis=0),
    )


def _pairs(overlaps: Overlaps, association: Association) -> tuple[Indices, Indices, Indices]:
    """Frames, rows and columns of the matched masks that overlap at all; the same for all thresholds."""
    score = association.score * overlaps.iou
    positive = score > 0
    contested = is_contested(positive)
    if not contested.any():
        return np.nonzero(positive)  # type: ignore[return-value]
    for t in np.flatnonzero(contested):
        shown = np.ix_(np.flatnonzero(overlaps.truth_shown[t]), np.flatnonzero(overlaps.prediction_shown[t]))
        rows, columns = assign(score[t][shown])
        chosen = np.zeros(positive.shape[1:], bool)
        chosen[shown[0][rows, 0], shown[1][0, columns]] = True
        positive[t] &= chosen
    return np.nonzero(positive)  # type: ignore[return-value]


def ratios(counts: HotaCounts) -> HotaRatios:
    """Counts (..., 19) -> fractions (..., 19); without any true positive all are 0 and LocA is 1."""
    hits = counts.true_positives
    det_a = hits / np.maximum(1, hits + counts.false_negatives + counts.false_positives)
    ass_a = counts.ass_a / np.maximum(1, hits)
    return HotaRatios(
        HOTA=np.sqrt(det_a * ass_a),
        DetA=det_a,
        DetRe=hits / np.maximum(1, hits + counts.false_negatives),
        DetPr=hits / np.maximum(1, hits + counts.false_positives),
        AssA=ass_a,
        AssRe=counts.ass_re / np.maximum(1, hits),
        AssPr=counts.ass_pr / np.maximum(1, hits),
        LocA=np.maximum(1e-10, counts.iou) / np.maximum(1e-10, hits),
    )
