"""Areas and IoUs of a video's masks: computed once, shared by every metric and by both meanings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Mask, Video
from avis_cli.errors import AnnotationError

# the only run length that the released evaluator takes for empty: no pixel out of 1280 x 720
RELEASED_EMPTY = b"PPTl0"

# pycocotools' area counts its masks in a byte
_AT_ONCE = 255


@dataclass(frozen=True)
class Overlaps:
    """Masks of G ground-truth and P predicted tracks, in file order, over F frames.

    ``iou``: (F, G, P), 0 where a mask is missing. ``truth_shown`` (F, G) and ``prediction_shown`` (F, P): the file has
    a mask there, which may hold no pixel. ``truth_area`` (F, G) and ``prediction_area`` (F, P): pixels.
    ``prediction_blank`` (F, P): the mask is spelled as the one that the released evaluator takes for empty.

    A list of masks may be longer than its video, so F may exceed the number of frames: ``cut`` to that number.
    """

    iou: NDArray[np.float64]
    truth_shown: NDArray[np.bool_]
    prediction_shown: NDArray[np.bool_]
    truth_area: NDArray[np.int64]
    prediction_area: NDArray[np.int64]
    prediction_blank: NDArray[np.bool_]

    def cut(self, length: int) -> Overlaps:
        """The first ``length`` frames."""
        return Overlaps(
            self.iou[:length],
            self.truth_shown[:length],
            self.prediction_shown[:length],
            self.truth_area[:length],
            self.prediction_area[:length],
            self.prediction_blank[:length],
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
            self.prediction_blank[:, predictions],
        )

    def without_empty_masks(self) -> Overlaps:
        """The same with masks that hold no pixel taken as missing; itself where there is none."""
        truth_shown, prediction_shown = self.truth_area > 0, self.prediction_area > 0
        if (truth_shown == self.truth_shown).all() and (prediction_shown == self.prediction_shown).all():
            return self
        return replace(self, truth_shown=truth_shown, prediction_shown=prediction_shown)


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
    rows_in, columns_in = _solid(truth_area), _solid(prediction_area)
    for t, (rows, columns) in enumerate(zip(rows_in, columns_in, strict=True)):
        if rows and columns:
            crowd = [0] * len(columns)
            iou = coco.iou([truths[i][t] for i in rows], [predictions[j][t] for j in columns], crowd)
            stored[t, np.array(columns)[:, None], rows] = iou.T
    if stored.size and stored.min() < 0:
        raise AnnotationError(
            f"video {video.name!r}: ground-truth and predicted masks differ in size",
            hint="predict at the size of the annotations",
        )
    return Overlaps(
        iou=stored.transpose(0, 2, 1),
        truth_shown=truth_shown,
        prediction_shown=prediction_shown,
        truth_area=truth_area,
        prediction_area=prediction_area,
        prediction_blank=_blank(predictions, prediction_shown & (prediction_area == 0)),
    )


def _areas(tracks: Sequence[Sequence[Mask | None]], frames: int) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    shown = np.zeros((frames, len(tracks)), bool)
    area = np.zeros((frames, len(tracks)), np.int64)
    for i, masks in enumerate(tracks):
        at = [t for t, mask in enumerate(masks) if mask is not None]
        for start in range(0, len(at), _AT_ONCE):
            part = at[start : start + _AT_ONCE]
            shown[part, i] = True
            area[part, i] = coco.area([masks[t] for t in part])
    return shown, area


def _blank(tracks: Sequence[Sequence[Mask | None]], empty: NDArray[np.bool_]) -> NDArray[np.bool_]:
    blank = np.zeros_like(empty)
    for j, masks in enumerate(tracks):
        at = np.flatnonzero(empty[:, j]).tolist()
        blank[at, j] = [mask is not None and mask["counts"] == RELEASED_EMPTY for mask in map(masks.__getitem__, at)]
    return blank


def _solid(area: NDArray[np.int64]) -> list[list[int]]:
    """The tracks whose masks hold a pixel, for each frame."""
    solid: list[list[int]] = [[] for _ in area]
    frames, tracks = np.nonzero(area)
    for t, i in zip(frames.tolist(), tracks.tolist(), strict=True):
        solid[t].append(i)
    return solid
