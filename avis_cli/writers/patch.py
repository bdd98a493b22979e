"""Small pictures with soft edges, made once and laid over many frames: shapes, text, and how they are blended."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from avis_cli.writers.colours import Colour


@dataclass(frozen=True, eq=False)
class Patch:
    """``paint``: uint8 RGB (h, w, 3) times opacity; ``keep``: uint8 (h, w, 3), what stays of the picture, of 255."""

    paint: NDArray[np.uint8]
    keep: NDArray[np.uint8]

    @property
    def height(self) -> int:
        return int(self.paint.shape[0])

    @property
    def width(self) -> int:
        return int(self.paint.shape[1])

    def onto(self, image: NDArray[np.uint8], x: int, y: int) -> None:
        """Blend over ``image``, uint8 (H, W, 3), with the corner at (x, y); what reaches outside is cut off."""
        left, top = max(x, 0), max(y, 0)
        right, bottom = min(x + self.width, image.shape[1]), min(y + self.height, image.shape[0])
        if right <= left or bottom <= top:
            return
        inside = np.s_[top - y : bottom - y, left - x : right - x]
        below = image[top:bottom, left:right]
        below[:] = cv2.add(cv2.multiply(below, self.keep[inside], scale=1 / 255), self.paint[inside])


class PatchBuilder:
    """A patch in the making: float RGB times opacity (h, w, 3) and opacity (h, w, 1), in 0..1."""

    def __init__(self, height: int, width: int) -> None:
        self._paint = np.zeros((height, width, 3), dtype=np.float32)
        self._opacity = np.zeros((height, width, 1), dtype=np.float32)

    def paint(self, colour: Colour, coverage: NDArray[np.float32], opacity: float = 1.0) -> None:
        """Paint ``colour`` where ``coverage``, float (h, w) in 0..1, says."""
        alpha = (coverage * np.float32(opacity))[..., None]
        self._paint = self._paint * (1 - alpha) + alpha * (np.array(colour, dtype=np.float32) / 255)
        self._opacity = self._opacity * (1 - alpha) + alpha

    def build(self) -> Patch:
        paint = np.round(self._paint * 255).astype(np.uint8)
        keep = np.round((1 - self._opacity) * 255).astype(np.uint8)
        return Patch(paint, np.repeat(keep, 3, axis=2))


def rounded_box(
    size: tuple[int, int], left: float, top: float, right: float, bottom: float, radius: float
) -> NDArray[np.float32]:
    """How much of each pixel of (height, width) a box with round corners covers; edges may lie between pixels."""
    radius = max(0.0, min(radius, (right - left) / 2, (bottom - top) / 2))
    y = np.arange(size[0], dtype=np.float32)[:, None] + 0.5
    x = np.arange(size[1], dtype=np.float32)[None, :] + 0.5
    # distance to the edge: negative inside; a pixel is covered from half a pixel outside to half a pixel inside
    dx = np.abs(x - (left + right) / 2) - ((right - left) / 2 - radius)
    dy = np.abs(y - (top + bottom) / 2) - ((bottom - top) / 2 - radius)
    outside = np.hypot(np.maximum(dx, 0), np.maximum(dy, 0))
    distance = outside + np.minimum(np.maximum(dx, dy), 0) - radius
    coverage: NDArray[np.float32] = np.clip(0.5 - distance, 0, 1).astype(np.float32)
    return coverage


def text_size(text: str, font_size: float) -> tuple[int, int]:
    """(width, height) that ``text_coverage`` needs: the height depends on the font size alone."""
    font = ImageFont.load_default(font_size)
    ascent, descent = _vertical(font_size)
    return int(np.ceil(font.getlength(text))), ascent + descent


def text_coverage(size: tuple[int, int], text: str, font_size: float, x: float, y: float) -> NDArray[np.float32]:
    """Coverage (height, width) of one line of text, its left at ``x`` and the top of its capitals at ``y``."""
    page = Image.new("L", (size[1], size[0]))
    ascent, _ = _vertical(font_size)
    ImageDraw.Draw(page).text((x, y + ascent), text, fill=255, font=ImageFont.load_default(font_size), anchor="ls")
    coverage: NDArray[np.float32] = np.asarray(page, dtype=np.float32) / np.float32(255)
    return coverage


def _vertical(font_size: float) -> tuple[int, int]:
    """Pixels from the baseline up to the top of capitals, and down to the bottom of a p."""
    box = ImageFont.load_default(font_size).getbbox("Hp", anchor="ls")
    return round(-box[1]), round(box[3])


def pill(text: str, font_size: float, colour: Colour, ink: Colour) -> Patch:
    """A label: text on a box with round corners."""
    width, _ = text_size(text, font_size)
    ascent, _ = _vertical(font_size)
    side, above = round(font_size * 0.5), round(font_size * 0.36)
    size = (ascent + 2 * above, width + 2 * side)
    builder = PatchBuilder(*size)
    builder.paint(colour, rounded_box(size, 0, 0, size[1], size[0], font_size * 0.36), 0.94)
    builder.paint(ink, text_coverage(size, text, font_size, side, above))
    return builder.build()
