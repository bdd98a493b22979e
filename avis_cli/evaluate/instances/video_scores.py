"""Everything that is counted in one video, in the released and in the corrected meaning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from avis_cli.datasets.tracks import PredictedTrack, TruthTrack, Video
from avis_cli.evaluate.instances import clear, fsla, hota, identity, track_map
from avis_cli.evaluate.instances.clear import ClearCounts
from avis_cli.evaluate.instances.fsla import FrameFaults, FslaCounts, FslaFrames, ReleasedFailure
from avis_cli.evaluate.instances.hota import HotaCounts
from avis_cli.evaluate.instances.identity import IdentityCounts
from avis_cli.evaluate.instances.matching import Association, associate
from avis_cli.evaluate.instances.overlaps import Overlaps, measure
from avis_cli.evaluate.instances.track_map import TrackMatches


@dataclass(frozen=True)
class ClassCounts:
    """One category of one video in one meaning. ``fsla``: of this category's tracks alone, None where it fails."""

    fsla: FslaCounts | None
    hota: HotaCounts
    clear: ClearCounts
    identity: IdentityCounts
    tracks: TrackMatches


@dataclass(frozen=True)
class VideoScores:
    """One video. ``released_failure`` says why the released FSLA stops in it; then ``released_frames`` is None.

    ``released`` and ``corrected``: by category id, for the categories that have a track in the video.
    ``truths``, ``predictions``: tracks; ``truth_masks``, ``prediction_masks``: masks with at least one pixel;
    ``empty_masks``: predicted ones without any.
    """

    id: int
    name: str
    length: int
    truths: int
    predictions: int
    truth_masks: int
    prediction_masks: int
    empty_masks: int
    released_frames: FslaFrames | None
    released_failure: str | None
    corrected_frames: FslaFrames
    faults: FrameFaults
    released: dict[int, ClassCounts]
    corrected: dict[int, ClassCounts]


def score_video(video: Video, categories: Sequence[int], *, holds_first: bool) -> VideoScores:
    """``holds_first``: the video's first prediction is the very first that the released evaluator meets."""
    every_frame = measure(video)
    shown = every_frame.cut(video.length)
    solid = shown.without_empty_masks()
    association = _associate(shown)
    solid_association = association if solid is shown else _associate(solid)
    released_frames, failure = _released(video.truths, video.predictions, shown, association)
    corrected_frames, faults = fsla.correct_frames(video.truths, video.predictions, solid, solid_association)
    occurring = {track.category_id for track in video.truths} | {track.category_id for track in video.predictions}
    released, corrected = {}, {}
    for category in categories:
        if category in occurring:
            both = _score_class(video, category, every_frame, holds_first=holds_first)
            released[category], corrected[category] = both
    return VideoScores(
        id=video.id,
        name=video.name,
        length=video.length,
        truths=len(video.truths),
        predictions=len(video.predictions),
        truth_masks=int(solid.truth_shown.sum()),
        prediction_masks=int(solid.prediction_shown.sum()),
        empty_masks=int(shown.prediction_shown.sum() - solid.prediction_shown.sum()),
        released_frames=released_frames,
        released_failure=failure,
        corrected_frames=corrected_frames,
        faults=faults,
        released=released,
        corrected=corrected,
    )


def _associate(overlaps: Overlaps) -> Association:
    return associate(overlaps.iou, overlaps.truth_shown, overlaps.prediction_shown)


def _released(
    truths: Sequence[TruthTrack], predictions: Sequence[PredictedTrack], overlaps: Overlaps, association: Association
) -> tuple[FslaFrames | None, str | None]:
    try:
        return fsla.released_frames(truths, predictions, overlaps, association), None
    except ReleasedFailure as failure:
        return None, str(failure)


def _score_class(
    video: Video, category: int, every_frame: Overlaps, *, holds_first: bool
) -> tuple[ClassCounts, ClassCounts]:
    """Released and corrected."""
    rows = np.flatnonzero([track.category_id == category for track in video.truths])
    columns = np.flatnonzero([track.category_id == category for track in video.predictions])
    truths = [video.truths[i] for i in rows]
    predictions = [video.predictions[j] for j in columns]
    every_frame = every_frame.select(rows, columns)
    tracks = track_map.match(truths, predictions, every_frame, reusing=None)
    released_tracks = tracks
    if holds_first and len(columns) and columns[0] == 0:
        released_tracks = track_map.match(truths, predictions, every_frame, reusing=0)

    shown = every_frame.cut(video.length)
    association = _associate(shown)
    released_frames, _ = _released(truths, predictions, shown, association)
    counts = (hota.count(shown, association), clear.count(shown), identity.count(shown))
    released = ClassCounts(None if released_frames is None else released_frames.count(), *counts, released_tracks)

    solid = shown.without_empty_masks()
    if solid is not shown:
        association = _associate(solid)
        counts = (hota.count(solid, association), clear.count(solid), identity.count(solid))
    frames, _ = fsla.correct_frames(truths, predictions, solid, association)
    return released, ClassCounts(frames.count(), *counts, tracks)
