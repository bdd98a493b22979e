"""Which videos and frames cost the most FSLA (corrected meaning), and why, to print and for scores.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from avis_cli.datasets.tracks import Dataset
from avis_cli.evaluate.instances.fsla import KINDS, RIGHT
from avis_cli.evaluate.instances.matching import THRESHOLDS
from avis_cli.evaluate.instances.scores import Evaluation
from avis_cli.evaluate.instances.video_scores import VideoScores
from avis_cli.evaluate.report.tables import Table, number


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


# field of FrameOutcome -> heading of its column
CAUSES = {
    "missed": "missed",
    "extra": "extra",
    "wrong_category": "category",
    "weak": "under 0.5",
    "silent": "silent",
}


@dataclass(frozen=True)
class VideoCost:
    """``cost``: points of the whole run's FSLA that the video's frames cost; ``FSLA``: of the video, percent.

    ``wrong_frames``: frames wrong at one threshold or more, of ``frames``. ``causes``: objects by cause, all frames.
    """

    video: str
    video_id: int
    cost: float
    FSLA: float
    wrong_frames: int
    frames: int
    causes: dict[str, int]


@dataclass(frozen=True)
class Costs:
    """Those that cost most first. ``file_names``: of ``frames``."""

    videos: list[VideoCost]
    frames: list[FrameOutcome]
    file_names: list[str]

    def to_json(self) -> dict[str, Any]:
        frames = [
            {**asdict(frame), "file_name": name, "why": frame.reason}
            for frame, name in zip(self.frames, self.file_names, strict=True)
        ]
        return {"videos": [asdict(video) for video in self.videos], "frames": frames}


def find_costs(evaluation: Evaluation, dataset: Dataset, count: int) -> Costs:
    """Up to ``count`` videos and ``count`` frames; those that cost nothing are left out."""
    total = sum(video.length for video in evaluation.videos)
    videos = [cost for video in evaluation.videos if (cost := _cost(video, total)).cost > 0]
    videos.sort(key=lambda video: (-video.cost, -sum(video.causes.values())))
    frames = worst_frames(evaluation.videos, count)
    names = {video.id: video.file_names for video in dataset.videos}
    return Costs(videos[:count], frames, [names[frame.video_id][frame.frame] for frame in frames])


def _cost(video: VideoScores, total: int) -> VideoCost:
    frames = frame_outcomes([video])
    right = sum(frame.share for frame in frames)
    return VideoCost(
        video=video.name,
        video_id=video.id,
        cost=100 * (len(frames) - right) / total,
        FSLA=100 * right / len(frames),
        wrong_frames=sum(frame.share < 1 for frame in frames),
        frames=len(frames),
        causes={cause: _objects(frames, cause) for cause in CAUSES},
    )


def _objects(frames: Sequence[FrameOutcome], cause: str) -> int:
    return sum(getattr(frame, cause) for frame in frames)


def cost_tables(costs: Costs) -> list[Table]:
    videos = [
        [entry.video, number(entry.cost), number(entry.FSLA), f"{entry.wrong_frames}/{entry.frames}"]
        + [str(entry.causes[cause]) for cause in CAUSES]
        for entry in costs.videos
    ]
    frames = [
        [frame.video, str(frame.frame), name.rsplit("/", 1)[-1], number(100 * (1 - frame.share), 0), frame.reason]
        for frame, name in zip(costs.frames, costs.file_names, strict=True)
    ]
    title = "Videos that cost most: points of FSLA (corrected), wrong frames, objects by cause"
    return [
        Table(title, ["", "cost", "FSLA", "wrong", *CAUSES.values()], videos),
        Table("Frames that cost most", ["", "frame", "file", "lost %", "why"], frames, left=frozenset({2, 4})),
    ]
