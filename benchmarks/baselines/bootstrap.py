"""How far scores may be chance: intervals over clips (Efron and Tibshirani, An Introduction to the Bootstrap, 1993)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.tracks import Category
from avis_cli.evaluate.instances.scores import combine
from avis_cli.evaluate.instances.video_scores import VideoScores

METRICS = ("FSLA", "HOTA", "mAP")
LEVEL = 95.0  # percent
Samples = NDArray[np.float64]


def resampled(videos: Sequence[VideoScores], categories: Sequence[Category], draws: int, seed: int) -> Samples:
    """Scores of ``draws`` sets of as many clips, drawn with replacement -> (draws, metrics), percent, corrected.

    The same ``seed`` draws the same clips, so that two rows on the same clips can be subtracted draw by draw.
    """
    chance = np.random.default_rng(seed)
    rows = []
    for _ in range(draws):
        drawn = [videos[number] for number in chance.integers(len(videos), size=len(videos))]
        values = combine(drawn, categories, released=False).metric_values()
        rows.append([np.nan if value is None else value for value in (getattr(values, name) for name in METRICS)])
    return np.array(rows)


def interval(samples: NDArray[np.float64]) -> tuple[float, float]:
    """The middle ``LEVEL`` percent of draws (N,), those that are undefined left out."""
    outside = (100.0 - LEVEL) / 2
    low, high = np.nanpercentile(samples, [outside, 100.0 - outside])
    return float(low), float(high)
