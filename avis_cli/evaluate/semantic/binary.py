"""IoU and F of binary maps, as AVSBench scores S4 and MS3 (Zhou et al., ECCV 2022), as released and corrected.

Letters: F frames, h, w pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

BETA2 = 0.3  # beta squared of the F score: precision counts more than recall
COUNT = 255
"""Thresholds that F is tried at, from 0 to 1, each as near as float32 has it."""
THRESHOLDS = np.linspace(0, 1, COUNT).astype(np.float32)
IOU_SMALL = 1e-7
"""What the release adds to a union."""
_F_SMALL = 1e-20


@dataclass(frozen=True, eq=False)
class BinaryCounts:
    """Pixels of F frames, int64 (F,): ``both`` in prediction and truth, ``either``, ``neither``, ``truth``, ``all`` of
    a frame; for each threshold (F, 255) how many are ``drawn`` and how many of these are right (``hits``)."""

    both: NDArray[np.int64]
    either: NDArray[np.int64]
    neither: NDArray[np.int64]
    truth: NDArray[np.int64]
    all: NDArray[np.int64]
    drawn: NDArray[np.int64]
    hits: NDArray[np.int64]

    @classmethod
    def of(cls, drawn: NDArray[Any], probability: NDArray[Any], truth: NDArray[Any]) -> BinaryCounts:
        """Of maps ``drawn`` bool (F, h, w), the probability that they were drawn from, and the truth in 0 and 1."""
        drawn, truth = drawn.reshape(len(drawn), -1).astype(bool), truth.reshape(len(truth), -1).astype(bool)
        curves = [_curves(one, real) for one, real in zip(probability.reshape(truth.shape), truth, strict=True)]
        either = (drawn | truth).sum(1)
        return cls(
            both=(drawn & truth).sum(1),
            either=either,
            neither=truth.shape[1] - either,
            truth=truth.sum(1),
            all=np.full(len(truth), truth.shape[1]),
            drawn=np.stack([curve[0] for curve in curves]),
            hits=np.stack([curve[1] for curve in curves]),
        )

    @classmethod
    def join(cls, parts: Sequence[BinaryCounts]) -> BinaryCounts:
        """The frames of several videos."""
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])})

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, frames: slice) -> BinaryCounts:
        return BinaryCounts(**{name: values[frames] for name, values in vars(self).items()})

    @property
    def has_truth(self) -> NDArray[np.bool_]:
        """(F,): frames in which something is to be found."""
        return self.truth > 0

    def iou(self, *, of_silence: Literal["share", "all"], small: float = 0.0) -> NDArray[np.float64]:
        """IoU of each frame, ``small`` added below. Where there is nothing to find it is 1 if nothing was drawn, else 0
        ("all"), or the share of pixels that are background in the prediction ("share", as released)."""
        empty = (self.either == 0).astype(np.float64)
        silent = self.neither / self.all if of_silence == "share" else empty
        found = self.both / np.maximum(self.either + small, _F_SMALL)
        return np.where(self.has_truth, found, silent)

    def curve(self) -> NDArray[np.float64] | None:
        """F at each threshold, the mean over the frames that have a truth; None where none has."""
        rows = self.has_truth
        if not rows.any():
            return None
        hits, drawn, truth = self.hits[rows], self.drawn[rows], self.truth[rows, None]
        return np.asarray(f_score(hits / (drawn + _F_SMALL), hits / (truth + _F_SMALL)).mean(axis=0))


def f_score(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """The F score of ``BETA2``; 0 where both are 0."""
    below = BETA2 * precision + recall
    return np.divide((1 + BETA2) * precision * recall, below, out=np.zeros_like(below), where=below > 0)


def _curves(probability: NDArray[Any], truth: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many pixels reach each threshold, and how many of these are true."""
    reached = np.searchsorted(THRESHOLDS.astype(probability.dtype), probability, side="right")
    counts = [np.bincount(places, minlength=COUNT + 1) for places in (reached, reached[truth])]
    drawn, hits = (count[::-1].cumsum()[::-1][1:] for count in counts)
    return drawn, hits


def sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    """Of float32 or float64, without overflow."""
    small = np.exp(-np.abs(logits))
    one = logits.dtype.type(1)
    return np.where(logits >= 0, one / (one + small), small / (one + small))


@dataclass(frozen=True, eq=False)
class BinaryVideo:
    """The counts of a video's frames, as the release counts them (float32) and exactly (float64)."""

    released: BinaryCounts
    exact: BinaryCounts

    @classmethod
    def of(cls, logits: NDArray[Any], truth: NDArray[Any]) -> BinaryVideo:
        """Of logits (F, h, w), or maps in 0 and 1, and truth in 0 and 1."""
        single, double = sigmoid(logits.astype(np.float32)), sigmoid(logits.astype(np.float64))
        # a logit too small to move a float32 from one half is no foreground to the release
        return cls(
            BinaryCounts.of(single > np.float32(0.5), single, truth),
            BinaryCounts.of(logits > 0, double, truth),
        )

    @classmethod
    def of_two(cls, logits: NDArray[Any], truth: NDArray[Any]) -> BinaryVideo:
        """Of two logits a pixel (F, 2, h, w), of silence and of sounding, as CAVP scores them (Chen et al., CVPR 2024):
        the larger one is drawn, the first of equals."""
        single, double = (softmax(logits.astype(kind)) for kind in (np.float32, np.float64))
        drawn = logits[:, 1] > logits[:, 0]
        return cls(BinaryCounts.of(drawn, single, truth), BinaryCounts.of(drawn, double, truth))

    def __len__(self) -> int:
        return len(self.exact)


def softmax(logits: NDArray[Any]) -> NDArray[Any]:
    """How likely the second of two is: (F, 2, h, w) -> (F, h, w), in the precision given."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers[:, 1] / powers.sum(1))


def scores(videos: Sequence[BinaryVideo], batch_size: int | None = None) -> dict[str, Any]:
    """``released`` (by batches of so many videos, one video each if None) and ``corrected``: mean IoU over frames and
    the largest F over thresholds, as ratios."""
    size = batch_size or 1
    batches = [BinaryCounts.join([v.released for v in videos[n : n + size]]) for n in range(0, len(videos), size)]
    ious, fs = zip(*(_released(batch) for batch in batches), strict=True)
    whole = BinaryCounts.join([video.exact for video in videos])
    best, at = largest(whole.curve())
    return {
        "released": {
            "miou": float(np.mean(ious)), "fscore": float(np.mean(fs)), "batch_size": size, "batch_miou": list(ious),
            "batch_fscore": list(fs),
        },
        "corrected": {
            "miou": float(whole.iou(of_silence="all").mean()),
            "miou_released_rule_frame_mean": float(whole.iou(of_silence="share").mean()),
            "frames": len(whole),
            "frames_with_truth": int(whole.has_truth.sum()),
            "fscore": best,
            "fscore_at": at,
        },
    }  # fmt: skip


def video_scores(video: BinaryVideo, at: int | None) -> dict[str, Any]:
    """Of one video: ``released`` and ``corrected``. ``fscore`` is the largest over thresholds; ``fscore_of_set`` that
    at threshold number ``at``, the best one of the whole set, so that means of it over frames can be taken."""
    miou, fscore = _released(video.released)
    curve = video.exact.curve()
    return {
        "released": {"miou": miou, "fscore": fscore},
        "corrected": {
            "miou": float(video.exact.iou(of_silence="all").mean()),
            "fscore": largest(curve)[0],
            "fscore_of_set": None if curve is None or at is None else float(curve[at]),
            "frames_with_truth": int(video.exact.has_truth.sum()),
        },
    }


def largest(curve: NDArray[np.float64] | None) -> tuple[float | None, int | None]:
    """The largest F, and the number of its threshold."""
    return (None, None) if curve is None else (float(curve.max()), int(curve.argmax()))


def _released(batch: BinaryCounts) -> tuple[float, float]:
    """Mean IoU and F of a batch; F is 0 where no frame has a truth."""
    return float(batch.iou(of_silence="share", small=IOU_SMALL).mean()), largest(batch.curve())[0] or 0.0
