"""Bird and cat."""

from __future__ import annotations

import math

from avis_cli.datasets.synth.canvas import INK, Painter, arc, darker, lighter, smooth
from avis_cli.datasets.synth.looks import Look, Pose

_EDGE = 0.045


def bird(painter: Painter, look: Look, pose: Pose) -> None:
    """A songbird from the side, looking to the right."""
    tail = 0.10 * look.shape[0]
    for x in (-0.08, 0.14):
        painter.stroke([(x, 0.5), (x + 0.05, 0.86), (x + 0.20, 0.88)], 0.06, look.accent, 0.025)
        painter.stroke([(x + 0.05, 0.86), (x - 0.06, 0.90)], 0.06, look.accent, 0.025)
    feathers = [(-0.42, 0.10), (-1.00 - tail, 0.22), (-0.98, 0.44), (-0.46, 0.46)]
    painter.fill(feathers, look.second, _EDGE)
    painter.stroke([(-0.5, 0.26), (-0.94, 0.33)], 0.03, INK, flat=True)
    painter.fill([(0.78, -0.58), (1.10, -0.44), (0.76, -0.36)], look.accent, _EDGE)
    painter.stroke([(0.78, -0.46), (1.04, -0.45)], 0.03, INK, flat=True)
    body = [
        (0.22, -0.62),
        (0.42, -0.82),
        (0.68, -0.76),
        (0.82, -0.52),
        (0.74, -0.20),
        (0.66, 0.16),
        (0.36, 0.52),
        (-0.10, 0.62),
        (-0.52, 0.42),
        (-0.56, 0.10),
        (-0.20, -0.22),
    ]
    painter.fill(smooth(body), look.main, _EDGE)
    painter.disc(0.40, 0.20, 0.26, 0.34, colour=lighter(look.main, 0.62), turn=20, flat=True)
    flap = 0.5 + 0.5 * math.sin(5.3 * pose.idle)
    wing = [(0.26, -0.10), (0.10, 0.26), (-0.42, 0.38 - 0.1 * flap), (-0.78, 0.10 - 0.75 * flap), (-0.30, -0.20)]
    painter.fill(smooth(wing), look.second, _EDGE)
    tip = (-0.66, 0.08 - 0.62 * flap)
    painter.stroke([(0.08, 0.06), tip], 0.035, darker(look.second, 0.5), flat=True)
    painter.stroke([(0.02, 0.18), (tip[0] + 0.12, tip[1] + 0.14)], 0.035, darker(look.second, 0.5), flat=True)
    if look.shape[1] > 0.5:
        painter.fill([(0.36, -0.78), (0.24, -1.02), (0.58, -0.80)], look.second, _EDGE)
    painter.disc(0.58, -0.54, 0.115, colour=(245, 245, 240), flat=True)
    painter.disc(0.61, -0.54, 0.07, colour=(20, 18, 22), flat=True)


def _head(painter: Painter, look: Look) -> None:
    for side in (-1, 1):
        ear = [(side * 0.46, -0.44), (side * 0.50, -1.00), (side * 0.10, -0.70)]
        painter.fill(ear, look.main, _EDGE)
        inner = [(side * 0.40, -0.58), (side * 0.43, -0.85), (side * 0.22, -0.70)]
        painter.fill(inner, (226, 150, 150), flat=True)
    painter.disc(0, -0.40, 0.54, 0.42, colour=look.main, edge=_EDGE)
    for side in (-1, 0, 1):
        painter.stroke([(side * 0.13, -0.78), (side * 0.10, -0.62)], 0.06, darker(look.main, 0.5), flat=True)
    painter.disc(0, -0.22, 0.23, 0.15, colour=look.second, flat=True)
    for side in (-1, 1):
        painter.disc(side * 0.23, -0.45, 0.125, 0.115, colour=look.accent, edge=0.025, flat=True)
        painter.disc(side * 0.23, -0.45, 0.045, 0.105, colour=(12, 12, 14), flat=True)
        for slope in (-0.05, 0.05):
            painter.stroke([(side * 0.16, -0.22), (side * 0.64, -0.24 + 2 * slope)], 0.022, (240, 240, 236), flat=True)
        painter.stroke(arc(side * 0.07, -0.20, 0.07, 0.07, 0, 180, 6), 0.028, INK, flat=True)
    painter.fill([(-0.075, -0.32), (0.075, -0.32), (0, -0.22)], (208, 96, 110), flat=True)


def cat(painter: Painter, look: Look, pose: Pose) -> None:
    """A sitting cat from the front, its tail beside it."""
    curl = 0.12 * math.sin(1.7 * pose.idle)
    wide = 0.50 + 0.12 * look.shape[0]
    tail = [(0.38, 0.78), (0.78, 0.76), (0.95, 0.42), (0.84 + curl, 0.06), (0.98 + 1.5 * curl, -0.18)]
    painter.stroke(tail, 0.19, look.main, _EDGE)
    painter.disc(tail[-1][0], tail[-1][1], 0.095, colour=darker(look.main, 0.4), flat=True)
    body = [
        (0.0, -0.20),
        (0.34, -0.05),
        (wide, 0.45),
        (wide + 0.06, 0.82),
        (0.30, 0.94),
        (-0.30, 0.94),
        (-wide - 0.06, 0.82),
        (-wide, 0.45),
        (-0.34, -0.05),
    ]
    painter.fill(smooth(body), look.main, _EDGE)
    painter.disc(0, 0.36, 0.24, 0.36, colour=look.second, flat=True)
    for side in (-1, 1):
        for level in (0.28, 0.46, 0.64):
            stripe = [(side * (wide + 0.01), level), (side * (wide - 0.22), level + 0.05)]
            painter.stroke(stripe, 0.06, darker(look.main, 0.5), flat=True)
        painter.disc(side * 0.20, 0.84, 0.19, 0.12, colour=look.second, edge=0.03)
        painter.stroke([(side * 0.20, 0.52), (side * 0.20, 0.76)], 0.03, darker(look.main, 0.6), flat=True)
    _head(painter, look)
