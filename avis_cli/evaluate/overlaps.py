"""Areas and IoUs of a video's masks: computed once, shared by every metric and by both meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.errors import AnnotationError
from avis_cli.evaluate.tracks import Mask, Video


@dataclass(frozen=True)
class Overlaps:
    """Masks of G ground-truth and P predicted tracks, in file order, over F frames.

    ``iou``: (F, G, P), 0 where a mask is missing. ``truth_shown`` (F, G) and ``prediction_shown`` (F, P): the file has
    a mask there, which may hold no pixel. ``truth_area`` (F, G) and ``prediction_area`` (F, P): pixels.

    A list of masks may be longer than its video, so F may exceed the number of frames: ``cut`` to that number.
    """

    iou: NDArray[np.float64]
    truth_shown: NDArray[np.bool_]
    prediction_shown: NDArray[np.bool_]
    truth_area: NDArray[np.int64]
    prediction_area: NDArray[np.int64]

    def cut(self, length: int) -> Overlaps:
        """The first ``length`` frames."""
        return Overlaps(
            self.iou[:length],
            self.truth_shown[:length],
            self.prediction_shown[:length],
            self.truth_area[:length],
            self.prediction_area[:length],
        )

    def select(self, truths: NDArray[np.intp], predictions: NDArray[np.intp]) -> Overlaps:
        """Only the tracks at the given positions."""
        stored = self.iou.transpose(0, 2, 1)[:, predictions][:, :, truths]
        return Overlaps(
            stored.transpose(0, 2, 1),
            self.truth_shown[:, truths],
            self.prediction_shown[:, predictions],
            self.truth_area[:, truths],
            self.prediction_area[:, predictions],
        )

    def without_empty_masks(self) -> Overlaps:
        """The same with masks that hold no pixel taken as missing; itself where there is none."""
        truth_shown, prediction_shown = self.truth_area > 0, self.prediction_area > 0
        if (truth_shown == self.truth_shown).all() and (prediction_shown == self.prediction_shown).all():
            return self
        return Overlaps(self.iou, truth_shown, prediction_shown, self.truth_area, self.prediction_area)


def measure(video: Video) -> Overlaps:
    """Areas and IoUs of all masks of ``video``.

    Raises ``AnnotationError`` where the sizes of two overlapping masks differ.
    """
    truths = [track.masks for track in video.truths]
    predictions = [track.masks for track in video.predictions]
    frames = max(video.length, *map(len, truths), *map(len, predictions), 0)
    truth_shown, truth_area = _areas(truths, frames)
    prediction_shown, prediction_area = _areas(predictions, frames)
    # frame by frame and, within a frame, one prediction after the other: the order in which pycocotools lays out its
    # matrices, hence the order in which the reference adds them up
    stored = np.zeros((frames, len(predictions), len(truths)))
    truth_solid, prediction_solid = truth_area > 0, prediction_area > 0
    for t in np.flatnonzero(truth_solid.any(axis=1) & prediction_solid.any(axis=1)):
        rows, columns = np.flatnonzero(truth_solid[t]), np.flatnonzero(prediction_solid[t])
        iou = coco.iou([truths[i][t] for i in rows], [predictions[j][t] for j in columns], [0] * len(columns))
        stored[t, columns[:, None], rows] = iou.T
    if stored.size and stored.min() < 0:
        raise AnnotationError(
            f"video {video.name!r}: ground-truth and predicted masks differ in size",
            hint="predict at the size of the annotations",
        )
    return Overlaps(stored.transpose(0, 2, 1), truth_shown, prediction_shown, truth_area, prediction_area)


def _areas(tracks: Sequence[Sequence[Mask | None]], frames: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    shown = np.zeros((frames, len(tracks)), bool)
    area = np.zeros((frames, len(tracks)), np.int64)
    for i, masks in enumerate(tracks):
        at = [t for t, mask in enumerate(masks) if mask is not None]
        if at:
            shown[at, i] = True
            area[at, i] = coco.area([masks[t] for t in at])
    return shown, area
