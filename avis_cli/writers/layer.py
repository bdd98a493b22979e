"""The coloured areas and outlines of one mask frame, painted once and then laid over every picture it is shown on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.writers.colours import Colour

_SHADOW = (13, 15, 20)  # RGB of the thin dark line around an outline
_TOLERANCE = 0.35  # pixels that a drawn outline may be off the smoothed one
_SUBPIXEL = 4  # bits after the binary point in the coordinates of outlines


class Area(NamedTuple):
    """One mask, cut to its box. ``mask``: uint8 (h, w), 1 inside; ``left``, ``top``: of the box, in pixels."""

    mask: NDArray[np.uint8]
    left: int
    top: int
    colour: Colour


@dataclass(frozen=True, eq=False)
class Layer:
    """A picture with transparency, cut to what is not transparent.

    ``keep``: uint8 (h, w, 3), how much of the picture below stays, of 255; ``paint``: RGB (h, w, 3), what is added.
    """

    left: int
    top: int
    keep: NDArray[np.uint8]
    paint: NDArray[np.uint8]

    @classmethod
    def of(
        cls, areas: Sequence[Area], size: tuple[int, int], scale: float, *, fill: float, line: float
    ) -> Layer | None:
        """``areas``, the last on top, in a picture of ``size`` (height, width) drawn at ``scale``.

        ``fill``, ``line``: opacity of areas and of their outlines, 0 for none. None where nothing is seen.
        """
        if not areas or not (fill or line):
            return None
        thick = max(1, round(2 * scale)) if line else 0
        left, top, right, bottom = _box(areas, thick + 2, size)
        paint = np.zeros((bottom - top, right - left, 3), dtype=np.uint8)
        cover = np.zeros((bottom - top, right - left), dtype=np.uint8)
        if fill:
            for area in areas:
                height, width = area.mask.shape
                part = np.s_[area.top - top : area.top - top + height, area.left - left : area.left - left + width]
                shade = [round(channel * fill) for channel in area.colour]
                cv2.copyTo(np.full((height, width, 3), shade, np.uint8), area.mask, paint[part])
                cover[part][area.mask != 0] = round(255 * fill)
        if line == 1:
            _draw_lines(paint, cover, areas, (left, top), scale, thick)
        elif line:
            lines, lines_cover = np.zeros_like(paint), np.zeros_like(cover)
            _draw_lines(lines, lines_cover, areas, (left, top), scale, thick)
            stays = 1 - line * (lines_cover / np.float32(255))
            paint = np.round(paint * stays[..., None] + lines * np.float32(line)).astype(np.uint8)
            cover = np.round(255 - (255 - cover) * stays).astype(np.uint8)
        keep = np.asarray(cv2.merge([255 - cover] * 3), dtype=np.uint8)
        return cls(left, top, keep, paint)

    def onto(self, image: NDArray[np.uint8]) -> None:
        """Lay it over ``image``, uint8 RGB (H, W, 3), in place."""
        height, width = self.keep.shape[:2]
        below = image[self.top : self.top + height, self.left : self.left + width]
        cv2.multiply(below, self.keep, dst=below, scale=1 / 255)
        cv2.add(below, self.paint, dst=below)


def _box(areas: Sequence[Area], margin: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom around all areas and their lines."""
    left = max(0, min(area.left for area in areas) - margin)
    top = max(0, min(area.top for area in areas) - margin)
    right = min(size[1], max(area.left + area.mask.shape[1] for area in areas) + margin)
    bottom = min(size[0], max(area.top + area.mask.shape[0] for area in areas) + margin)
    return left, top, right, bottom


def _draw_lines(
    paint: NDArray[np.uint8], cover: NDArray[np.uint8], areas: Sequence[Area], corner: tuple[int, int], scale: float,
    thick: int,
) -> None:  # fmt: skip
    """Outlines over what is painted already; ``corner``: left and top of the canvas."""
    for area in areas:
        lines = _outline(area, corner, scale)
        if thick > 1:
            cv2.polylines(paint, lines, True, _SHADOW, thick + 2, cv2.LINE_AA, _SUBPIXEL)
            cv2.polylines(cover, lines, True, 255, thick + 2, cv2.LINE_AA, _SUBPIXEL)
        cv2.polylines(paint, lines, True, area.colour, thick, cv2.LINE_AA, _SUBPIXEL)
        cv2.polylines(cover, lines, True, 255, thick, cv2.LINE_AA, _SUBPIXEL)


def _outline(area: Area, corner: tuple[int, int], scale: float) -> list[NDArray[np.int32]]:
    """Closed lines in 1/16 pixel of the canvas, around the area and the holes in it."""
    offset = (area.left - corner[0], area.top - corner[1])
    lines, _ = cv2.findContours(area.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE, offset=offset)
    return [_smooth(np.asarray(line)[:, 0], scale) for line in lines]


def _smooth(line: NDArray[Any], scale: float) -> NDArray[np.int32]:
    """A closed line through pixel centres (N, 2) without its stairs, in 1/16 pixel."""
    reach = min(max(1, round(1.5 * scale)), len(line) // 8)
    points = line.astype(np.float32)
    if reach:
        wrapped = np.concatenate([points[-reach:], points, points[:reach]])
        sums = np.cumsum(np.concatenate([np.zeros((1, 2), dtype=np.float32), wrapped]), axis=0)
        points = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)
    if len(points) > 24:  # points that a straight line passes cost time and show nothing
        points = np.asarray(cv2.approxPolyDP(points, _TOLERANCE, True), dtype=np.float32)[:, 0]
    return np.round(points * (1 << _SUBPIXEL)).astype(np.int32)
