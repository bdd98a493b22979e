"""Cluttered backgrounds that move slowly, things that fly about in them, and things that pass in front."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.synth.canvas import Canvas, Colour, ellipse, mixed

_SPARE = 0.14  # of the frame height on each side, the room the view drifts in

Picture = NDArray[np.uint8]


def _muted(rng: np.random.Generator, low: int = 60, high: int = 200) -> Colour:
    """A colour of low saturation: objects may be vivid, what is behind them is not."""
    grey = int(rng.integers(low, high))
    red, green, blue = (int(np.clip(grey + rng.normal(0, 14), 0, 255)) for _ in range(3))
    return (red, green, blue)


def _canvas(height: int, width: int, ground: Colour) -> Canvas:
    """Coordinates in canvas heights: x 0..aspect, y 0..1."""
    return Canvas(height, width, np.array([[height, 0, 0], [0, height, 0]], np.float64), ground)


def _polygon(rng: np.random.Generator, x: float, y: float, size: float) -> NDArray[np.float64]:
    corners = int(rng.integers(3, 8))
    angles = np.sort(rng.uniform(0, 2 * math.pi, corners))
    reach = size * rng.uniform(0.6, 1.2, corners)
    return np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)


def _clutter(canvas: Canvas, rng: np.random.Generator, aspect: float, count: int) -> None:
    for _ in range(count):
        x, y, size = rng.uniform(0, aspect), rng.uniform(0, 1), rng.uniform(0.03, 0.15)
        colour, kind = _muted(rng, 40, 215), int(rng.integers(4))
        if kind == 0:
            canvas.fill(ellipse(x, y, size, size * rng.uniform(0.4, 1.0), rng.uniform(0, 180)), colour, inside=True)
        elif kind == 1:
            canvas.fill(_polygon(rng, x, y, size), colour, inside=True)
        elif kind == 2:
            canvas.box(x - size, y - size * rng.uniform(0.2, 1.2), x + size, y + size, colour, inside=True)
        else:
            end = (x + rng.uniform(-0.4, 0.4), y + rng.uniform(-0.4, 0.4))
            canvas.stroke([(x, y), end], rng.uniform(0.008, 0.03), colour, inside=True)


def _room(canvas: Canvas, rng: np.random.Generator, aspect: float) -> None:
    paper = _muted(rng, 120, 210)
    canvas.box(0, 0, aspect, 1, paper, inside=True)
    step = rng.uniform(0.07, 0.16)
    stripe = mixed(paper, _muted(rng), 0.35)
    for x in np.arange(0, aspect, step):
        canvas.box(x, 0, x + step * 0.45, 1, stripe, inside=True)
    for _ in range(int(rng.integers(2, 5))):
        x, y, w, h = rng.uniform(0, aspect), rng.uniform(0.05, 0.4), rng.uniform(0.08, 0.2), rng.uniform(0.06, 0.16)
        canvas.box(x - w, y - h, x + w, y + h, _muted(rng, 50, 120), inside=True)
        canvas.box(x - 0.85 * w, y - 0.8 * h, x + 0.85 * w, y + 0.8 * h, _muted(rng, 120, 220), inside=True)
    floor = _muted(rng, 70, 150)
    line = rng.uniform(0.66, 0.82)
    canvas.box(0, line, aspect, 1, floor, inside=True)
    for x in np.arange(-0.5, aspect + 0.5, 0.22):
        canvas.stroke([(x, line), (1.6 * x - 0.3 * aspect, 1.0)], 0.01, mixed(floor, (20, 20, 20), 0.35), inside=True)


def _park(canvas: Canvas, rng: np.random.Generator, aspect: float) -> None:
    canvas.box(0, 0, aspect, 1, mixed((170, 195, 215), _muted(rng), 0.4), inside=True)
    for _ in range(int(rng.integers(2, 5))):
        x, y = rng.uniform(0, aspect), rng.uniform(0.05, 0.3)
        for puff in range(3):
            canvas.disc(x + 0.07 * puff, y, 0.09, 0.04, colour=(218, 222, 226), inside=True)
    for layer in range(3):
        green = mixed((84, 112, 74), _muted(rng), 0.45)
        hills = [(x, 0.42 + 0.16 * layer + rng.uniform(-0.09, 0.05)) for x in np.linspace(-0.1, aspect + 0.1, 8)]
        canvas.fill([*hills, (aspect + 0.1, 1.1), (-0.1, 1.1)], green, inside=True)
        for _ in range(int(rng.integers(1, 4))):
            x, y, size = rng.uniform(0, aspect), 0.42 + 0.16 * layer, rng.uniform(0.05, 0.12)
            canvas.stroke([(x, y + 0.06), (x, y - size)], 0.02, mixed((84, 66, 50), _muted(rng), 0.3), inside=True)
            canvas.disc(x, y - size, size * 0.8, size, colour=mixed(green, (30, 50, 30), 0.3), inside=True)


def _street(canvas: Canvas, rng: np.random.Generator, aspect: float) -> None:
    canvas.box(0, 0, aspect, 1, mixed((176, 188, 204), _muted(rng), 0.5), inside=True)
    x = -0.05
    while x < aspect:
        width, top = rng.uniform(0.18, 0.4), rng.uniform(0.05, 0.35)
        wall, pane = _muted(rng, 80, 190), _muted(rng, 50, 220)
        canvas.box(x, top, x + width, 0.8, wall, inside=True)
        for wx in np.arange(x + 0.03, x + width - 0.05, 0.085):
            for wy in np.arange(top + 0.04, 0.7, 0.12):
                canvas.box(wx, wy, wx + 0.045, wy + 0.065, pane, inside=True)
        x += width
    road = _muted(rng, 70, 120)
    canvas.box(0, 0.78, aspect, 1, road, inside=True)
    for x in np.arange(0, aspect, 0.24):
        canvas.box(x, 0.885, x + 0.12, 0.905, mixed(road, (255, 255, 255), 0.6), inside=True)


def _abstract(canvas: Canvas, rng: np.random.Generator, aspect: float) -> None:
    for _ in range(14):
        where = _polygon(rng, rng.uniform(0, aspect), rng.uniform(0, 1), rng.uniform(0.15, 0.5))
        canvas.fill(where, _muted(rng, 50, 210), inside=True)


_STYLES = (_room, _park, _street, _abstract)


def _grain(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Light factors (height, width, 1): noise on three scales that do not depend on the resolution."""
    total = np.ones((height, width), np.float32)
    for cells, size in ((5, 0.10), (18, 0.08), (60, 0.07)):
        noise = rng.normal(0, size, (cells, round(cells * width / height))).astype(np.float32)
        total += cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(total[..., None])


