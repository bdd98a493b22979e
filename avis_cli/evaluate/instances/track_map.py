"""Average precision of whole tracks over ten IoU thresholds and four ranges of track size.

The COCO protocol on tracks (Yang et al., Video Instance Segmentation, ICCV 2019): the IoU of two tracks is the sum of
their intersections over the sum of their unions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.tracks import PredictedTrack, TruthTrack
from avis_cli.evaluate.instances.matching import EPS
from avis_cli.evaluate.instances.overlaps import Overlaps

# the float noise of these values decides whether an IoU of exactly 0.8 passes 0.8 (it does not)
THRESHOLDS: NDArray[np.float64] = np.arange(0.5, 0.96, 0.05)
RECALLS: NDArray[np.float64] = np.linspace(0, 1, 101)
RANGES = ("all", "area_s", "area_m", "area_l")
SHAPE = (len(RANGES), len(THRESHOLDS))
# mean area of a track in pixels, both ends included
_BOUNDS = ((0.0, float("inf")), (0.0, 128.0**2), (128.0**2, 256.0**2), (256.0**2, 1e10))


@dataclass(frozen=True)
class TrackMatches:
    """The predictions (D) of one class in one video, by falling score, per range and threshold.

    ``matched`` and ``ignored``: (4, 10, D). ``truths``: (4,) ground-truth tracks that count.
    """

    scores: NDArray[np.float64]
    matched: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True)
class TrackPrecision:
    """One class over all videos. -1 in every entry of a range without ground truth.

    ``precision``: (4, 10, 101) at ``RECALLS``. ``ap``, ``ar``: (4, 10), fractions. ``truths``: (4,).
    """

    precision: NDArray[np.float64]
    ap: NDArray[np.float64]
    ar: NDArray[np.float64]
    truths: NDArray[np.int64]


def match(
    truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack], overlaps: Overlaps, *, reusing: int | None
) -> TrackMatches:
    """One class of one video; ``overlaps`` holds its tracks in the same order, all frames.

    ``reusing``: position of the prediction whose match leaves its ground truth free, as the released evaluator does
    for the very first prediction; None for nobody.
    """
    order = np.argsort([-track.score for track in predictions], kind="stable")
    iou = _track_iou(overlaps)[:, order]
    truth_out = _out_of_range([_truth_size(track) for track in truths])
    truth_out |= np.array([track.is_crowd for track in truths], bool)
    prediction_out = _out_of_range(_prediction_sizes(overlaps)[order])
    matched = np.zeros((len(RANGES), len(THRESHOLDS), len(predictions)), bool)
    ignored = np.repeat(prediction_out[:, None, :], len(THRESHOLDS), axis=1)
    least = float(THRESHOLDS[0]) - EPS
    candidates = [[(i, value) for i, value in enumerate(row) if value >= least] for row in iou.T.tolist()]
    free_position = -1 if reusing is None else int(np.flatnonzero(order == reusing)[0])
    if any(candidates):
        for r, out in enumerate(truth_out):
            is_out = out.tolist()
            # those that count come first: an ignored one is taken only where no other will do
            ordered = [
                [*(pair for pair in some if not is_out[pair[0]]), *(pair for pair in some if is_out[pair[0]])]
                for some in candidates
            ]
            # (10, D)
            partner = np.array([_match_at(at, ordered, is_out, free_position) for at in THRESHOLDS.tolist()])
            matched[r] = partner >= 0
            ignored[r] = np.where(matched[r], out[partner], ignored[r])
    scores = np.array([track.score for track in predictions], np.float64)[order]
    return TrackMatches(scores, matched, ignored, (~truth_out).sum(axis=1))


def _match_at(
    threshold: float, candidates: list[list[tuple[int, float]]], out: list[bool], free_position: int
) -> list[int]:
    """For each prediction its ground truth, or -1. ``out``: ground truths that are ignored, last among candidates."""
    taken: set[int] = set()
    partners = []
    for d, overlapping in enumerate(candidates):
        best, partner = min(threshold, 1 - 1e-10), -1
        for i, iou in overlapping:
            if i in taken:
                continue
            if partner >= 0 and out[i] and not out[partner]:
                break
            if iou >= best - EPS:
                best, partner = iou, i
        if partner >= 0 and d != free_position:
            taken.add(partner)
        partners.append(partner)
    return partners


def _track_iou(overlaps: Overlaps) -> NDArray[np.float64]:
    """(G, P), from the IoUs and areas of all frames."""
    both = overlaps.truth_area[:, :, None] + overlaps.prediction_area[:, None, :]
    # union = both / (1 + IoU) is a whole number of pixels, and rounding gives exactly that number
    union = np.rint(both / (1 + overlaps.iou)).astype(np.int64)
    shared, total = (both - union).sum(axis=0), union.sum(axis=0)
    return np.divide(shared, total, out=np.zeros(total.shape), where=total > 0)


def _truth_size(track: TruthTrack) -> float:
    areas = [area for area in track.areas if area]
    return float(np.mean(areas)) if areas else 0.0


def _prediction_sizes(overlaps: Overlaps) -> NDArray[np.float64]:
    area = overlaps.prediction_area
    return area.sum(axis=0) / np.maximum(1, (area > 0).sum(axis=0))


def _out_of_range(sizes: Sequence[float] | NDArray[np.float64]) -> NDArray[np.bool_]:
    """(4, N)"""
    size = np.asarray(sizes, np.float64)
    return np.stack([(size < low - EPS) | (size > high + EPS) for low, high in _BOUNDS])


def precision(videos: Sequence[TrackMatches]) -> TrackPrecision:
    """One class over the videos in which it occurs; among equal scores the earlier video comes first."""
    truths = sum((video.truths for video in videos), np.zeros(len(RANGES), np.int64))
    curve = np.zeros((*SHAPE, len(RECALLS)))
    recall_reached = np.zeros(SHAPE)
    if sum(len(video.scores) for video in videos):
        order = np.argsort(-np.concatenate([video.scores for video in videos]), kind="stable")
        matched = np.concatenate([video.matched for video in videos], axis=2)[:, :, order]
        counted = ~np.concatenate([video.ignored for video in videos], axis=2)[:, :, order]
        hits = np.cumsum(matched & counted, axis=2, dtype=np.float64)
        false = np.cumsum(~matched & counted, axis=2, dtype=np.float64)
        recall = hits / np.maximum(1, truths)[:, None, None]
        # no hit yet and every prediction so far ignored: 0 / EPS
        exact = hits / (false + hits + EPS)
        falling = np.maximum.accumulate(exact[:, :, ::-1], axis=2)[:, :, ::-1]
        recall_reached = recall[:, :, -1]
        # the precision at the first place that reaches each recall, 0 where none does
        falling = np.concatenate([falling, np.zeros((*SHAPE, 1))], axis=2)
        for r in np.flatnonzero(hits[:, :, -1].any(axis=1)):
            at = (recall[r, :, None, :] < RECALLS[:, None]).sum(axis=2)
            curve[r] = falling[r][np.arange(len(THRESHOLDS))[:, None], at]
    ap = curve.mean(axis=2)
    missing = truths == 0
    curve[missing], ap[missing], recall_reached[missing] = -1, -1, -1
    return TrackPrecision(curve, ap, recall_reached, truths)


def mean_over_classes(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, ...) -> (...): the mean over the classes whose value is not -1; -1 where there is none."""
    real = values > -1
    number = real.sum(axis=0)
    total = np.where(real, values, 0).sum(axis=0)
    return np.divide(total, number, out=np.full(total.shape, -1.0), where=number > 0)
