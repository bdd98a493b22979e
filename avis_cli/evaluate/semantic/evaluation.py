"""Videos of maps with their truth, one after another -> what is counted of them, of which every score is made.

Only counts are kept of a video, so that a set of any size can be scored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import UsageError
from avis_cli.evaluate.semantic import binary, classes, whole_set
from avis_cli.evaluate.semantic.binary import BinaryCounts, BinaryVideo
from avis_cli.evaluate.semantic.classes import AVSS_CLASSES, ClassCounts

Task = Literal["s4", "ms3", "avss", "cavp"]
BINARY: tuple[Task, ...] = ("s4", "ms3")


@dataclass(frozen=True, eq=False)
class MapVideo:
    """``drawn`` and ``truth``, (frames, h, w) each: logits and 0 or 1 for "s4" and "ms3", else class maps. ``real``:
    how many frames at the beginning are more than padding, None for all."""

    name: str
    drawn: NDArray[Any]
    truth: NDArray[Any]
    real: int | None = None


@dataclass(frozen=True, eq=False)
class MapEvaluation:
    """The counts of all videos. ``real``: how many frames of each are more than padding; ``batch_size``: videos in a
    batch of the released program of "s4" and "ms3", 1 if None."""

    task: Task
    names: Sequence[str]
    counts: Sequence[Any]
    real: Sequence[int]
    batch_size: int | None = None

    def scores(self) -> dict[str, Any]:
        """``released`` and ``corrected`` over all videos, as ratios."""
        if self.task in BINARY:
            return binary.scores(self.counts, self.batch_size)
        if self.task == "avss":
            return classes.scores(self.counts, self.real)
        return whole_set.scores(self.counts)

    def video_scores(self) -> dict[str, dict[str, Any]]:
        """Of each video by its name: its frames, and the scores that a video alone has."""
        at = binary.largest(self.curve())[1] if self.task in BINARY else None
        found = {}
        for name, counts, real in zip(self.names, self.counts, self.real, strict=True):
            if self.task in BINARY:
                of_video = binary.video_scores(counts, at)
            else:
                module = classes if self.task == "avss" else whole_set
                of_video = module.video_scores(counts[:real])
            found[name] = {"frames": real, **of_video}
        return found

    def curve(self) -> NDArray[np.float64] | None:
        """F at each of ``binary.THRESHOLDS`` in corrected meaning; None for class maps and where no frame has a
        truth."""
        if self.task not in BINARY:
            return None
        return BinaryCounts.join([video.exact for video in self.counts]).curve()


def evaluate_videos(
    videos: Iterable[MapVideo], task: Task, batch_size: int | None = None, class_count: int | None = None
) -> MapEvaluation:
    """Count every video as it comes. ``class_count``: with the background; None: 71 for "avss", for "cavp" as many as
    occur. Raises UsageError for options that the task has no use for, and for maps that cannot be scored."""
    if batch_size is not None and (task not in BINARY or batch_size < 1):
        raise UsageError(f"batch_size {batch_size} of {task}", hint="s4 and ms3 are scored in batches of 1 or more")
    if class_count is not None and task in BINARY:
        raise UsageError(f"class_count {class_count} of {task}, whose maps are binary", hint="leave it out")
    names: list[str] = []
    counts: list[Any] = []
    real: list[int] = []
    for video in videos:
        length = _check(video)
        names.append(video.name)
        real.append(length)
        # the released program of AVSS scores frames that only pad a video too
        end = len(video.truth) if task == "avss" else length
        counts.append(_count(video, end, task, class_count))
    if not names:
        raise UsageError("no video to score")
    return MapEvaluation(task, names, counts, real, batch_size)


def _check(video: MapVideo) -> int:
    """How many frames are real."""
    drawn, truth = video.drawn, video.truth
    if drawn.shape != truth.shape or drawn.ndim != 3 or not drawn.size:
        raise UsageError(
            f"video {video.name}: maps of shape {drawn.shape} and a truth of shape {truth.shape}, expected the same "
            "(frames, h, w), each 1 or more"
        )
    real = len(truth) if video.real is None else video.real
    if not 1 <= real <= len(truth):
        raise UsageError(f"video {video.name}: {real} valid frames, expected 1 to {len(truth)}")
    return real


def _count(video: MapVideo, end: int, task: Task, class_count: int | None) -> Any:
    drawn, truth = video.drawn[:end], video.truth[:end]
    if task in BINARY:
        if np.setdiff1d(truth, (0, 1)).size:
            raise UsageError(f"video {video.name}: a truth of {task} is 0 or 1 at every pixel")
        if np.isnan(drawn).any():
            raise UsageError(f"video {video.name}: a logit is not a number")
        return BinaryVideo.of(drawn, truth)
    for maps, what in ((drawn, "a class map"), (truth, "a truth")):
        if maps.dtype.kind not in "iub":
            raise UsageError(f"video {video.name}: {what} of {maps.dtype}, expected whole numbers")
    known = truth[truth != whole_set.IGNORED]
    most = AVSS_CLASSES if task == "avss" else 1 + max(int(drawn.max()), int(known.max(initial=0)))
    most = most if class_count is None else class_count
    for maps, what in ((drawn, "a class map"), (known, "a truth")):
        for wrong in maps[(maps < 0) | (maps >= most)][:1]:
            raise UsageError(f"video {video.name}: {what} holds {wrong}, expected classes from 0 to {most - 1}")
    return ClassCounts.of(drawn, truth, most, whole_set.IGNORED if task == "cavp" else None)
