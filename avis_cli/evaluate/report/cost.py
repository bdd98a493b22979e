"""Which videos and frames cost the most FSLA (corrected meaning), and why, to print and for scores.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from avis_cli.datasets.tracks import Dataset
from avis_cli.evaluate.instances.scores import Evaluation
from avis_cli.evaluate.instances.video_scores import VideoScores
from avis_cli.evaluate.report.tables import Table, number
from avis_cli.evaluate.report.worst import FrameOutcome, frame_outcomes, worst_frames

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
