"""Bell, drum and trumpet."""

from __future__ import annotations

import math

import numpy as np

from avis_cli.datasets.synth.canvas import Painter, arc, darker, lighter, mirrored
from avis_cli.datasets.synth.looks import Look, Pose

_EDGE = 0.045


def bell(painter: Painter, look: Look, pose: Pose) -> None:
    """A church bell with its yoke and clapper."""
    flare = 0.70 + 0.16 * look.shape[0]
    waist = 0.40 + 0.10 * look.shape[1]
    swing = 0.10 * math.sin(1.3 * pose.idle)
    painter.stroke([(0, 0.5), (swing, 0.86)], 0.08, look.accent, _EDGE)
    painter.disc(swing, 0.84, 0.15, colour=darker(look.accent), edge=_EDGE)
    painter.stroke(arc(0, -0.80, 0.17, 0.17, 150, 390), 0.10, look.second, _EDGE)
    body = mirrored(
        [
            (0.0, -0.78),
            (0.22, -0.74),
            (waist - 0.04, -0.52),
            (waist, -0.15),
            (waist + 0.07, 0.22),
            (flare - 0.06, 0.50),
            (flare, 0.66),
        ]
    )
    painter.fill(body, look.main, _EDGE)
    painter.stroke([(-waist, -0.38), (waist, -0.38)], 0.05, darker(look.main), flat=True)
    painter.stroke([(-waist - 0.08, 0.26), (waist + 0.08, 0.26)], 0.05, darker(look.main), flat=True)
    painter.fill([(-flare, 0.58), (flare, 0.58), (flare + 0.07, 0.72), (-flare - 0.07, 0.72)], look.second, _EDGE)
    painter.stroke([(-0.2, -0.55), (-0.30, 0.1), (-0.42, 0.48)], 0.07, lighter(look.main, 0.6), flat=True)


def drum(painter: Painter, look: Look, pose: Pose) -> None:
    """A rope drum from slightly above, two sticks on its head."""
    top, bottom = -0.28, 0.40 + 0.22 * look.shape[0]
    wide = 0.80 + 0.08 * look.shape[1]
    shell = np.concatenate([arc(0, bottom, wide, 0.24, 0, 180), arc(0, top, wide, 0.24, 180, 360)])
    painter.fill(shell, look.main, _EDGE)
    for step in range(6):
        left = -wide + step * wide / 3
        low, high = bottom + 0.13, top + 0.14
        painter.stroke([(left, high), (left + wide / 6, low), (left + wide / 3, high)], 0.045, look.accent, flat=True)
    for level in (bottom, top):
        ring = np.concatenate([arc(0, level + 0.12, wide, 0.24, 180, 0), arc(0, level, wide, 0.24, 0, 180)])
        painter.fill(ring, look.second, 0.02, flat=level == top)
    painter.disc(0, top, wide, 0.24, colour=(238, 230, 212), edge=_EDGE)
    painter.disc(0, top, wide * 0.62, 0.14, colour=(222, 211, 190), flat=True)
    lift = 0.05 * math.sin(2.1 * pose.idle) + 0.16 * pose.beat
    for side, rise in ((-1, lift), (1, -lift)):
        tip, end = (side * 0.16, top - 0.02 - max(rise, 0)), (side * 0.84, -0.92 - rise)
        painter.stroke([tip, end], 0.085, (205, 160, 100), 0.035)
        painter.disc(*tip, 0.085, colour=(222, 182, 122), edge=0.03)


def trumpet(painter: Painter, look: Look, pose: Pose) -> None:
    """A trumpet from the side, its bell to the right."""
    pipe = 0.105
    drop = 0.42 + 0.10 * look.shape[0]
    flare = 0.40 + 0.12 * look.shape[1]
    painter.stroke([(-0.95, -0.18), (0.42, -0.18)], pipe, look.main, _EDGE)
    loop = np.concatenate(
        [
            arc(0.34, -0.18 + drop / 2, drop / 2, drop / 2, -90, 90),
            arc(-0.42, -0.18 + drop / 2, drop / 2, drop / 2, 90, 270),
        ]
    )
    painter.stroke(loop, pipe, look.main, _EDGE, closed=True)
    for valve in range(3):
        x = -0.24 + 0.20 * valve
        press = 0.05 * (1 + math.sin(1.9 * pose.idle + 2.1 * valve))
        painter.stroke([(x, -0.55 + press), (x, -0.25)], 0.05, look.accent, 0.03)
        painter.disc(x, -0.57 + press, 0.075, 0.04, colour=look.accent, edge=0.03)
        painter.box(x - 0.06, -0.34, x + 0.06, 0.34, look.second, 0.03)
    throat = [
        (0.30, -0.24),
        (0.55, -0.27),
        (0.76, -0.36),
        (0.93, -0.18 - flare),
        (0.98, -0.18),
        (0.93, -0.18 + flare),
        (0.76, 0.00),
        (0.55, -0.09),
        (0.30, -0.12),
    ]
    painter.fill(throat, look.main, _EDGE)
    painter.disc(0.94, -0.18, 0.09, flare, colour=darker(look.main, 0.55), edge=_EDGE)
    painter.stroke([(0.36, -0.21), (0.72, -0.26)], 0.035, lighter(look.main, 0.7), flat=True)
    painter.fill([(-1.02, -0.28), (-0.88, -0.22), (-0.88, -0.14), (-1.02, -0.08)], look.second, 0.035)
