"""Small sets of maps with their truth, and what is counted of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from avis_cli.evaluate.semantic.evaluation import MapEvaluation, MapVideo, Task, evaluate_videos

NAMES = ("one", "two", "three", "four")


def videos(task: Task, seed: int = 0, right: float = 0.7, count: int = 4) -> list[MapVideo]:
    """``right``: share of the pixels that are drawn as they should be. The truth depends on the task alone."""
    truths, chance = np.random.default_rng(5), np.random.default_rng(seed)
    found: list[MapVideo] = []
    for name in NAMES[:count]:
        frames = 2 + len(found)
        truth = truths.integers(0, 4, (frames, 8, 6))
        drawn = np.where(chance.random(truth.shape) < right, truth, chance.integers(0, 4, truth.shape))
        if task in ("s4", "ms3"):
            truth = (truth > 1).astype(np.int64)
            truth[0] = 0
            drawn = np.where(drawn > 1, 1.0, -1.0) + chance.standard_normal(drawn.shape)
        found.append(MapVideo(name, drawn, truth))
    return found


def evaluated(task: Task, seed: int = 0, right: float = 0.7, **options: Any) -> MapEvaluation:
    return evaluate_videos(videos(task, seed, right), task, **options)


def one_frame(drawn: Any, truth: Any, name: str = "one") -> MapVideo:
    """Of rows of numbers."""
    return MapVideo(name, np.asarray(drawn)[None], np.asarray(truth)[None])
