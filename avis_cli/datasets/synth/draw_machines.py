"""Car and robot."""

from __future__ import annotations

import math

from avis_cli.datasets.synth.canvas import INK, Painter, darker, lighter, smooth
from avis_cli.datasets.synth.looks import Look, Pose

_EDGE = 0.045
_GLASS = (166, 206, 224)


def _wheel(painter: Painter, x: float, turn: float) -> None:
    painter.disc(x, 0.44, 0.27, colour=(44, 42, 46), edge=0.03)
    painter.disc(x, 0.44, 0.15, colour=(196, 200, 206), flat=True)
    for spoke in range(3):
        angle = turn + spoke * math.pi / 3
        dx, dy = 0.14 * math.cos(angle), 0.14 * math.sin(angle)
        painter.stroke([(x - dx, 0.44 - dy), (x + dx, 0.44 + dy)], 0.035, (84, 84, 92), flat=True)


def car(painter: Painter, look: Look, pose: Pose) -> None:
    """A saloon from the side, driving to the right."""
    roof = -0.50 - 0.14 * look.shape[0]
    back = -0.62 + 0.16 * look.shape[1]
    cabin = [
        (back - 0.14, -0.04),
        (back + 0.06, roof + 0.06),
        (back + 0.2, roof),
        (0.30, roof),
        (0.42, roof + 0.05),
        (0.66, -0.04),
    ]
    painter.fill(cabin, look.main, _EDGE)
    hull = [
        (-1.02, 0.02),
        (-0.92, -0.08),
        (-0.30, -0.10),
        (0.62, -0.10),
        (0.98, 0.02),
        (1.06, 0.22),
        (1.06, 0.42),
        (-1.05, 0.42),
        (-1.06, 0.18),
    ]
    painter.fill(hull, look.main, _EDGE)
    painter.fill(
        [(back + 0.0, -0.08), (back + 0.13, roof + 0.10), (-0.03, roof + 0.10), (-0.03, -0.08)], _GLASS, 0.02, flat=True
    )
    painter.fill([(0.06, -0.08), (0.06, roof + 0.10), (0.30, roof + 0.10), (0.52, -0.08)], _GLASS, 0.02, flat=True)
    painter.stroke([(back + 0.12, -0.14), (back + 0.28, roof + 0.14)], 0.04, (236, 246, 250), flat=True)
    painter.stroke([(-1.0, 0.24), (1.02, 0.24)], 0.06, look.second, flat=True)
    painter.stroke([(0.02, -0.06), (0.02, 0.36)], 0.025, darker(look.main, 0.6), flat=True)
    painter.stroke([(0.12, 0.06), (0.26, 0.06)], 0.05, look.accent, flat=True)
    painter.disc(1.0, 0.14, 0.085, 0.10, colour=(255, 240, 170), edge=0.025, flat=True)
    painter.box(-1.06, 0.06, -0.96, 0.20, (220, 40, 36), flat=True)
    for x in (-0.58, 0.60):
        painter.disc(x, 0.40, 0.33, 0.30, colour=darker(look.main, 0.75), flat=True)
        _wheel(painter, x, 4.0 * pose.idle)


def robot(painter: Painter, look: Look, pose: Pose) -> None:
    """A boxy robot from the front, antenna, two round eyes and a grille."""
    wide = 0.42 + 0.10 * look.shape[0]
    sway = 0.10 * math.sin(2.3 * pose.idle)
    painter.stroke([(0, -0.70), (0, -0.92)], 0.06, look.second, 0.03)
    painter.disc(0, -0.95, 0.10, colour=look.accent, edge=0.035)
    for side in (-1, 1):
        hand = (side * (wide + 0.36), 0.34 + side * sway)
        arm = [(side * wide, -0.02), (side * (wide + 0.26), 0.10), hand]
        painter.stroke(arm, 0.13, look.second, _EDGE)
        painter.disc(*hand, 0.12, colour=look.main, edge=_EDGE)
        painter.box(side * 0.24 - 0.12, 0.58, side * 0.24 + 0.12, 0.86, look.second, _EDGE)
        painter.box(side * 0.26 - 0.19, 0.82, side * 0.26 + 0.19, 0.96, look.main, _EDGE)
        painter.box(side * 0.54 - 0.08, -0.52, side * 0.54 + 0.08, -0.28, look.second, _EDGE)
    painter.box(-0.14, -0.2, 0.14, 0.0, look.second, _EDGE)
    painter.box(-wide, -0.10, wide, 0.64, look.main, _EDGE)
    painter.box(-0.30, 0.04, 0.30, 0.36, darker(look.main, 0.7), 0.02, flat=True)
    lamp = int(pose.idle * 1.5) % 3
    for number in range(3):
        colour = look.accent if number == lamp else darker(look.accent, 0.6)
        painter.disc(-0.18 + 0.18 * number, 0.13, 0.06, colour=colour, flat=True)
    painter.stroke([(-0.22, 0.28), (0.22, 0.28)], 0.05, lighter(look.main, 0.5), flat=True)
    for x in (-0.34, 0.34):
        painter.disc(x * wide / 0.42, 0.52, 0.045, colour=darker(look.main, 0.6), flat=True)
    painter.box(-0.52, -0.74, 0.52, -0.14, look.main, _EDGE)
    for side in (-1, 1):
        painter.disc(side * 0.24, -0.50, 0.155, colour=INK, flat=True)
        painter.disc(side * 0.24, -0.50, 0.115, colour=look.accent, flat=True)
        painter.disc(side * 0.24 + 0.03, -0.53, 0.04, colour=(255, 255, 255), flat=True)
    painter.fill(smooth([(-0.28, -0.30), (0.28, -0.30), (0.28, -0.20), (-0.28, -0.20)], 3), (40, 40, 46), flat=True)
    for x in (-0.16, -0.05, 0.06, 0.17):
        painter.stroke([(x, -0.31), (x, -0.19)], 0.03, lighter(look.main, 0.6), flat=True)
