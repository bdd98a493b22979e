"""All metrics of a ``Dataset``: counted video by video, then combined; released and corrected meaning."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.tracks import Category, Dataset, Video
from avis_cli.evaluate.instances import hota, matching, track_map
from avis_cli.evaluate.instances.clear import ClearCounts
from avis_cli.evaluate.instances.fsla import NO_FRAMES, FslaCounts
from avis_cli.evaluate.instances.hota import HotaCounts, HotaRatios
from avis_cli.evaluate.instances.identity import IdentityCounts
from avis_cli.evaluate.instances.parallel import score_videos
from avis_cli.evaluate.instances.track_map import TrackPrecision
from avis_cli.evaluate.instances.video_scores import ClassCounts, VideoScores
from avis_cli.progress import Progress, silent


@dataclass(frozen=True)
class MetricValues:
    """The numbers that are reported: percent, except for ``IDSW``, a count. None: undefined.

    HOTA and its parts, mAP and AR: mean over categories. IDSW, MOTA and IDF1: from sums over categories.
    """

    FSLA: float | None
    FSLA_none: float | None
    FSLA_single: float | None
    FSLA_multi: float | None
    HOTA: float | None
    DetA: float | None
    DetRe: float | None
    DetPr: float | None
    AssA: float | None
    AssRe: float | None
    AssPr: float | None
    LocA: float | None
    mAP: float | None  # noqa: N815 (its usual spelling)
    AP_small: float | None
    AP_medium: float | None
    AP_large: float | None
    AR: float | None
    IDSW: int
    MOTA: float
    IDF1: float


@dataclass(frozen=True)
class Curves:
    """What to plot, as fractions. ``fsla`` (4, 19): all frames, none, single, multi; NaN where there are no frames.

    ``hota``: each part (19,), mean over categories. ``precision`` (C, 101): per category at ``recalls``, tracks of all
    sizes, mean over the ten IoU thresholds; -1 for categories without ground truth.
    """

    thresholds: NDArray[np.float64]
    fsla: NDArray[np.float64] | None
    hota: HotaRatios
    recalls: NDArray[np.float64]
    precision: NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Counts of one meaning, added up over videos; per category (C entries) in the order of the file.

    ``fsla`` is None where the released evaluator fails. ``released``: which meaning.
    """

    released: bool
    fsla: FslaCounts | None
    fsla_of_class: list[FslaCounts | None]
    hota: HotaCounts
    clear: list[ClearCounts]
    identity: list[IdentityCounts]
    tracks: list[TrackPrecision]

    @cached_property
    def hota_ratios(self) -> HotaRatios:
        """Per category: (C, 19)."""
        return hota.ratios(self.hota)

    @cached_property
    def ap(self) -> NDArray[np.float64]:
        """(C, 4, 10) over ranges and thresholds; -1 where there is no ground truth."""
        return np.array([track.ap for track in self.tracks]).reshape(-1, *track_map.SHAPE)

    @cached_property
    def ar(self) -> NDArray[np.float64]:
        return np.array([track.ar for track in self.tracks]).reshape(-1, *track_map.SHAPE)

    @property
    def clear_total(self) -> ClearCounts:
        return sum(self.clear, ClearCounts())

    @property
    def identity_total(self) -> IdentityCounts:
        return sum(self.identity, IdentityCounts())

    @property
    def curves(self) -> Curves:
        chosen = np.ones(len(self.tracks), bool)
        precision = np.stack([track.precision[0].mean(axis=0) for track in self.tracks])
        ratios = None if self.fsla is None else self.fsla.ratios()
        return Curves(matching.THRESHOLDS, ratios, self.hota_ratios.mean_of(chosen), track_map.RECALLS, precision)

    def occurring(self) -> NDArray[np.bool_]:
        """(C,): categories with a ground-truth or predicted mask."""
        counts = self.hota
        return (counts.true_positives + counts.false_negatives + counts.false_positives)[:, 0] > 0

    def sounding(self) -> NDArray[np.bool_]:
        """(C,): categories with a ground-truth mask."""
        return (self.hota.true_positives + self.hota.false_negatives)[:, 0] > 0

    def metric_values(self, over: NDArray[np.bool_] | None = None) -> MetricValues:
        """``over`` (C,): the categories whose mean HOTA and its parts are; all by default."""
        chosen = np.ones(len(self.tracks), bool) if over is None else over
        return self._metric_values(
            self.fsla,
            self.hota_ratios.mean_of(chosen),
            track_map.mean_over_classes(self.ap),
            track_map.mean_over_classes(self.ar),
            self.clear_total,
            self.identity_total,
        )

    def of_class(self, index: int) -> MetricValues:
        """The category at ``index``; its FSLA is that of its own tracks in the videos in which it has any."""
        chosen = np.arange(len(self.tracks)) == index
        return self._metric_values(
            self.fsla_of_class[index],
            self.hota_ratios.mean_of(chosen),
            self.ap[index],
            self.ar[index],
            self.clear[index],
            self.identity[index],
        )

    def _metric_values(
        self,
        fsla: FslaCounts | None,
        hota_mean: HotaRatios,
        ap: NDArray[np.float64],
        ar: NDArray[np.float64],
        clear: ClearCounts,
        identity: IdentityCounts,
    ) -> MetricValues:
        fsla_mean = [None] * 4 if fsla is None else [_percent(mean) for mean in fsla.ratios().mean(axis=1).tolist()]
        # the released evaluator reads -100 where there is no ground truth, and so does its column
        missing = None if self.released else -1.0
        precision = [_percent(mean, missing) for mean in np.stack([*ap, ar[0]]).mean(axis=1).tolist()]
        values: list[Any] = [
            *fsla_mean,
            *(_percent(mean) for mean in hota_mean.table().mean(axis=1).tolist()),
            *precision,
            clear.switches,
            100 * clear.mota,
            100 * identity.idf1,
        ]
        return MetricValues(*values)


