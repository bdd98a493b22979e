"""How far scores may be chance: intervals over videos (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

Works on the scores of single videos as scores.json has them, so that a run can be compared with one of long ago.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.evaluate.semantic.whole_set import BETAS2

DRAWS, SEED = 1000, 0
LEVEL = 95.0  # percent
Sums = dict[str, NDArray[np.float64]]
Samples = dict[str, NDArray[np.float64]]
"""Of each score its value in every draw (D,), NaN where it is undefined."""


def draw_weights(videos: int, draws: int = DRAWS, seed: int = SEED) -> NDArray[np.int64]:
    """How often each video is in each of ``draws`` sets of as many, drawn with replacement: (draws, videos)."""
    return np.random.default_rng(seed).multinomial(videos, np.full(videos, 1 / videos), size=draws)


def resampled(task: str, videos: Sequence[Mapping[str, Any]], weights: NDArray[np.int64]) -> Samples:
    """The corrected scores of sets in which each of ``videos``, as ``MapEvaluation.video_scores`` gives them, is as
    often as ``weights`` (D, V) say. F of binary maps is taken at the threshold that is best for the set that was
    measured."""
    if task in ("s4", "ms3"):
        return _binary(videos, weights)
    names = ("frames", "iou", "f", "both", "either") if task == "avss" else ("hits", "missed", "false")
    sums = {name: weights @ table for name, table in _tables(videos, names).items()}
    return _classes(sums) if task == "avss" else _whole_set(sums)


def interval(samples: NDArray[np.float64]) -> tuple[float, float] | None:
    """The middle ``LEVEL`` percent of draws (D,), those that are undefined left out; None if all are."""
    known = samples[~np.isnan(samples)]
    if not known.size:
        return None
    outside = (100.0 - LEVEL) / 2
    low, high = np.percentile(known, [outside, 100.0 - outside])
    return float(low), float(high)


def _binary(videos: Sequence[Mapping[str, Any]], weights: NDArray[np.int64]) -> Samples:
    frames = np.array([video["frames"] for video in videos], float)
    found = np.array([video["corrected"]["frames_with_truth"] for video in videos], float)
    miou = np.array([video["corrected"]["miou"] for video in videos], float)
    fscore = np.array([video["corrected"]["fscore_of_set"] or 0.0 for video in videos], float)
    return {
        "miou": _ratio(weights @ (miou * frames), weights @ frames),
        "fscore": _ratio(weights @ (fscore * found), weights @ found),
    }


def _tables(videos: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Sums:
    """Of each name a table (V, K): sums over the frames of a video by class."""
    classes = 1 + max((int(number) for video in videos for number in video["classes"]), default=0)
    tables = {name: np.zeros((len(videos), classes)) for name in names}
    for row, video in enumerate(videos):
        for number, entry in video["classes"].items():
            for name in names:
                # means over frames become sums again
                times = entry["frames"] if name in ("iou", "f") else 1
                tables[name][row, int(number)] = times * entry[name]
    return tables


def _classes(sums: Sums) -> Samples:
    seen = sums["frames"] > 0
    values = {
        "miou": _ratio(sums["iou"], sums["frames"]),
        "fscore": _ratio(sums["f"], sums["frames"]),
        "accumulated_miou": _ratio(sums["both"], sums["either"]),
    }
    samples = {name: _mean(value, seen) for name, value in values.items()}
    return {**samples, **{f"{name}_noBg": _mean(value[:, 1:], seen[:, 1:]) for name, value in values.items()}}


def _whole_set(sums: Sums) -> Samples:
    hits, missed, false = sums["hits"], sums["missed"], sums["false"]
    union = hits + missed + false
    iou, seen = _ratio(hits, union), union > 0
    samples = {
        "miou": _mean(iou, seen),
        "miou_noBg": _mean(iou[:, 1:], seen[:, 1:]),
        "acc": _ratio(hits.sum(1), (hits + missed).sum(1)),
        "fdr": _mean(_ratio(false, false + hits), false + hits > 0),
    }
    for name, beta2 in BETAS2.items():
        below = (1 + beta2) * hits + beta2 * missed + false
        samples[name] = _mean(_ratio((1 + beta2) * hits, below), below > 0)
    return samples


def _ratio(above: NDArray[Any], below: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(above, below, out=np.full(np.shape(below), np.nan), where=np.asarray(below) > 0)


def _mean(values: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Over the classes that are ``seen`` (D, K) -> (D,)."""
    return _ratio(np.where(seen, values, 0).sum(1), seen.sum(1))
