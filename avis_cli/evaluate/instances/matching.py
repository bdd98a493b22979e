"""Which ground-truth track and which predicted track belong together: what the metrics share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

EPS = float(np.finfo(np.float64).eps)

# the float noise of these 19 values decides the cases in which an IoU lies on its threshold
THRESHOLDS: NDArray[np.float64] = np.arange(0.05, 0.99, 0.05)

# numpy adds fewer numbers than these one after the other, where zeros do no harm, and more of them in pairs
_PAIRWISE = 8

Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Association:
    """How well each ground-truth track (row) and predicted track (column) go together over a whole video.

    ``score`` (G, P): Luiten et al., HOTA, IJCV 2021, section 5: the alignment that the per-frame matching maximises.
    ``truth_frames`` (G,), ``prediction_frames`` (P,): the number of frames in which each is shown.
    """

    score: NDArray[np.float64]
    truth_frames: NDArray[np.int64]
    prediction_frames: NDArray[np.int64]


def associate(
    iou: NDArray[np.float64], truth_shown: NDArray[np.bool_], prediction_shown: NDArray[np.bool_]
) -> Association:
    """IoU (T, G, P), shown (T, G) and (T, P) -> scores; 0 for tracks that are shown nowhere.

    Equal scores leave the choice of partners to rounding. So that it is the reference's choice, sums run over
    the shown masks only, in the reference's order and memory layout.
    """
    truth_frames, prediction_frames = truth_shown.sum(axis=0), prediction_shown.sum(axis=0)
    if not iou.any():
        return Association(np.zeros(iou.shape[1:]), truth_frames, prediction_frames)
    stored = iou.transpose(0, 2, 1)
    share = np.zeros(stored.shape)
    for frames, rows, columns in _patterns(truth_shown, prediction_shown):
        block = stored[np.ix_(frames, columns, rows)].transpose(0, 2, 1)
        total = block.sum(axis=1)[:, None, :] + block.sum(axis=2)[:, :, None] - block
        ratio = np.divide(block, total, out=np.zeros_like(block), where=total > EPS)
        share[np.ix_(frames, columns, rows)] = ratio.transpose(0, 2, 1)
    # accumulate adds one frame after the other, sum would not for a single pair of tracks
    aligned = np.add.accumulate(share, axis=0)[-1].T
    either = truth_frames[:, None] + prediction_frames[None, :] - aligned
    score = np.divide(aligned, either, out=np.zeros_like(aligned), where=either > 0)
    return Association(score, truth_frames, prediction_frames)


def _patterns(
    truth_shown: NDArray[np.bool_], prediction_shown: NDArray[np.bool_]
) -> list[tuple[Indices, Indices, Indices]]:
    """Frames in which the same tracks are shown, together: their (frames, rows, columns)."""
    frames, rows, columns = len(truth_shown), truth_shown.shape[1], prediction_shown.shape[1]
    if max(rows, columns) < _PAIRWISE:
        return [(np.arange(frames), np.arange(rows), np.arange(columns))]
    both = np.flatnonzero(truth_shown.any(axis=1) & prediction_shown.any(axis=1))
    frames_of: dict[bytes, list[int]] = {}
    for t, pattern in zip(both.tolist(), np.concatenate([truth_shown, prediction_shown], axis=1)[both], strict=True):
        frames_of.setdefault(pattern.tobytes(), []).append(t)
    return [
        (np.array(alike), np.flatnonzero(truth_shown[alike[0]]), np.flatnonzero(prediction_shown[alike[0]]))
        for alike in frames_of.values()
    ]


def is_contested(positive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Positive (T, G, P) -> (T,): a track of the frame has several possible partners, so that a choice must be made.

    Elsewhere every positive pair belongs to the best assignment.
    """
    return (positive.sum(axis=1) > 1).any(axis=1) | (positive.sum(axis=2) > 1).any(axis=1)


def assign(score: NDArray[Any]) -> tuple[Indices, Indices]:
    """Score (G, P) -> rows (ascending) and columns of the one-to-one pairs with the greatest sum.

    Which of several equally good assignments is taken decides published numbers: it is scipy's choice, as in the
    released evaluator.
    """
    rows, columns = linear_sum_assignment(-score)
    return rows, columns
