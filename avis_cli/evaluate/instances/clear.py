"""CLEAR: misses, false alarms and identity switches at IoU 0.5 (Bernardin and Stiefelhagen, 2008)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avis_cli.evaluate.instances.matching import EPS, assign, is_contested
from avis_cli.evaluate.instances.overlaps import Overlaps

THRESHOLD = 0.5
# a pair that was matched in the previous frame stays matched whatever the other IoUs are
KEEP = 1000.0


@dataclass(frozen=True)
class ClearCounts:
    """Sums that add up over videos and classes.

    ``switches``: matches to another prediction than the ground-truth track had before (IDSW). ``mostly_tracked``
    (matched in more than 80 % of its frames), ``mostly_lost`` (in less than 20 %), ``partly_tracked``: ground-truth
    tracks. ``fragments``: interruptions of matched tracks. ``iou``: of the true positives.
    """

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    switches: int = 0
    mostly_tracked: int = 0
    partly_tracked: int = 0
    mostly_lost: int = 0
    fragments: int = 0
    iou: float = 0.0

    def __add__(self, other: ClearCounts) -> ClearCounts:
        return ClearCounts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def mota(self) -> float:
        """Fraction, below 0 where there are more errors than ground truths."""
        errors = self.false_positives + self.switches
        return (self.true_positives - errors) / max(1, self.true_positives + self.false_negatives)


def count(overlaps: Overlaps) -> ClearCounts:
    """One class of one video."""
    truth_shown, prediction_shown = overlaps.truth_shown, overlaps.prediction_shown
    masks, predicted = int(truth_shown.sum()), int(prediction_shown.sum())
    if not overlaps.iou.any():
        lost = int(truth_shown.any(axis=0).sum())
        return ClearCounts(false_negatives=masks, false_positives=predicted, mostly_lost=lost)
    # frames that lack ground truth or predictions neither match anything nor forget the matches before them
    frames = np.flatnonzero(truth_shown.any(axis=1) & prediction_shown.any(axis=1))
    partner = _partners(overlaps, frames)
    t, i = np.nonzero(partner >= 0)
    hits = len(t)
    shown, matched = truth_shown.sum(axis=0), (partner >= 0).sum(axis=0)
    share = matched[shown > 0] / shown[shown > 0]
    tracked, kept = int((share > 0.8).sum()), int((share >= 0.2).sum())
    return ClearCounts(
        true_positives=hits,
        false_negatives=masks - hits,
        false_positives=predicted - hits,
        switches=_switches(partner),
        mostly_tracked=tracked,
        partly_tracked=kept - tracked,
        mostly_lost=len(share) - kept,
        fragments=_fragments(partner),
        iou=float(overlaps.iou[frames[t], i, partner[t, i]].sum()),
    )


def _partners(overlaps: Overlaps, frames: NDArray[np.intp]) -> NDArray[np.intp]:
    """(frames, G): the prediction matched to each ground truth, -1 where there is none."""
    iou = overlaps.iou[frames]
    possible = iou >= THRESHOLD - EPS
    partner = np.where(possible.any(axis=2), possible.argmax(axis=2), -1)
    for k in np.flatnonzero(is_contested(possible)):
        rows = np.flatnonzero(overlaps.truth_shown[frames[k]])
        columns = np.flatnonzero(overlaps.prediction_shown[frames[k]])
        before = partner[k - 1, rows] if k else np.full(len(rows), -1)
        score = KEEP * (before[:, None] == columns) + iou[k][np.ix_(rows, columns)]
        score[~possible[k][np.ix_(rows, columns)]] = 0
        r, c = assign(score)
        real = score[r, c] > EPS
        partner[k] = -1
        partner[k, rows[r[real]]] = columns[c[real]]
    return partner


def _switches(partner: NDArray[np.intp]) -> int:
    switches = 0
    for column in partner.T:
        matched = column[column >= 0]
        switches += int((matched[1:] != matched[:-1]).sum())
    return switches


def _fragments(partner: NDArray[np.intp]) -> int:
    matched = partner >= 0
    begins = matched.copy()
    begins[1:] &= ~matched[:-1]
    runs = begins.sum(axis=0)
    return int((runs[runs > 0] - 1).sum())
