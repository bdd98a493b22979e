"""Smooth paths: where an object is, how large and how tilted, at any time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Oscillation:
    """A slow oscillation: ``size`` * sin(2 pi time / ``period`` + ``phase``), period in seconds."""

    size: float
    period: float
    phase: float

    def at(self, time: float) -> float:
        return self.size * math.sin(2.0 * math.pi * time / self.period + self.phase)


@dataclass(frozen=True)
class Absence:
    """Out of the picture between ``start`` and ``end`` seconds, ``shift`` frame heights away sideways."""

    start: float
    end: float
    shift: float

    def at(self, time: float) -> float:
        ramp = 1.2
        inside = min(time - self.start, self.end - time) / ramp
        share = min(max(inside, 0.0), 1.0)
        return self.shift * share * share * (3.0 - 2.0 * share)


@dataclass(frozen=True)
class Placement:
    """Centre in frame heights from the top left corner, half size in frame heights, tilt in radians."""

    x: float
    y: float
    size: float
    tilt: float


@dataclass(frozen=True)
class MotionPath:
    """``x``, ``y``, ``size`` as in ``Placement``; waves move about them (``grow`` as a share of the size)."""

    x: float
    y: float
    size: float
    sideways: Oscillation
    upwards: Oscillation
    grow: Oscillation
    lean: Oscillation
    absence: Absence | None = None

    def at(self, time: float) -> Placement:
        gone = 0.0 if self.absence is None else self.absence.at(time)
        return Placement(
            self.x + self.sideways.at(time) + gone,
            self.y + self.upwards.at(time),
            self.size * (1.0 + self.grow.at(time)),
            self.lean.at(time),
        )


def _wave(rng: np.random.Generator, low: float, high: float, periods: tuple[float, float]) -> Oscillation:
    return Oscillation(float(rng.uniform(low, high)), float(rng.uniform(*periods)), float(rng.uniform(0, 2 * math.pi)))


def random_path(
    rng: np.random.Generator, x: float, y: float, size: float, aspect: float, seconds: int, leaves: bool
) -> MotionPath:
    """A path about (x, y); with ``leaves`` it goes out at the nearer side for a few seconds and returns."""
    absence = None
    if leaves:
        away = float(rng.uniform(2.8, 4.6))
        start = float(rng.uniform(-2.0, max(seconds - 2.5, 0.5)))
        out = (aspect - x + 1.5 * size + 0.3) if x > aspect / 2 else -(x + 1.5 * size + 0.3)
        absence = Absence(start, start + away, out)
    return MotionPath(
        x,
        y,
        size,
        sideways=_wave(rng, 0.03, 0.22, (5.0, 14.0)),
        upwards=_wave(rng, 0.02, 0.12, (4.0, 12.0)),
        grow=_wave(rng, 0.03, 0.18, (5.0, 15.0)),
        lean=_wave(rng, 0.0, 0.14, (3.0, 9.0)),
        absence=absence,
    )
