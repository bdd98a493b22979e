"""Phone, kettle and clock."""

from __future__ import annotations

import math

import numpy as np

from avis_cli.datasets.synth.canvas import INK, Painter, arc, darker, lighter, smooth
from avis_cli.datasets.synth.looks import Look, Pose

_EDGE = 0.045


def phone(painter: Painter, look: Look, pose: Pose) -> None:
    """A telephone with a dial, its handset on the cradle."""
    wide = 0.82 + 0.10 * look.shape[0]
    for side in (-1, 1):
        painter.box(side * 0.24 - 0.08, -0.52, side * 0.24 + 0.08, -0.10, darker(look.main, 0.25), _EDGE)
    base = [
        (-0.36, -0.26),
        (0.36, -0.26),
        (0.56, 0.10),
        (wide, 0.70),
        (wide, 0.84),
        (-wide, 0.84),
        (-wide, 0.70),
        (-0.56, 0.10),
    ]
    painter.fill(base, look.main, _EDGE)
    painter.stroke([(-wide, 0.74), (wide, 0.74)], 0.05, darker(look.main, 0.45), flat=True)
    painter.disc(0, 0.26, 0.38, 0.36, colour=look.second, edge=0.03, flat=True)
    turn = 0.15 * math.sin(0.8 * pose.idle)
    for hole in range(9):
        angle = turn + math.radians(-60 + 34 * hole)
        painter.disc(0.27 * math.cos(angle), 0.26 + 0.255 * math.sin(angle), 0.062, colour=INK, flat=True)
    painter.disc(0, 0.26, 0.13, colour=look.main, flat=True)
    painter.disc(0, 0.26, 0.05, colour=look.accent, flat=True)
    handset = np.concatenate([arc(0, -0.32, 0.90, 0.50, 197, 343, 14), arc(0, -0.22, 0.70, 0.34, 330, 210, 14)])
    painter.fill(handset, look.main, _EDGE)
    for side in (-1, 1):
        cup = [(side * 0.60, -0.60), (side * 0.98, -0.48), (side * 1.02, -0.20), (side * 0.56, -0.22)]
        painter.fill(smooth(cup, 4), look.main, _EDGE)
        painter.stroke([(side * 0.60, -0.25), (side * 0.98, -0.24)], 0.06, look.accent, flat=True)
    painter.stroke(arc(0, -0.30, 0.78, 0.44, 225, 300, 8), 0.05, lighter(look.main, 0.45), flat=True)


def kettle(painter: Painter, look: Look, pose: Pose) -> None:
    """A stove kettle with a bow handle, its spout to the right."""
    fat = 0.62 + 0.10 * look.shape[0]
    bow = 0.44 + 0.10 * look.shape[1]
    painter.stroke(arc(-0.05, -0.28, 0.50, bow + 0.2, 180, 360), 0.12, look.second, _EDGE)
    spout = [(0.40, 0.30), (0.66, 0.10), (0.78, -0.26), (1.04, -0.34), (1.00, -0.12), (0.90, 0.22), (0.56, 0.62)]
    painter.fill(spout, look.main, _EDGE)
    painter.fill([(0.76, -0.26), (1.03, -0.38), (1.07, -0.26), (0.80, -0.14)], look.second, 0.03)
    body = [
        (-0.05, -0.40),
        (0.32, -0.30),
        (fat - 0.08, 0.20),
        (fat, 0.62),
        (fat - 0.14, 0.84),
        (-0.05, 0.87),
        (-fat + 0.04, 0.84),
        (-fat - 0.10, 0.62),
        (-fat - 0.02, 0.20),
        (-0.42, -0.30),
    ]
    painter.fill(smooth(body), look.main, _EDGE)
    painter.stroke([(-fat - 0.05, 0.68), (fat - 0.02, 0.68)], 0.06, darker(look.main, 0.35), flat=True)
    rattle = 0.015 * math.sin(3.1 * pose.idle)
    painter.fill(arc(-0.05, -0.28 + rattle, 0.36, 0.18, 180, 360), darker(look.main, 0.15), _EDGE)
    painter.disc(-0.05, -0.52 + rattle, 0.10, colour=look.accent, edge=_EDGE)
    painter.disc(-0.38, 0.16, 0.08, 0.30, colour=lighter(look.main, 0.7), turn=14, flat=True)


def _face(painter: Painter, look: Look, pose: Pose) -> None:
    painter.disc(0, -0.28, 0.40, colour=look.accent, edge=0.03)
    painter.disc(0, -0.28, 0.33, colour=look.second, flat=True)
    for hour in range(12):
        angle = hour * math.pi / 6
        inner = 0.24 if hour % 3 == 0 else 0.27
        cosine, sine = math.cos(angle), math.sin(angle)
        mark = [(inner * cosine, -0.28 + inner * sine), (0.31 * cosine, -0.28 + 0.31 * sine)]
        painter.stroke(mark, 0.045 if hour % 3 == 0 else 0.025, INK, flat=True)
    minute = look.shape[1] * 2 * math.pi + 0.1 * pose.idle
    for angle, reach, width in ((minute, 0.26, 0.045), (minute / 12 + look.shape[2] * 6.0, 0.17, 0.06)):
        painter.stroke([(0, -0.28), (reach * math.sin(angle), -0.28 - reach * math.cos(angle))], width, INK, flat=True)


def clock(painter: Painter, look: Look, pose: Pose) -> None:
    """A pendulum clock: roof, round face, pendulum behind glass."""
    wide = 0.46 + 0.08 * look.shape[0]
    painter.box(-wide, -0.62, wide, 0.86, look.main, _EDGE)
    painter.fill([(-wide - 0.16, -0.60), (0, -1.04), (wide + 0.16, -0.60)], darker(look.main, 0.25), _EDGE)
    painter.box(-wide - 0.10, 0.82, wide + 0.10, 0.97, darker(look.main, 0.25), _EDGE)
    painter.box(-0.33, 0.12, 0.33, 0.76, darker(look.main, 0.75), 0.02, flat=True)
    swing = 0.34 * math.sin(2.6 * pose.idle)
    bob = (0.46 * math.sin(swing), 0.10 + 0.46 * math.cos(swing))
    painter.stroke([(0, 0.10), bob], 0.04, look.accent, flat=True)
    painter.disc(*bob, 0.125, colour=look.accent, flat=True)
    painter.disc(bob[0] - 0.03, bob[1] - 0.03, 0.05, colour=lighter(look.accent, 0.6), flat=True)
    _face(painter, look, pose)
