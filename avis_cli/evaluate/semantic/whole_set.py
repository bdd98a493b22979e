"""Scores of class maps over a whole set of images, as CAVP reports them (Chen et al., CVPR 2024), as released and
corrected."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.evaluate.semantic.classes import ClassCounts

IGNORED = 255
BETAS2 = {"f1": 1.0, "f03": 0.3}
"""Beta squared of each F score."""
_IOU_SMALL = 2.2e-16
_DIGITS = 4  # that the release rounds to


class SetCounts:
    """Pixels of all frames together by class, int64 (K,): ``hits``, ``missed`` (taken for another class), ``false``
    (of another class)."""

    def __init__(self, frames: ClassCounts) -> None:
        self.hits = frames.both.sum(0)
        self.missed = frames.truth.sum(0) - self.hits
        self.false = frames.drawn.sum(0) - self.hits

    @property
    def union(self) -> NDArray[np.int64]:
        """(K,): pixels in prediction or truth."""
        return np.asarray(self.hits + self.missed + self.false)

    @property
    def accuracy(self) -> float | None:
        """Share of the pixels that are right, None without any."""
        known = int((self.hits + self.missed).sum())
        return float(self.hits.sum() / known) if known else None


def scores(videos: Sequence[ClassCounts], subset: Sequence[int] | None = None) -> dict[str, Any]:
    """``released`` and ``corrected``: mean IoU, accuracy, false discovery rate and F, as ratios. ``videos``: counted
    without the pixels that are ``IGNORED``. ``subset``: classes that the means are over, None for all; accuracy is
    always that of all."""
    frames = ClassCounts.join(videos)
    whole = SetCounts(frames)
    classes = np.arange(len(whole.hits)) if subset is None else np.asarray(subset)
    return {"released": _released(whole, classes), "corrected": {**_corrected(whole, classes), "frames": len(frames)}}


def video_scores(counts: ClassCounts) -> dict[str, Any]:
    """Of one video: ``corrected``, over the classes that occur in it, and ``classes``: the pixels of each of these."""
    whole = SetCounts(counts)
    corrected = _corrected(whole, np.arange(len(whole.hits)))
    return {
        "corrected": {name: corrected[name] for name in ("miou", "miou_noBg", "acc", "fdr", *BETAS2)},
        "classes": {
            str(number): {name: int(getattr(whole, name)[number]) for name in ("hits", "missed", "false")}
            for number in np.flatnonzero(whole.union)
        },
    }


def _released(whole: SetCounts, classes: NDArray[Any]) -> dict[str, Any]:
    """In the mean IoU a class that is nowhere counts as 0; all rounded to four digits."""
    iou = whole.hits / (whole.union + _IOU_SMALL)
    means = {"miou": float(iou[classes].mean()), "acc": whole.accuracy, **_detection(whole, classes)}
    rounded = {name: None if value is None else round(value, _DIGITS) for name, value in means.items()}
    return {**rounded, "iou_per_class": iou.tolist()}


def _corrected(whole: SetCounts, classes: NDArray[Any]) -> dict[str, Any]:
    """Classes that are neither there nor predicted are left out everywhere; nothing is rounded."""
    iou, there = whole.hits / np.maximum(whole.union, 1), whole.union > 0
    seen = there & np.isin(np.arange(len(there)), classes)
    objects = seen.copy()
    objects[0] = False
    return {
        "miou": float(iou[seen].mean()) if seen.any() else None,
        "miou_noBg": float(iou[objects].mean()) if objects.any() else None,
        "acc": whole.accuracy,
        **_detection(whole, classes),
        "iou_per_class": [float(value) if known else None for value, known in zip(iou, there, strict=True)],
        **{f"{name}_per_class": _listed(*ratio) for name, ratio in _ratios(whole).items()},
    }


def _ratios(whole: SetCounts) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """Of each class what is above and below the line of the false discovery rate and of each F."""
    ratios: dict[str, tuple[NDArray[Any], NDArray[Any]]] = {"fdr": (whole.false, whole.false + whole.hits)}
    for name, beta2 in BETAS2.items():
        above = (1 + beta2) * whole.hits
        ratios[name] = (above, above + beta2 * whole.missed + whole.false)
    return ratios


def _detection(whole: SetCounts, classes: NDArray[Any]) -> dict[str, float | None]:
    """Means over the classes for which they are defined."""
    return {name: _mean_ratio(above[classes], below[classes]) for name, (above, below) in _ratios(whole).items()}


def _mean_ratio(above: NDArray[Any], below: NDArray[Any]) -> float | None:
    there = below > 0
    return float((above[there] / below[there]).mean()) if there.any() else None


def _listed(above: NDArray[Any], below: NDArray[Any]) -> list[float | None]:
    return [float(one / all) if all > 0 else None for one, all in zip(above, below, strict=True)]
