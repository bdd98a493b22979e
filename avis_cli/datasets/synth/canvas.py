"""Antialiased shapes in an object's own coordinates, drawn into one layer of colour and coverage.

An object lives in the box [-1, 1] x [-1, 1], x to the right and y down; an affine map takes it to pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Colour = tuple[int, int, int]  # RGB 0..255
INK: Colour = (34, 30, 38)  # outlines: dark, so that an object stands out from any background

_SHIFT = 4  # fractional bits of the coordinates OpenCV draws with
_TURN = np.linspace(0.0, 2.0 * math.pi, 29)[:-1]
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """``share`` 0 gives ``first``, 1 gives ``second``."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return (red, green, blue)


def lighter(colour: Colour, share: float = 0.4) -> Colour:
    return mixed(colour, (255, 255, 255), share)


def darker(colour: Colour, share: float = 0.35) -> Colour:
    return mixed(colour, (12, 10, 20), share)


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 12) -> NDArray[np.float64]:
    """Points (steps, 2) on an ellipse from angle ``start`` to ``end``, degrees clockwise from the right."""
    angles = np.radians(np.linspace(start, end, steps))
    return np.stack([x + rx * np.cos(angles), y + ry * np.sin(angles)], axis=1)


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0) -> NDArray[np.float64]:
    """The outline (N, 2) of an ellipse about (x, y), turned by ``turn`` degrees clockwise."""
    points = _CIRCLE * (rx, ry)
    if turn:
        cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        points = points @ np.array([[cosine, sine], [-sine, cosine]])
    return np.asarray(points + np.array([x, y]))


def smooth(points: ArrayLike, steps: int = 5) -> NDArray[np.float64]:
    """A closed Catmull-Rom curve through ``points`` (N, 2), ``steps`` points for each of them."""
    knots = np.asarray(points, dtype=np.float64)
    before, after, beyond = np.roll(knots, 1, 0), np.roll(knots, -1, 0), np.roll(knots, -2, 0)
    at = (np.arange(steps) / steps)[:, None, None]
    curve = 0.5 * (
        2 * knots
        + (after - before) * at
        + (2 * before - 5 * knots + 4 * after - beyond) * at**2
        + (3 * (knots - after) + beyond - before) * at**3
    )
    return np.asarray(curve.transpose(1, 0, 2).reshape(-1, 2))


def mirrored(right: Sequence[tuple[float, float]]) -> NDArray[np.float64]:
    """A closed outline from its right half, given from top to bottom."""
    half = np.asarray(right, dtype=np.float64)
    return np.concatenate([half, half[::-1] * (-1.0, 1.0)])


class Canvas:
    """Draws shapes into ``colour`` (h, w, 3) and their union into ``alpha`` (h, w), both uint8.

    ``to_pixels``: (2, 3) affine map from object coordinates to pixels of the layer.
    """

    def __init__(self, height: int, width: int, to_pixels: NDArray[np.float64], ground: Colour = INK) -> None:
        self.colour: NDArray[np.uint8] = np.empty((height, width, 3), np.uint8)
        self.colour[:] = ground
        self.alpha: NDArray[np.uint8] = np.zeros((height, width), np.uint8)
        self._linear = to_pixels[:, :2].T * (1 << _SHIFT)
        self._offset = to_pixels[:, 2] * (1 << _SHIFT)
        self.scale = math.sqrt(abs(float(np.linalg.det(to_pixels[:, :2]))))  # pixels per object unit

    def blank(self) -> Canvas:
        """An empty layer of the same size and coordinates."""
        twin = object.__new__(Canvas)
        twin.colour, twin.alpha = np.zeros_like(self.colour), np.zeros_like(self.alpha)
        twin._linear, twin._offset, twin.scale = self._linear, self._offset, self.scale
        return twin

    def _fixed(self, points: ArrayLike) -> NDArray[np.int32]:
        pixels = np.asarray(points, dtype=np.float64) @ self._linear + self._offset
        return np.rint(pixels).astype(np.int32)

    def _thickness(self, width: float) -> int:
        return max(1, round(width * self.scale))

    def fill(self, points: ArrayLike, colour: Colour, edge: float = 0.0, inside: bool = False) -> None:
        """A filled polygon (N, 2). ``edge``: outline beyond its border, in object units.

        ``inside``: decoration inside what is drawn already, which leaves ``alpha`` as it is.
        """
        outline = [self._fixed(points)]
        if edge > 0:
            self._polyline(outline, 2 * edge, INK, closed=True, inside=inside)
        cv2.fillPoly(self.colour, outline, colour, cv2.LINE_AA, _SHIFT)
        if not inside:
            cv2.fillPoly(self.alpha, outline, 255, cv2.LINE_AA, _SHIFT)

    def disc(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float | None = None,
        *,
        colour: Colour,
        edge: float = 0.0,
        inside: bool = False,
    ) -> None:
        """A filled ellipse about (x, y), upright; a circle without ``ry``."""
        self.fill(ellipse(x, y, rx, rx if ry is None else ry), colour, edge, inside)

    def box(
        self,
        left: float,
        top: float,
        right: float,
        bottom: float,
        colour: Colour,
        edge: float = 0.0,
        inside: bool = False,
    ) -> None:
        self.fill([(left, top), (right, top), (right, bottom), (left, bottom)], colour, edge, inside)

    def stroke(
        self,
        points: ArrayLike,
        width: float,
        colour: Colour,
        edge: float = 0.0,
        closed: bool = False,
        inside: bool = False,
    ) -> None:
        """A line through ``points`` (N, 2), ``width`` in object units."""
        line = [self._fixed(points)]
        if edge > 0:
            self._polyline(line, width + 2 * edge, INK, closed, inside)
        self._polyline(line, width, colour, closed, inside)

    def _polyline(
        self, line: list[NDArray[np.int32]], width: float, colour: Colour, closed: bool, inside: bool
    ) -> None:
        thickness = self._thickness(width)
        cv2.polylines(self.colour, line, closed, colour, thickness, cv2.LINE_AA, _SHIFT)
        if not inside:
            cv2.polylines(self.alpha, line, closed, 255, thickness, cv2.LINE_AA, _SHIFT)
