"""IoU and F of class maps frame by frame, as AVSBench scores its semantic set (Zhou et al., IJCV 2024), as released and
corrected.

Letters: F frames, K classes, the background being class 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.evaluate.semantic.binary import f_score

AVSS_CLASSES = 71
_F_SMALL = 1e-20


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Pixels of F frames by class, int64 (F, K): ``both`` in prediction and truth, ``drawn``, ``truth``."""

    both: NDArray[np.int64]
    drawn: NDArray[np.int64]
    truth: NDArray[np.int64]

    @classmethod
    def of(cls, predicted: NDArray[Any], truth: NDArray[Any], classes: int, ignored: int | None = None) -> ClassCounts:
        """Of class maps (F, h, w). Pixels whose truth is ``ignored`` count nowhere; any other truth outside of 0 to
        K - 1 belongs to no class."""
        rows = [
            _frame(np.asarray(one).ravel(), np.asarray(real).ravel(), classes, ignored)
            for one, real in zip(predicted, truth, strict=True)
        ]
        return cls(*(np.stack([row[part] for row in rows]) for part in range(3)))

    @classmethod
    def join(cls, parts: Sequence[ClassCounts]) -> ClassCounts:
        """The frames of several videos, with as many classes as the one that has most."""
        classes = max(part.truth.shape[1] for part in parts)
        wide = [part.widened(classes) for part in parts]
        return cls(**{name: np.concatenate([getattr(part, name) for part in wide]) for name in vars(parts[0])})

    def widened(self, classes: int) -> ClassCounts:
        """The same with at least so many classes; those that are added are nowhere."""
        more = max(classes - self.truth.shape[1], 0)
        return ClassCounts(**{name: np.pad(values, ((0, 0), (0, more))) for name, values in vars(self).items()})

    def __len__(self) -> int:
        return len(self.both)

    def __getitem__(self, frames: slice | NDArray[np.bool_]) -> ClassCounts:
        return ClassCounts(self.both[frames], self.drawn[frames], self.truth[frames])

    @property
    def either(self) -> NDArray[np.int64]:
        """Pixels in prediction or truth."""
        return self.drawn + self.truth - self.both

    def iou(self) -> NDArray[np.float64]:
        """(F, K); 0 where a class is nowhere."""
        return self.both / np.maximum(self.either, 1)

    def f(self) -> NDArray[np.float64]:
        """(F, K), at the one prediction; 0 where it is undefined."""
        return f_score(self.both / (self.drawn + _F_SMALL), self.both / (self.truth + _F_SMALL))


def _frame(
    predicted: NDArray[Any], truth: NDArray[Any], classes: int, ignored: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    if ignored is not None:
        predicted, truth = predicted[truth != ignored], truth[truth != ignored]
    known = (truth >= 0) & (truth < classes)
    right = predicted[known & (predicted == truth)]
    counted = (right, predicted, truth[known])
    both, drawn, real = (np.bincount(values.astype(np.int64), minlength=classes)[:classes] for values in counted)
    return both, drawn, real


def scores(videos: Sequence[ClassCounts], valid: Sequence[int] | None = None) -> dict[str, Any]:
    """``released`` and ``corrected``, as ratios. ``valid``: how many frames at the beginning of each video are real,
    None for all."""
    lengths = [len(video) for video in videos] if valid is None else list(valid)
    every = ClassCounts.join(videos)
    real = ClassCounts.join([video[: int(length)] for video, length in zip(videos, lengths, strict=True)])
    return {"released": _released(every), "corrected": _corrected(real)}


def video_scores(counts: ClassCounts) -> dict[str, Any]:
    """Of the real frames of one video: ``corrected``, over the classes that occur in it, and ``classes``: for each of
    these its frames, its mean IoU and F over them, and its pixels in both maps and in either."""
    iou, f, frames = _by_class(counts)
    both, either = counts.both.sum(0), counts.either.sum(0)
    names = ("miou", "miou_noBg", "fscore", "fscore_noBg", "accumulated_miou", "accumulated_miou_noBg")
    corrected = _corrected(counts)
    return {
        "corrected": {name: corrected[name] for name in names},
        "classes": {
            str(number): {
                "frames": int(frames[number]), "iou": float(iou[number]), "f": float(f[number]),
                "both": int(both[number]), "either": int(either[number]),
            }
            for number in np.flatnonzero(frames)
        },
    }  # fmt: skip


def _by_class(counts: ClassCounts) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """IoU and F of each class, the mean over the frames in which it is drawn or true, and how many those are."""
    frames = (counts.either > 0).sum(0)
    return counts.iou().sum(0) / np.maximum(frames, 1), counts.f().sum(0) / np.maximum(frames, 1), frames


def _released(counts: ClassCounts) -> dict[str, Any]:
    """A class that is nowhere counts as 0; without the background means without the last class."""
    iou, f, frames = _by_class(counts)
    seen = frames > 0
    return {
        "miou": float(iou.mean()), "miou_noBg": float(iou[:-1].mean()), "fscore": float(f.mean()),
        "fscore_noBg": float(f[:-1].mean()), "classes_seen": int(seen.sum()),
        "running_miou": _mean(iou[seen]), "running_fscore": _mean(f[seen]), "iou_per_class": _of(iou, seen),
        "f_per_class": _of(f, seen), "frames_per_class": _of(frames, seen),
    }  # fmt: skip


def _corrected(counts: ClassCounts) -> dict[str, Any]:
    """Classes that are nowhere are left out, and so is the background, which is class 0, where it is not wanted.
    ``accumulated``: intersections and unions summed over the frames first, which other papers report."""
    iou, f, frames = _by_class(counts)
    seen, objects = frames > 0, frames > 0
    objects[0] = False
    whole = counts.both.sum(0) / np.maximum(counts.either.sum(0), 1)
    return {
        "miou": _mean(iou[seen]), "miou_noBg": _mean(iou[objects]), "fscore": _mean(f[seen]),
        "fscore_noBg": _mean(f[objects]), "classes_seen": int(seen.sum()),
        "accumulated_miou": _mean(whole[seen]), "accumulated_miou_noBg": _mean(whole[objects]),
        "iou_per_class": _of(iou, seen), "f_per_class": _of(f, seen), "frames_per_class": _of(frames, seen),
        "accumulated_iou_per_class": _of(whole, seen),
    }  # fmt: skip


def _mean(values: NDArray[np.float64]) -> float | None:
    return float(values.mean()) if len(values) else None


def _of(values: NDArray[Any], seen: NDArray[np.bool_]) -> dict[str, Any]:
    return {str(number): values[number].item() for number in np.flatnonzero(seen)}
