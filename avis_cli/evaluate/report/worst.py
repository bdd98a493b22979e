"""The frames that an evaluation holds against a model, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avis_cli.evaluate.instances.fsla import KINDS, RIGHT
from avis_cli.evaluate.instances.matching import THRESHOLDS
from avis_cli.evaluate.instances.video_scores import VideoScores


@dataclass(frozen=True)
class FrameOutcome:
    """One frame in the corrected FSLA. ``share``: of the 19 thresholds at which it is right.

    ``iou``: the least among the sounding objects; None where the frame is wrong, or right, whatever the overlap.
    The other fields count objects, as in ``fsla.FrameFaults``.
    """

    video: str
    video_id: int
    frame: int
    kind: str
    share: float
    iou: float | None
    missed: int
    wrong_category: int
    weak: int
    silent: int
    extra: int

    @property
    def reason(self) -> str:
        """What is wrong with it, in words; empty where nothing is."""
        counted = (
            (self.missed, "missed"),
            (self.wrong_category, "with the wrong category"),
            (self.silent, "shown although silent"),
            (self.extra, "extra"),
        )
        reasons = [f"{number} {fault}" for number, fault in counted if number]
        if self.iou is not None and self.share < 1:
            reasons.append(f"IoU {self.iou:.2f}")
        elif self.weak:
            reasons.append(f"{self.weak} with an IoU of 0.5 or less")
        return ", ".join(reasons)


def frame_outcomes(videos: Sequence[VideoScores]) -> list[FrameOutcome]:
    """Every frame of ``videos``, in order."""
    return [outcome for video in videos for outcome in _of_video(video)]


def worst_frames(videos: Sequence[VideoScores], number: int) -> list[FrameOutcome]:
    """Up to ``number`` frames that are not right at all thresholds: the least share first, then the most faults."""
    wrong = [outcome for outcome in frame_outcomes(videos) if outcome.share < 1]
    return sorted(wrong, key=lambda f: (f.share, -(f.missed + f.wrong_category + f.silent + f.extra)))[:number]


def _of_video(video: VideoScores) -> list[FrameOutcome]:
    frames, faults = video.corrected_frames, video.faults
    share = (frames.limit[:, None] > THRESHOLDS).mean(axis=1)
    decided = (frames.limit >= 0) & (frames.limit < RIGHT)
    numbers = np.stack([faults.missed, faults.wrong_category, faults.weak, faults.silent, faults.extra], axis=1)
    return [
        FrameOutcome(
            video.name,
            video.id,
            t,
            KINDS[int(frames.kind[t])],
            float(share[t]),
            float(frames.limit[t]) if decided[t] else None,
            *numbers[t].tolist(),
        )
        for t in range(video.length)
    ]