def _percent(fraction: float, missing: float | None = None) -> float | None:
    return None if math.isnan(fraction) or fraction == missing else 100 * fraction


@dataclass(frozen=True)
class Evaluation:
    """The outcome. ``videos``: in the order of evaluation, which is that of their names.

    ``dropped``: ids of videos that the released evaluator loses because a later one has the same name; they are
    among ``videos`` and in ``corrected``, not in ``released``.
    """

    categories: list[Category]
    videos: list[VideoScores]
    dropped: frozenset[int]
    released: Scores
    corrected: Scores

    @property
    def released_failures(self) -> list[tuple[str, str]]:
        """(name of the video, frame and cause) wherever the released FSLA stops; then it has no value."""
        return [
            (video.name, video.released_failure)
            for video in self.videos
            if video.released_failure is not None and video.id not in self.dropped
        ]

    def of_video(self, video: VideoScores) -> tuple[Scores, Scores]:
        """Released and corrected counts of this video alone, for the categories that have a track in it."""
        own = [category for category in self.categories if category.id in video.released]
        return combine([video], own, released=True), combine([video], own, released=False)


def evaluate_dataset(dataset: Dataset, *, jobs: int = 1, progress: Progress = silent) -> Evaluation:
    """Every metric in both meanings. ``jobs``: processes among which the videos are divided.

    Raises ``AnnotationError`` where masks that overlap differ in size.
    """
    ordered = sorted(dataset.videos, key=lambda video: video.name)
    last = {video.name: video.id for video in dataset.videos}
    dropped = frozenset(video.id for video in ordered if last[video.name] != video.id)
    videos = score_videos(
        ordered,
        [category.id for category in dataset.categories],
        first_prediction_in=_first_prediction_in(ordered, dropped),
        jobs=jobs,
        progress=progress,
    )
    kept = [video for video in videos if video.id not in dropped]
    return Evaluation(
        categories=dataset.categories,
        videos=videos,
        dropped=dropped,
        released=combine(kept, dataset.categories, released=True),
        corrected=combine(videos, dataset.categories, released=False),
    )


def _first_prediction_in(videos: Sequence[Video], dropped: frozenset[int]) -> int | None:
    """Id of the video whose first prediction gets track id 0 from the released evaluator."""
    return next((video.id for video in videos if video.predictions and video.id not in dropped), None)


def combine(videos: Sequence[VideoScores], categories: Sequence[Category], *, released: bool) -> Scores:
    """Counts of ``videos``, which are in order of evaluation, added up."""
    counts = [video.released if released else video.corrected for video in videos]
    frames = [video.released_frames if released else video.corrected_frames for video in videos]
    per_class = [[video[category.id] for video in counts if category.id in video] for category in categories]
    failed = any(video is None for video in frames)
    return Scores(
        released=released,
        fsla=None if failed else sum((video.count() for video in frames if video is not None), NO_FRAMES),
        fsla_of_class=[_sum_fsla(found) for found in per_class],
        hota=_sum_hota(per_class),
        clear=[sum((found.clear for found in one), ClearCounts()) for one in per_class],
        identity=[sum((found.identity for found in one), IdentityCounts()) for one in per_class],
        tracks=[track_map.precision([found.tracks for found in one]) for one in per_class],
    )


def _sum_fsla(found: Sequence[ClassCounts]) -> FslaCounts | None:
    total = NO_FRAMES
    for counts in found:
        if counts.fsla is None:
            return None
        total += counts.fsla
    return total


def _sum_hota(per_class: Sequence[Sequence[ClassCounts]]) -> HotaCounts:
    total = np.zeros((len(HotaCounts.__dataclass_fields__), len(per_class), len(matching.THRESHOLDS)))
    for c, found in enumerate(per_class):
        for counts in found:
            total[:, c] += counts.hota.table()
    return HotaCounts.from_table(total)
