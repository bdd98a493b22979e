"""FSLA: the share of frames in which exactly the sounding objects are shown, over 19 IoU thresholds.

The corrected meaning (``correct_frames``) is the measure that was meant: a frame is right if every sounding object has
a mask of its own category that overlaps enough, and nothing else is shown. The released evaluator
(``released_frames``) mixes up positions and ranks, knows one spelling of an empty mask, and can fail; published
numbers come from it. docs/evaluation.md says where the two part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.tracks import PredictedTrack, TruthTrack
from avis_cli.evaluate.instances.matching import THRESHOLDS, Association, Indices, assign
from avis_cli.evaluate.instances.overlaps import Overlaps

KINDS = ("none", "single", "multi")
WRONG, RIGHT = -1.0, np.inf


@dataclass(frozen=True)
class FslaFrames:
    """The frames of one video.

    ``kind`` (T,): position in ``KINDS``, by the number of sounding objects. ``limit`` (T,): the frame is right at each
    threshold below this IoU; ``WRONG`` and ``RIGHT`` where no IoU decides.
    """

    kind: NDArray[np.int64]
    limit: NDArray[np.float64]

    def count(self) -> FslaCounts:
        right = self.limit[:, None] > THRESHOLDS
        of_kind = self.kind == np.arange(len(KINDS))[:, None]
        return FslaCounts(of_kind.sum(axis=1), of_kind.astype(np.int64) @ right.astype(np.int64))


@dataclass(frozen=True)
class FrameFaults:
    """What is wrong in each frame of one video (corrected meaning), in numbers of objects: (T,) each.

    ``missed``: sounding without any mask. ``wrong_category``: the mask has another category. ``weak``: right category,
    IoU not above 0.5. ``silent``: a mask on an object that is known but silent. ``extra``: other masks.
    """

    missed: NDArray[np.int64]
    wrong_category: NDArray[np.int64]
    weak: NDArray[np.int64]
    silent: NDArray[np.int64]
    extra: NDArray[np.int64]


@dataclass(frozen=True)
class FslaCounts:
    """``frames`` (3,) and, per threshold, the right ones among them: ``right`` (3, 19). Add up over videos."""

    frames: NDArray[np.int64]
    right: NDArray[np.int64]

    def __add__(self, other: FslaCounts) -> FslaCounts:
        return FslaCounts(self.frames + other.frames, self.right + other.right)

    def ratios(self) -> NDArray[np.float64]:
        """(4, 19): all frames, then each kind; NaN for a kind without frames."""
        frames = np.concatenate([[self.frames.sum()], self.frames]).astype(np.float64)
        right = np.concatenate([self.right.sum(axis=0)[None], self.right]).astype(np.float64)
        frames[frames == 0] = np.nan
        return right / frames[:, None]


NO_FRAMES = FslaCounts(np.zeros(len(KINDS), np.int64), np.zeros((len(KINDS), len(THRESHOLDS)), np.int64))


def correct_frames(
    truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack], overlaps: Overlaps, association: Association
) -> tuple[FslaFrames, FrameFaults]:
    """Corrected meaning; ``overlaps`` and ``association`` without empty masks."""
    truth_shown, prediction_shown = overlaps.truth_shown, overlaps.prediction_shown
    frames = len(truth_shown)
    limit = np.full(frames, RIGHT)
    faults = FrameFaults(*(np.zeros(frames, np.int64) for _ in range(5)))
    answered = np.zeros((frames, len(truths)), bool)
    placed = np.zeros((frames, len(predictions)), bool)
    pairs = _pair(truths, association)
    real = pairs.score > 0
    partners = zip(
        pairs.truths[pairs.rows[real]].tolist(), pairs.predictions[pairs.columns[real]].tolist(), strict=True
    )
    for i, j in partners:
        sounds, shows = truth_shown[:, i], prediction_shown[:, j]
        both = sounds & shows
        answered[:, i], placed[:, j] = both, shows
        faults.silent[shows & ~sounds] += 1
        if truths[i].category_id != predictions[j].category_id:
            faults.wrong_category[both] += 1
            limit[both] = WRONG
        else:
            iou = overlaps.iou[:, i, j]
            faults.weak[both & (iou <= 0.5)] += 1
            limit[both] = np.minimum(limit, iou)[both]
    missing = truth_shown & ~answered
    faults = replace(faults, missed=missing.sum(axis=1), extra=(prediction_shown & ~placed).sum(axis=1, dtype=np.int64))
    sounding, shown = truth_shown.sum(axis=1), prediction_shown.sum(axis=1)
    limit[missing.any(axis=1) | (sounding != shown)] = WRONG
    return FslaFrames(np.minimum(sounding, 2), limit), faults


class ReleasedFailure(Exception):  # noqa: N818 (an outcome that is reported, not an error of ours)
    """The released evaluator would have stopped in this frame."""

    def __init__(self, frame: int, cause: str) -> None:
        self.frame = frame
        self.cause = cause
        super().__init__(f"frame {frame}: {cause}")


def released_frames(
    truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack], overlaps: Overlaps, association: Association
) -> FslaFrames:
    """Released meaning; ``overlaps`` and ``association`` with empty masks. Raises ``ReleasedFailure``."""
    sounding = overlaps.truth_shown.sum(axis=1)
    kind = np.minimum(sounding, 2)
    limit = np.full(len(kind), WRONG)
    empty = overlaps.prediction_blank
    passes = sounding == (overlaps.prediction_shown & ~empty).sum(axis=1)
    passes &= _same_categories(truths, predictions, overlaps)
    limit[passes & (kind == 0)] = RIGHT
    pairs = _pair(truths, association)
    frames = np.flatnonzero(passes & (kind == 1))
    limit[frames] = _released_single(frames, truths, overlaps, pairs.columns)
    frames = np.flatnonzero(passes & (kind == 2))
    limit[frames] = RIGHT
    if not len(frames):
        return FslaFrames(kind, limit)
    for row, column in zip(pairs.rows.tolist(), pairs.columns.tolist(), strict=True):
        # row: a rank by id among the sounding tracks, used as a position among all tracks of the file
        j = _shown_at(column, frames, overlaps)
        category = np.array([track.category_id for track in predictions], np.int64)[j]
        silent = np.where(empty[frames, j], RIGHT, WRONG)
        found = np.where(overlaps.truth_shown[frames, row], overlaps.iou[frames, row, j], silent)
        found[category != truths[row].category_id] = WRONG
        _check_empty_lists(truths[row], overlaps, frames[category == truths[row].category_id])
        limit[frames] = np.minimum(limit[frames], found)
    return FslaFrames(kind, limit)


def _released_single(
    frames: Indices, truths: Sequence[TruthTrack], overlaps: Overlaps, columns: Indices
) -> NDArray[np.float64]:
    """Limits of frames with one sounding object: it is looked up among the columns, although it is a row."""
    if not len(frames):
        return np.zeros(0)
    not_null = overlaps.truth_shown.copy()
    for i, truth in enumerate(truths):
        not_null[[t for t in truth.empty_lists if t < len(not_null)], i] = True
    rank = np.full(max(len(truths), overlaps.prediction_shown.shape[1]), -1)
    rank[columns] = np.arange(len(columns))
    rank = rank[not_null[frames].argmax(axis=1)]
    limit = np.full(len(frames), WRONG)
    known, k = frames[rank >= 0], rank[rank >= 0]
    if len(known):
        row = overlaps.truth_shown[known].argmax(axis=1)
        limit[rank >= 0] = overlaps.iou[known, row, _shown_at(k, known, overlaps)]
    return limit


def _shown_at(position: int | Indices, frames: Indices, overlaps: Overlaps) -> Indices:
    """The prediction at ``position`` among those that have a mask in each frame."""
    shown = overlaps.prediction_shown[frames]
    late = position >= shown.sum(axis=1)
    if late.any():
        cause = "a prediction without a mask in this frame shifts the columns (write an all-zero mask)"
        raise ReleasedFailure(int(frames[late][0]), cause)
    return np.argsort(~shown, axis=1, kind="stable")[np.arange(len(frames)), position]


def _check_empty_lists(truth: TruthTrack, overlaps: Overlaps, frames: Indices) -> None:
    reached = truth.empty_lists.intersection(frames.tolist())
    if reached:
        raise ReleasedFailure(min(reached), "an empty list stands for a silent object (write null)")


@dataclass(frozen=True)
class _Pairs:
    """``truths`` by ascending annotation id and ``predictions`` in file order: those shown at least once.

    ``rows`` and ``columns``: positions in these two of the tracks that belong together; ``score`` of each pair.
    """

    truths: NDArray[np.intp]
    predictions: NDArray[np.intp]
    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    score: NDArray[np.float64]


def _pair(truths: Sequence[TruthTrack], association: Association) -> _Pairs:
    by_id = np.argsort(np.array([truth.id for truth in truths], np.int64), kind="stable")
    by_id = by_id[association.truth_frames[by_id] > 0]
    alive = np.flatnonzero(association.prediction_frames)
    score = association.score[np.ix_(by_id, alive)]
    rows, columns = assign(score)
    return _Pairs(by_id, alive, rows, columns, score[rows, columns])


def _same_categories(
    truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack], overlaps: Overlaps
) -> NDArray[np.bool_]:
    """(T,): the ground truths and the predictions of the frame, empty ones included, have the same categories."""
    truth_category = np.array([track.category_id for track in truths], np.int64)
    prediction_category = np.array([track.category_id for track in predictions], np.int64)
    same = np.ones(len(overlaps.truth_shown), bool)
    for category in {*truth_category.tolist(), *prediction_category.tolist()}:
        sounds = overlaps.truth_shown[:, truth_category == category].any(axis=1)
        same &= sounds == overlaps.prediction_shown[:, prediction_category == category].any(axis=1)
    return same
