"""The masks that a page carries: as many and as fine as fit into the bytes it has left for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.results.run_length import RunLength
from avis_cli.writers.report.template import embedded_json

_LARGEST = 960  # pixels on the longer side; the page shows a clip hardly larger
_SMALLEST = 240  # coarser masks are no longer worth more than fewer of them


@dataclass(frozen=True)
class PageMasks:
    """``size``: [height, width] of the masks; ``times``: seconds of the mask frames kept; ``counts``: for each track
    COCO's compressed runs of each of these frames, joined by spaces, nothing where it is absent; ``step``: every how
    manyeth mask frame is kept."""

    size: tuple[int, int]
    times: list[float]
    counts: list[str]
    step: int

    @property
    def length(self) -> int:
        """Bytes in the page."""
        return len(embedded_json(self.counts)) + len(embedded_json(self.times))


def fit_masks(result: ClipResult, room: int) -> PageMasks:
    """The masks of ``result`` in at most ``room`` bytes: made smaller first, then fewer; at last none at all."""
    longer = max(result.source.width, result.source.height)
    raw = sum(len(mask["counts"]) for track in result.tracks for mask in track.masks if mask is not None)
    raw += len(result.times) * (len(result.tracks) + 8)
    # a mask's runs grow with its width: at half the size there are half as many
    least, most = min(1.0, _SMALLEST / longer), min(1.0, _LARGEST / longer)
    scale = min(max(room / max(raw, 1), least), most)
    step = max(1, math.ceil(raw * scale / max(room, 1)))
    while step <= len(result.times):
        masks = _pack(result, scale, step)
        if masks.length <= room:
            return masks
        step = max(step + 1, math.ceil(step * masks.length / max(room, 1)))
    return PageMasks((1, 1), [], ["" for _ in result.tracks], 1)


def _pack(result: ClipResult, scale: float, step: int) -> PageMasks:
    size = max(1, round(result.source.height * scale)), max(1, round(result.source.width * scale))
    counts = [
        " ".join("" if mask is None else resized(mask, size)["counts"] for mask in track.masks[::step])
        for track in result.tracks
    ]
    return PageMasks(size, [round(time, 3) for time in result.times[::step]], counts, step)


def resized(mask: RunLength, size: tuple[int, int]) -> RunLength:
    """A mask at ``size`` (height, width): a pixel is in it if half of what it covers is, and none is lost entirely."""
    if tuple(mask["size"]) == size:
        return mask
    share = cv2.resize(run_length.decode(mask).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    inside = share >= 0.5
    return run_length.encode(np.asarray(inside if inside.any() else share > 0))
