"""The segmentations of one track, in any of the encodings in use, -> masks that pycocotools may read.

A frame holds null or an empty list (absent), polygons ``[[x, y, x, y, ...], ...]`` (united), a run length
``{"size": [h, w], "counts": text or list}``, or a list of run lengths (united).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from pycocotools import mask as coco

from avis_cli.datasets.tracks import Mask
from avis_cli.errors import AnnotationError
from avis_cli.results import run_length
from avis_cli.results.run_length import describe

# pycocotools' polygon code works on a grid five times as fine and allocates per grid point of the outline
_FARTHEST = 16  # coordinates, in multiples of the frame's longer side
_LONGEST_OUTLINE = 1_000_000  # pixels


@dataclass(frozen=True)
class PictureSize:
    """The picture that masks have to fit: pixels, and whose size it is, for messages."""

    height: int
    width: int
    owner: str


def read_masks(
    segmentations: list[Any], frame: PictureSize, *, place: str, file: str | os.PathLike[str] | None
) -> list[Mask | None]:
    """One mask or None per element, counts as ``bytes``; polygons rasterised as COCO does.

    Raises ``AnnotationError`` naming ``file`` and ``place[index]`` of the first element that is no segmentation or
    not of the frame's size.
    """
    masks: list[Mask | None] = []
    unproven: list[int] = []
    for index, value in enumerate(segmentations):
        if value is None or value == []:
            masks.append(None)
            continue
        try:
            if isinstance(value, dict) and not isinstance(value.get("counts"), list):
                masks.append(_unproven(value, frame))
                unproven.append(index)
            elif isinstance(value, dict):
                masks.append(_run_length(value, frame))
            else:
                masks.append(_united(value, frame))
        except AnnotationError as error:
            raise AnnotationError(f"{place}[{index}]: {error.cause}", hint=error.hint, file=file) from None
    # the counts of a whole track at once: a check of one mask costs as much as that of a hundred
    counts = [mask["counts"] for index in unproven if (mask := masks[index]) is not None]
    fault = run_length.first_fault(counts, [frame.height * frame.width] * len(counts))
    if fault is not None:
        raise AnnotationError(f"{place}[{unproven[fault[0]]}]: {fault[1]}", file=file)
    return masks


def _unproven(value: dict[str, Any], frame: PictureSize) -> Mask:
    """A compressed run length whose size fits and whose counts are still to be checked."""
    if "size" not in value or "counts" not in value:
        raise AnnotationError('expected a run length {"size": [h, w], "counts": ...}', hint="write null for no mask")
    size = run_length.checked_size(value["size"])
    if size != (frame.height, frame.width):
        raise AnnotationError(
            f"the mask is {size[1]}x{size[0]}, expected {frame.width}x{frame.height}, the size of {frame.owner}"
        )
    return {"size": [frame.height, frame.width], "counts": run_length.counts_as_bytes(value["counts"])}


def _run_length(value: dict[str, Any], frame: PictureSize) -> Mask:
    if isinstance(value.get("counts"), list):
        _unproven({**value, "counts": ""}, frame)
        return run_length.from_runs(frame.height, frame.width, value["counts"])
    return run_length.checked(_unproven(value, frame))


def _united(value: object, frame: PictureSize) -> Mask:
    """The union of a list of polygons or of a list of run lengths."""
    if not isinstance(value, list):
        raise AnnotationError(f"expected null, polygons or a run length, got {describe(value)}")
    kinds = set(map(type, value))
    if kinds == {dict}:
        parts = [_run_length(item, frame) for item in value]
    elif kinds == {list}:
        for index, polygon in enumerate(value):
            _check_polygon(polygon, index, frame)
        parts = coco.frPyObjects(value, frame.height, frame.width)
    elif kinds <= {int, float}:
        raise AnnotationError("a flat list of numbers", hint="put each polygon into a list of its own: [[x, y, ...]]")
    else:
        raise AnnotationError("expected a list of polygons or a list of run lengths, not a mixture")
    union = parts[0] if len(parts) == 1 else coco.merge(parts)
    return {"size": [frame.height, frame.width], "counts": union["counts"]}


def _check_polygon(polygon: list[Any], index: int, frame: PictureSize) -> None:
    """Rules: x and y in pairs, three corners or more, finite, not absurdly far outside the frame, not absurdly long.

    A further polygon of a frame may have one or two corners (exports of single pixels and lines: pycocotools draws
    nothing or next to nothing). What lies outside the frame is cut off.
    """
    name = f"polygon {index}"
    if not set(map(type, polygon)) <= {int, float}:
        raise AnnotationError(f"{name}: expected numbers [x, y, x, y, ...]")
    if len(polygon) % 2 or not polygon:
        raise AnnotationError(f"{name}: {len(polygon)} numbers, expected pairs of x and y")
    if len(polygon) < 6 and index == 0:
        raise AnnotationError(
            f"{name}: {len(polygon) // 2} corners, expected at least 3", hint="a box has to be written as four corners"
        )
    low, high = min(polygon), max(polygon)
    limit = _FARTHEST * max(frame.height, frame.width)
    # written so that NaN fails
    if not (-limit <= low and high <= limit):
        far = next(number for number in polygon if not -limit <= number <= limit)
        raise AnnotationError(f"{name}: coordinate {describe(far)} lies far outside {frame.width}x{frame.height}")
    if len(polygon) * (high - low) > _LONGEST_OUTLINE and _outline(polygon) > _LONGEST_OUTLINE:
        raise AnnotationError(f"{name}: the outline is longer than {_LONGEST_OUTLINE} pixels")


def _outline(polygon: list[float]) -> float:
    corners = np.array(polygon, dtype=np.float64).reshape(-1, 2)
    steps = np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1)
    return math.inf if not np.isfinite(steps).all() else float(steps.sum() + len(corners))
