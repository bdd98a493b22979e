"""``evaluate_maps``: arrays of maps and their truth -> every score of a task, as released and corrected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import UsageError
from avis_cli.evaluate.semantic.evaluation import MapVideo, Task, evaluate_videos

Maps = Iterable[NDArray[Any]]
"""One video after another: (frames, h, w) each."""


def evaluate_maps(
    predictions: Maps,
    truth: Maps,
    task: Task,
    batch_size: int | None = None,
    valid: Sequence[int] | None = None,
    *,
    class_count: int | None = None,
) -> dict[str, Any]:
    """Scores of maps, as ratios: ``{"released": {...}, "corrected": {...}}``.

    ``predictions``, ``truth``: an array (videos, frames, h, w), or videos (frames, h, w) one after another, which may
    come as they are made: logits (or maps of 0 and 1) and 0 or 1 for "s4" and "ms3", class maps for "avss" and "cavp"
    (there 255 in the truth is ignored). ``batch_size``: videos in a batch of the released program, whose means depend
    on it (1 if None). ``valid``: how many frames of each video are real, None for all. ``class_count``: with the
    background; None: 71 for "avss", for "cavp" as many as occur. Raises UsageError for a task there is not, for arrays
    that do not go together, and for an option that the task has no use for.
    """
    if task not in get_args(Task):
        raise UsageError(f"task {task!r}, expected one of {', '.join(get_args(Task))}")
    return evaluate_videos(_videos(predictions, truth, valid), task, batch_size, class_count).scores()


def _videos(predictions: Maps, truth: Maps, valid: Sequence[int] | None) -> Iterator[MapVideo]:
    """Videos called by their number."""
    number = -1
    for number, (drawn, real) in enumerate(zip_longest(predictions, truth)):
        if drawn is None or real is None:
            raise UsageError(f"video {number} has {'no prediction' if drawn is None else 'no truth'}")
        if valid is not None and number >= len(valid):
            raise UsageError(f"valid has {len(valid)} lengths, expected one for each video")
        length = None if valid is None else int(valid[number])
        yield MapVideo(str(number), np.asarray(drawn), np.asarray(real), length)
    if valid is not None and len(valid) != number + 1:
        raise UsageError(f"valid has {len(valid)} lengths for {number + 1} videos")