@dataclass(frozen=True)
class _Flyer:
    """A small shape of no category that crosses the picture."""

    outline: NDArray[np.float64]
    colour: Colour
    x: float
    y: float
    dx: float
    dy: float


class Background:
    """The view behind the objects at any time, (height, width, 3) uint8."""

    def __init__(self, rng: np.random.Generator, height: int, width: int) -> None:
        self._height, self._width = height, width
        spare = round(_SPARE * height)
        tall, wide = height + 2 * spare, width + 2 * spare
        canvas = _canvas(tall, wide, _muted(rng))
        _STYLES[int(rng.integers(len(_STYLES)))](canvas, rng, wide / tall)
        _clutter(canvas, rng, wide / tall, int(rng.integers(5, 22)))
        view = np.clip(canvas.colour * _grain(rng, tall, wide), 0, 255).astype(np.uint8)
        blur = float(rng.uniform(0.0, 0.012)) * height
        self._view: Picture = view if blur < 0.4 else np.asarray(cv2.GaussianBlur(view, (0, 0), blur), np.uint8)
        self._spare = spare
        self._drift = [(rng.uniform(0.3, 0.95), rng.uniform(7, 16), rng.uniform(0, 6.3)) for _ in range(2)]
        self._flyers = [self._flyer(rng, width / height) for _ in range(int(rng.integers(0, 5)))]

    @staticmethod
    def _flyer(rng: np.random.Generator, aspect: float) -> _Flyer:
        return _Flyer(
            outline=_polygon(rng, 0.0, 0.0, float(rng.uniform(0.02, 0.07))),
            colour=_muted(rng, 30, 230),
            x=float(rng.uniform(0, aspect)),
            y=float(rng.uniform(0, 1)),
            dx=float(rng.uniform(-0.2, 0.2)),
            dy=float(rng.uniform(-0.08, 0.08)),
        )

    def at(self, time: float) -> Picture:
        # whole pixels: what moves by fractions is blurred anew in every picture, and costs a movie most of its bits
        left, top = (
            round(self._spare * (1 + size * math.sin(2 * math.pi * time / period + phase)))
            for size, period, phase in self._drift
        )
        picture = self._view[top : top + self._height, left : left + self._width].copy()
        if self._flyers:
            canvas = _canvas(self._height, self._width, (0, 0, 0))
            canvas.colour = picture
            span = self._width / self._height + 0.3
            for flyer in self._flyers:
                x = (flyer.x + flyer.dx * time + 0.15) % span - 0.15
                y = (flyer.y + flyer.dy * time + 0.15) % 1.3 - 0.15
                canvas.fill(flyer.outline + np.array([x, y]), flyer.colour, inside=True)
        return picture


class Occluder:
    """A post, a bush or a board that passes slowly in front of everything."""

    def __init__(self, rng: np.random.Generator, aspect: float) -> None:
        self._kind = int(rng.integers(3))
        self._colour = _muted(rng, 45, 150)
        self._x, self._speed = float(rng.uniform(0.1, 0.9)) * aspect, float(rng.uniform(-0.16, 0.16))
        self._size = float(rng.uniform(0.04, 0.11))
        self._aspect = aspect
        self._leaves = rng.uniform(-1, 1, (9, 2)) * (2.6, 1.4)
        self._top = float(rng.uniform(0.45, 0.65))

    def draw(self, time: float, height: int, width: int) -> Canvas:
        """A layer of the frame's size."""
        canvas = _canvas(height, width, self._colour)
        span = self._aspect + 0.8
        x = (self._x + self._speed * time + 0.4) % span - 0.4
        dark, size = mixed(self._colour, (10, 10, 14), 0.4), self._size
        if self._kind == 0:
            canvas.box(x - size / 2, -0.1, x + size / 2, 1.1, self._colour, 0.012)
            canvas.box(x + size / 5, -0.1, x + size / 2, 1.1, dark, inside=True)
        elif self._kind == 1:
            for number, (dx, dy) in enumerate(self._leaves):
                green = mixed(mixed(self._colour, (50, 110, 50), 0.6), (20, 40, 20), 0.08 * (number % 4))
                canvas.disc(x + dx * size, 0.96 + dy * size, 1.5 * size, colour=green)
        else:
            wide = 2.4 * size
            canvas.box(x - wide, self._top, x + wide, self._top + 1.6 * size, self._colour, 0.012)
            canvas.stroke(
                [(x - wide, self._top + 0.8 * size), (x + wide, self._top + 0.8 * size)], 0.014, dark, inside=True
            )
            for side in (-0.8, 0.8):
                canvas.box(x + side * wide - 0.02, self._top, x + side * wide + 0.02, 1.1, dark)
        return canvas
