"""Which videos and frames are worst in the corrected meaning, and why, to print and for scores.json."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from avis_cli.evaluate.report.tables import Table, number
from avis_cli.evaluate.semantic.binary import BinaryVideo
from avis_cli.evaluate.semantic.classes import ClassCounts
from avis_cli.evaluate.semantic.evaluation import MapEvaluation


@dataclass(frozen=True)
class FrameOfMaps:
    """``frame``: its place in the video, from 0; ``iou``: 0 to 1, of class maps the mean over the classes that occur
    in it; ``missed``, ``extra``: pixels of objects that are not drawn, and that are drawn where they are not."""

    video: str
    frame: int
    iou: float
    truth: int
    missed: int
    extra: int

    @property
    def reason(self) -> str:
        """What is wrong with it, in words."""
        if not self.truth:
            return f"{self.extra} pixels drawn where nothing sounds"
        return f"of {self.truth} pixels {self.missed} missed, {self.extra} extra"


def frames_of(evaluation: MapEvaluation) -> Iterator[FrameOfMaps]:
    """Every real frame, in order."""
    for name, counts, real in zip(evaluation.names, evaluation.counts, evaluation.real, strict=True):
        rows = _binary(counts) if isinstance(counts, BinaryVideo) else _classes(counts)
        for frame, (iou, truth, missed, extra) in enumerate(zip(*rows, strict=True)):
            if frame < real:
                yield FrameOfMaps(name, frame, float(iou), int(truth), int(missed), int(extra))


def _binary(video: BinaryVideo) -> tuple[Any, Any, Any, Any]:
    exact = video.exact
    return exact.iou(of_silence="all"), exact.truth, exact.truth - exact.both, exact.either - exact.truth


def _classes(counts: ClassCounts) -> tuple[Any, Any, Any, Any]:
    there = counts.either > 0
    iou = np.where(there, counts.iou(), 0).sum(1) / np.maximum(there.sum(1), 1)
    iou[~there.any(1)] = 1  # every pixel is ignored
    both, truth = counts.both[:, 1:], counts.truth[:, 1:].sum(1)
    return iou, truth, truth - both.sum(1), (counts.drawn[:, 1:] - both).sum(1)


def find_worst(evaluation: MapEvaluation, videos: dict[str, dict[str, Any]], count: int) -> dict[str, Any]:
    """Up to ``count`` videos and frames with the least mean IoU, then the most wrong pixels; those that are right are
    left out. ``videos``: of the evaluation, ``MapEvaluation.video_scores``."""
    entries = [
        {"video": name, "frames": video["frames"], "miou": video["corrected"]["miou"]}
        for name, video in videos.items()
        if video["corrected"]["miou"] is not None and video["corrected"]["miou"] < 1
    ]
    frames = [frame for frame in frames_of(evaluation) if frame.iou < 1]
    frames.sort(key=lambda frame: (frame.iou, -frame.missed - frame.extra))
    return {
        "videos": sorted(entries, key=itemgetter("miou"))[:count],
        "frames": [{**asdict(frame), "why": frame.reason} for frame in frames[:count]],
    }


def worst_tables(worst: dict[str, Any]) -> list[Table]:
    """What ``find_worst`` found."""
    videos = [[entry["video"], number(100 * entry["miou"]), str(entry["frames"])] for entry in worst["videos"]]
    frames = [
        [entry["video"], str(entry["frame"]), number(100 * entry["iou"]), entry["why"]] for entry in worst["frames"]
    ]
    return [
        Table("Videos that are worst, corrected, percent", ["", "mIoU", "frames"], videos),
        Table("Frames that are worst, corrected, percent", ["", "frame", "IoU", "why"], frames, left=frozenset({3})),
    ]
