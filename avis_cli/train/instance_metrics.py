"""What FSLA hardly shows: whether two sounding instances of one category become two tracks, and silence stays empty."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as coco
from scipy.optimize import linear_sum_assignment

from avis_cli.datasets.tracks import Dataset, Mask, PredictedTrack, TruthTrack

OVERLAP = 0.5  # IoU above which a track, or a silent object, counts as found


@dataclass(frozen=True)
class TwinCount:
    """Clips in which several instances of one category sound, and those where each has a track of its own."""

    clips: int
    found: int

    @property
    def share(self) -> float | None:
        """Found of all, None without such clips."""
        return self.found / self.clips if self.clips else None


def count_twins(dataset: Dataset) -> TwinCount:
    """A clip counts as found if all instances of every such category are matched one-to-one with predicted tracks of
    the category at a track IoU (over all frames of the clip) above 0.5."""
    clips = found = 0
    for video in dataset.videos:
        groups: dict[int, list[TruthTrack]] = defaultdict(list)
        for truth in video.truths:
            groups[truth.category_id].append(truth)
        several = {category: truths for category, truths in groups.items() if len(truths) > 1}
        if several:
            clips += 1
            found += all(
                _all_found(truths, [p for p in video.predictions if p.category_id == category])
                for category, truths in several.items()
            )
    return TwinCount(clips, found)


def _all_found(truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack]) -> bool:
    if len(predictions) < len(truths):
        return False
    good = np.array([[track_iou(t.masks, p.masks) > OVERLAP for p in predictions] for t in truths])
    rows, columns = linear_sum_assignment(good, maximize=True)
    return bool(good[rows, columns].sum() == len(truths))


def track_iou(one: Sequence[Mask | None], other: Sequence[Mask | None]) -> float:
    """Intersection over union of two tracks' masks, both summed over the frames."""
    common = union = 0.0
    for a, b in zip(one, other, strict=False):
        sizes = [float(coco.area(mask)) if mask is not None else 0.0 for mask in (a, b)]
        both = float(coco.area(coco.merge([a, b], intersect=True))) if a is not None and b is not None else 0.0
        common += both
        union += sum(sizes) - both
    return common / union if union else 0.0


def share_suppressed(dataset: Dataset, silent: Sequence[Sequence[Sequence[Mask | None]]]) -> float | None:
    """Of all (silent visible object, frame) pairs, the share that no predicted mask covers at an IoU above 0.5.

    ``silent``: per clip and object, the masks by frame where the object is seen and not heard. None without any.
    """
    pairs = covered = 0
    for video, objects in zip(dataset.videos, silent, strict=True):
        for track in objects:
            for frame, mask in enumerate(track):
                if mask is None:
                    continue
                pairs += 1
                drawn = [p.masks[frame] for p in video.predictions if p.masks[frame] is not None]
                covered += bool(drawn) and float(np.max(coco.iou(drawn, [mask], [0]))) > OVERLAP
    return 1.0 - covered / pairs if pairs else None
