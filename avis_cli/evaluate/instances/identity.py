"""Identity: one prediction for each ground-truth track over the whole video, at IoU 0.5 (Ristani et al., 2016)."""

from __future__ import annotations

from dataclasses import dataclass

from avis_cli.evaluate.instances.matching import assign
from avis_cli.evaluate.instances.overlaps import Overlaps

THRESHOLD = 0.5


@dataclass(frozen=True)
class IdentityCounts:
    """Masks that agree under the best one-to-one pairing of tracks, and the others; add up over videos and classes."""

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0

    def __add__(self, other: IdentityCounts) -> IdentityCounts:
        return IdentityCounts(*(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True)))

    @property
    def idf1(self) -> float:
        errors = self.false_positives + self.false_negatives
        return self.true_positives / max(1, self.true_positives + 0.5 * errors)

    @property
    def idr(self) -> float:
        return self.true_positives / max(1, self.true_positives + self.false_negatives)

    @property
    def idp(self) -> float:
        return self.true_positives / max(1, self.true_positives + self.false_positives)


def count(overlaps: Overlaps) -> IdentityCounts:
    """One class of one video."""
    # the errors of a pairing are all masks less twice those on which it agrees: least where it agrees most
    agree = (overlaps.iou >= THRESHOLD).sum(axis=0)
    rows, columns = assign(agree)
    hits = int(agree[rows, columns].sum())
    return IdentityCounts(
        true_positives=hits,
        false_negatives=int(overlaps.truth_shown.sum()) - hits,
        false_positives=int(overlaps.prediction_shown.sum()) - hits,
    )
