"""The ten objects: one function draws each category into a layer, in the object's own coordinates."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from avis_cli.datasets.synth import name_of
from avis_cli.datasets.synth.canvas import INK, Canvas, arc, darker, ellipse, lighter, mirrored, smooth
from avis_cli.datasets.synth.looks import Appearance, Pose

_EDGE = 0.045  # half the width of an outline, in object units


def bird(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A songbird from the side, looking to the right."""
    tail = 0.10 * appearance.shape[0]
    for x in (-0.08, 0.14):
        canvas.stroke([(x, 0.5), (x + 0.05, 0.86), (x + 0.20, 0.88)], 0.06, appearance.accent, 0.025)
        canvas.stroke([(x + 0.05, 0.86), (x - 0.06, 0.90)], 0.06, appearance.accent, 0.025)
    feathers = [(-0.42, 0.10), (-1.00 - tail, 0.22), (-0.98, 0.44), (-0.46, 0.46)]
    canvas.fill(feathers, appearance.second, _EDGE)
    canvas.stroke([(-0.5, 0.26), (-0.94, 0.33)], 0.03, INK, inside=True)
    canvas.fill([(0.78, -0.58), (1.10, -0.44), (0.76, -0.36)], appearance.accent, _EDGE)
    canvas.stroke([(0.78, -0.46), (1.04, -0.45)], 0.03, INK, inside=True)
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
    canvas.fill(smooth(body), appearance.main, _EDGE)
    canvas.fill(ellipse(0.4, 0.2, 0.26, 0.34, 20), lighter(appearance.main, 0.62), inside=True)
    flap = 0.5 + 0.5 * math.sin(5.3 * pose.idle)
    wing = [(0.26, -0.10), (0.10, 0.26), (-0.42, 0.38 - 0.1 * flap), (-0.78, 0.10 - 0.75 * flap), (-0.30, -0.20)]
    canvas.fill(smooth(wing), appearance.second, _EDGE)
    tip = (-0.66, 0.08 - 0.62 * flap)
    canvas.stroke([(0.08, 0.06), tip], 0.035, darker(appearance.second, 0.5), inside=True)
    canvas.stroke([(0.02, 0.18), (tip[0] + 0.12, tip[1] + 0.14)], 0.035, darker(appearance.second, 0.5), inside=True)
    if appearance.shape[1] > 0.5:
        canvas.fill([(0.36, -0.78), (0.24, -1.02), (0.58, -0.80)], appearance.second, _EDGE)
    canvas.disc(0.58, -0.54, 0.115, colour=(245, 245, 240), inside=True)
    canvas.disc(0.61, -0.54, 0.07, colour=(20, 18, 22), inside=True)


def _head(canvas: Canvas, appearance: Appearance) -> None:
    for side in (-1, 1):
        ear = [(side * 0.46, -0.44), (side * 0.50, -1.00), (side * 0.10, -0.70)]
        canvas.fill(ear, appearance.main, _EDGE)
        inner = [(side * 0.40, -0.58), (side * 0.43, -0.85), (side * 0.22, -0.70)]
        canvas.fill(inner, (226, 150, 150), inside=True)
    canvas.disc(0, -0.40, 0.54, 0.42, colour=appearance.main, edge=_EDGE)
    for side in (-1, 0, 1):
        canvas.stroke([(side * 0.13, -0.78), (side * 0.10, -0.62)], 0.06, darker(appearance.main, 0.5), inside=True)
    canvas.disc(0, -0.22, 0.23, 0.15, colour=appearance.second, inside=True)
    for side in (-1, 1):
        canvas.disc(side * 0.23, -0.45, 0.125, 0.115, colour=appearance.accent, edge=0.025, inside=True)
        canvas.disc(side * 0.23, -0.45, 0.045, 0.105, colour=(12, 12, 14), inside=True)
        for slope in (-0.05, 0.05):
            canvas.stroke([(side * 0.16, -0.22), (side * 0.64, -0.24 + 2 * slope)], 0.022, (240, 240, 236), inside=True)
        canvas.stroke(arc(side * 0.07, -0.20, 0.07, 0.07, 0, 180, 6), 0.028, INK, inside=True)
    canvas.fill([(-0.075, -0.32), (0.075, -0.32), (0, -0.22)], (208, 96, 110), inside=True)


def cat(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A sitting cat from the front, its tail beside it."""
    curl = 0.12 * math.sin(1.7 * pose.idle)
    wide = 0.50 + 0.12 * appearance.shape[0]
    tail = [(0.38, 0.78), (0.78, 0.76), (0.95, 0.42), (0.84 + curl, 0.06), (0.98 + 1.5 * curl, -0.18)]
    canvas.stroke(tail, 0.19, appearance.main, _EDGE)
    canvas.disc(tail[-1][0], tail[-1][1], 0.095, colour=darker(appearance.main, 0.4), inside=True)
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
    canvas.fill(smooth(body), appearance.main, _EDGE)
    canvas.disc(0, 0.36, 0.24, 0.36, colour=appearance.second, inside=True)
    for side in (-1, 1):
        for level in (0.28, 0.46, 0.64):
            stripe = [(side * (wide + 0.01), level), (side * (wide - 0.22), level + 0.05)]
            canvas.stroke(stripe, 0.06, darker(appearance.main, 0.5), inside=True)
        canvas.disc(side * 0.20, 0.84, 0.19, 0.12, colour=appearance.second, edge=0.03)
        canvas.stroke([(side * 0.20, 0.52), (side * 0.20, 0.76)], 0.03, darker(appearance.main, 0.6), inside=True)
    _head(canvas, appearance)


def phone(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A telephone with a dial, its handset on the cradle."""
    wide = 0.82 + 0.10 * appearance.shape[0]
    for side in (-1, 1):
        canvas.box(side * 0.24 - 0.08, -0.52, side * 0.24 + 0.08, -0.10, darker(appearance.main, 0.25), _EDGE)
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
    canvas.fill(base, appearance.main, _EDGE)
    canvas.stroke([(-wide, 0.74), (wide, 0.74)], 0.05, darker(appearance.main, 0.45), inside=True)
    canvas.disc(0, 0.26, 0.38, 0.36, colour=appearance.second, edge=0.03, inside=True)
    turn = 0.15 * math.sin(0.8 * pose.idle)
    for hole in range(9):
        angle = turn + math.radians(-60 + 34 * hole)
        canvas.disc(0.27 * math.cos(angle), 0.26 + 0.255 * math.sin(angle), 0.062, colour=INK, inside=True)
    canvas.disc(0, 0.26, 0.13, colour=appearance.main, inside=True)
    canvas.disc(0, 0.26, 0.05, colour=appearance.accent, inside=True)
    handset = np.concatenate([arc(0, -0.32, 0.90, 0.50, 197, 343, 14), arc(0, -0.22, 0.70, 0.34, 330, 210, 14)])
    canvas.fill(handset, appearance.main, _EDGE)
    for side in (-1, 1):
        cup = [(side * 0.60, -0.60), (side * 0.98, -0.48), (side * 1.02, -0.20), (side * 0.56, -0.22)]
        canvas.fill(smooth(cup, 4), appearance.main, _EDGE)
        canvas.stroke([(side * 0.60, -0.25), (side * 0.98, -0.24)], 0.06, appearance.accent, inside=True)
    canvas.stroke(arc(0, -0.30, 0.78, 0.44, 225, 300, 8), 0.05, lighter(appearance.main, 0.45), inside=True)


def kettle(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A stove kettle with a bow handle, its spout to the right."""
    fat = 0.62 + 0.10 * appearance.shape[0]
    bow = 0.44 + 0.10 * appearance.shape[1]
    canvas.stroke(arc(-0.05, -0.28, 0.50, bow + 0.2, 180, 360), 0.12, appearance.second, _EDGE)
    spout = [(0.40, 0.30), (0.66, 0.10), (0.78, -0.26), (1.04, -0.34), (1.00, -0.12), (0.90, 0.22), (0.56, 0.62)]
    canvas.fill(spout, appearance.main, _EDGE)
    canvas.fill([(0.76, -0.26), (1.03, -0.38), (1.07, -0.26), (0.80, -0.14)], appearance.second, 0.03)
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
    canvas.fill(smooth(body), appearance.main, _EDGE)
    canvas.stroke([(-fat - 0.05, 0.68), (fat - 0.02, 0.68)], 0.06, darker(appearance.main, 0.35), inside=True)
    rattle = 0.015 * math.sin(3.1 * pose.idle)
    canvas.fill(arc(-0.05, -0.28 + rattle, 0.36, 0.18, 180, 360), darker(appearance.main, 0.15), _EDGE)
    canvas.disc(-0.05, -0.52 + rattle, 0.10, colour=appearance.accent, edge=_EDGE)
    canvas.fill(ellipse(-0.38, 0.16, 0.08, 0.3, 14), lighter(appearance.main, 0.7), inside=True)


def _face(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    canvas.disc(0, -0.28, 0.40, colour=appearance.accent, edge=0.03)
    canvas.disc(0, -0.28, 0.33, colour=appearance.second, inside=True)
    for hour in range(12):
        angle = hour * math.pi / 6
        inner = 0.24 if hour % 3 == 0 else 0.27
        cosine, sine = math.cos(angle), math.sin(angle)
        mark = [(inner * cosine, -0.28 + inner * sine), (0.31 * cosine, -0.28 + 0.31 * sine)]
        canvas.stroke(mark, 0.045 if hour % 3 == 0 else 0.025, INK, inside=True)
    minute = appearance.shape[1] * 2 * math.pi + 0.1 * pose.idle
    for angle, reach, width in ((minute, 0.26, 0.045), (minute / 12 + appearance.shape[2] * 6.0, 0.17, 0.06)):
        canvas.stroke([(0, -0.28), (reach * math.sin(angle), -0.28 - reach * math.cos(angle))], width, INK, inside=True)


def clock(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A pendulum clock: roof, round face, pendulum behind glass."""
    wide = 0.46 + 0.08 * appearance.shape[0]
    canvas.box(-wide, -0.62, wide, 0.86, appearance.main, _EDGE)
    canvas.fill([(-wide - 0.16, -0.60), (0, -1.04), (wide + 0.16, -0.60)], darker(appearance.main, 0.25), _EDGE)
    canvas.box(-wide - 0.10, 0.82, wide + 0.10, 0.97, darker(appearance.main, 0.25), _EDGE)
    canvas.box(-0.33, 0.12, 0.33, 0.76, darker(appearance.main, 0.75), 0.02, inside=True)
    swing = 0.34 * math.sin(2.6 * pose.idle)
    bob = (0.46 * math.sin(swing), 0.10 + 0.46 * math.cos(swing))
    canvas.stroke([(0, 0.10), bob], 0.04, appearance.accent, inside=True)
    canvas.disc(*bob, 0.125, colour=appearance.accent, inside=True)
    canvas.disc(bob[0] - 0.03, bob[1] - 0.03, 0.05, colour=lighter(appearance.accent, 0.6), inside=True)
    _face(canvas, appearance, pose)


def bell(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A church bell with its yoke and clapper."""
    flare = 0.70 + 0.16 * appearance.shape[0]
    waist = 0.40 + 0.10 * appearance.shape[1]
    swing = 0.10 * math.sin(1.3 * pose.idle)
    canvas.stroke([(0, 0.5), (swing, 0.86)], 0.08, appearance.accent, _EDGE)
    canvas.disc(swing, 0.84, 0.15, colour=darker(appearance.accent), edge=_EDGE)
    canvas.stroke(arc(0, -0.80, 0.17, 0.17, 150, 390), 0.10, appearance.second, _EDGE)
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
    canvas.fill(body, appearance.main, _EDGE)
    canvas.stroke([(-waist, -0.38), (waist, -0.38)], 0.05, darker(appearance.main), inside=True)
    canvas.stroke([(-waist - 0.08, 0.26), (waist + 0.08, 0.26)], 0.05, darker(appearance.main), inside=True)
    canvas.fill([(-flare, 0.58), (flare, 0.58), (flare + 0.07, 0.72), (-flare - 0.07, 0.72)], appearance.second, _EDGE)
    canvas.stroke([(-0.2, -0.55), (-0.30, 0.1), (-0.42, 0.48)], 0.07, lighter(appearance.main, 0.6), inside=True)


def drum(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A rope drum from slightly above, two sticks on its head."""
    top, bottom = -0.28, 0.40 + 0.22 * appearance.shape[0]
    wide = 0.80 + 0.08 * appearance.shape[1]
    shell = np.concatenate([arc(0, bottom, wide, 0.24, 0, 180), arc(0, top, wide, 0.24, 180, 360)])
    canvas.fill(shell, appearance.main, _EDGE)
    for step in range(6):
        left = -wide + step * wide / 3
        low, high = bottom + 0.13, top + 0.14
        canvas.stroke(
            [(left, high), (left + wide / 6, low), (left + wide / 3, high)], 0.045, appearance.accent, inside=True
        )
    for level in (bottom, top):
        ring = np.concatenate([arc(0, level + 0.12, wide, 0.24, 180, 0), arc(0, level, wide, 0.24, 0, 180)])
        canvas.fill(ring, appearance.second, 0.02, inside=level == top)
    canvas.disc(0, top, wide, 0.24, colour=(238, 230, 212), edge=_EDGE)
    canvas.disc(0, top, wide * 0.62, 0.14, colour=(222, 211, 190), inside=True)
    lift = 0.05 * math.sin(2.1 * pose.idle) + 0.16 * pose.beat
    for side, rise in ((-1, lift), (1, -lift)):
        tip, end = (side * 0.16, top - 0.02 - max(rise, 0)), (side * 0.84, -0.92 - rise)
        canvas.stroke([tip, end], 0.085, (205, 160, 100), 0.035)
        canvas.disc(*tip, 0.085, colour=(222, 182, 122), edge=0.03)


def trumpet(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A trumpet from the side, its bell to the right."""
    pipe = 0.105
    drop = 0.42 + 0.10 * appearance.shape[0]
    flare = 0.40 + 0.12 * appearance.shape[1]
    canvas.stroke([(-0.95, -0.18), (0.42, -0.18)], pipe, appearance.main, _EDGE)
    loop = np.concatenate(
        [
            arc(0.34, -0.18 + drop / 2, drop / 2, drop / 2, -90, 90),
            arc(-0.42, -0.18 + drop / 2, drop / 2, drop / 2, 90, 270),
        ]
    )
    canvas.stroke(loop, pipe, appearance.main, _EDGE, closed=True)
    for valve in range(3):
        x = -0.24 + 0.20 * valve
        press = 0.05 * (1 + math.sin(1.9 * pose.idle + 2.1 * valve))
        canvas.stroke([(x, -0.55 + press), (x, -0.25)], 0.05, appearance.accent, 0.03)
        canvas.disc(x, -0.57 + press, 0.075, 0.04, colour=appearance.accent, edge=0.03)
        canvas.box(x - 0.06, -0.34, x + 0.06, 0.34, appearance.second, 0.03)
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
    canvas.fill(throat, appearance.main, _EDGE)
    canvas.disc(0.94, -0.18, 0.09, flare, colour=darker(appearance.main, 0.55), edge=_EDGE)
    canvas.stroke([(0.36, -0.21), (0.72, -0.26)], 0.035, lighter(appearance.main, 0.7), inside=True)
    canvas.fill([(-1.02, -0.28), (-0.88, -0.22), (-0.88, -0.14), (-1.02, -0.08)], appearance.second, 0.035)


_GLASS = (166, 206, 224)


def _wheel(canvas: Canvas, x: float, turn: float) -> None:
    canvas.disc(x, 0.44, 0.27, colour=(44, 42, 46), edge=0.03)
    canvas.disc(x, 0.44, 0.15, colour=(196, 200, 206), inside=True)
    for spoke in range(3):
        angle = turn + spoke * math.pi / 3
        dx, dy = 0.14 * math.cos(angle), 0.14 * math.sin(angle)
        canvas.stroke([(x - dx, 0.44 - dy), (x + dx, 0.44 + dy)], 0.035, (84, 84, 92), inside=True)


def car(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A saloon from the side, driving to the right."""
    roof = -0.50 - 0.14 * appearance.shape[0]
    back = -0.62 + 0.16 * appearance.shape[1]
    cabin = [
        (back - 0.14, -0.04),
        (back + 0.06, roof + 0.06),
        (back + 0.2, roof),
        (0.30, roof),
        (0.42, roof + 0.05),
        (0.66, -0.04),
    ]
    canvas.fill(cabin, appearance.main, _EDGE)
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
    canvas.fill(hull, appearance.main, _EDGE)
    canvas.fill(
        [(back + 0.0, -0.08), (back + 0.13, roof + 0.10), (-0.03, roof + 0.10), (-0.03, -0.08)],
        _GLASS,
        0.02,
        inside=True,
    )
    canvas.fill([(0.06, -0.08), (0.06, roof + 0.10), (0.30, roof + 0.10), (0.52, -0.08)], _GLASS, 0.02, inside=True)
    canvas.stroke([(back + 0.12, -0.14), (back + 0.28, roof + 0.14)], 0.04, (236, 246, 250), inside=True)
    canvas.stroke([(-1.0, 0.24), (1.02, 0.24)], 0.06, appearance.second, inside=True)
    canvas.stroke([(0.02, -0.06), (0.02, 0.36)], 0.025, darker(appearance.main, 0.6), inside=True)
    canvas.stroke([(0.12, 0.06), (0.26, 0.06)], 0.05, appearance.accent, inside=True)
    canvas.disc(1.0, 0.14, 0.085, 0.10, colour=(255, 240, 170), edge=0.025, inside=True)
    canvas.box(-1.06, 0.06, -0.96, 0.20, (220, 40, 36), inside=True)
    for x in (-0.58, 0.60):
        canvas.disc(x, 0.40, 0.33, 0.30, colour=darker(appearance.main, 0.75), inside=True)
        _wheel(canvas, x, 4.0 * pose.idle)


def robot(canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """A boxy robot from the front, antenna, two round eyes and a grille."""
    wide = 0.42 + 0.10 * appearance.shape[0]
    sway = 0.10 * math.sin(2.3 * pose.idle)
    canvas.stroke([(0, -0.70), (0, -0.92)], 0.06, appearance.second, 0.03)
    canvas.disc(0, -0.95, 0.10, colour=appearance.accent, edge=0.035)
    for side in (-1, 1):
        hand = (side * (wide + 0.36), 0.34 + side * sway)
        arm = [(side * wide, -0.02), (side * (wide + 0.26), 0.10), hand]
        canvas.stroke(arm, 0.13, appearance.second, _EDGE)
        canvas.disc(*hand, 0.12, colour=appearance.main, edge=_EDGE)
        canvas.box(side * 0.24 - 0.12, 0.58, side * 0.24 + 0.12, 0.86, appearance.second, _EDGE)
        canvas.box(side * 0.26 - 0.19, 0.82, side * 0.26 + 0.19, 0.96, appearance.main, _EDGE)
        canvas.box(side * 0.54 - 0.08, -0.52, side * 0.54 + 0.08, -0.28, appearance.second, _EDGE)
    canvas.box(-0.14, -0.2, 0.14, 0.0, appearance.second, _EDGE)
    canvas.box(-wide, -0.10, wide, 0.64, appearance.main, _EDGE)
    canvas.box(-0.30, 0.04, 0.30, 0.36, darker(appearance.main, 0.7), 0.02, inside=True)
    lamp = int(pose.idle * 1.5) % 3
    for number in range(3):
        colour = appearance.accent if number == lamp else darker(appearance.accent, 0.6)
        canvas.disc(-0.18 + 0.18 * number, 0.13, 0.06, colour=colour, inside=True)
    canvas.stroke([(-0.22, 0.28), (0.22, 0.28)], 0.05, lighter(appearance.main, 0.5), inside=True)
    for x in (-0.34, 0.34):
        canvas.disc(x * wide / 0.42, 0.52, 0.045, colour=darker(appearance.main, 0.6), inside=True)
    canvas.box(-0.52, -0.74, 0.52, -0.14, appearance.main, _EDGE)
    for side in (-1, 1):
        canvas.disc(side * 0.24, -0.50, 0.155, colour=INK, inside=True)
        canvas.disc(side * 0.24, -0.50, 0.115, colour=appearance.accent, inside=True)
        canvas.disc(side * 0.24 + 0.03, -0.53, 0.04, colour=(255, 255, 255), inside=True)
    canvas.fill(smooth([(-0.28, -0.30), (0.28, -0.30), (0.28, -0.20), (-0.28, -0.20)], 3), (40, 40, 46), inside=True)
    for x in (-0.16, -0.05, 0.06, 0.17):
        canvas.stroke([(x, -0.31), (x, -0.19)], 0.03, lighter(appearance.main, 0.6), inside=True)


_DRAWERS: dict[str, Callable[[Canvas, Appearance, Pose], None]] = {
    "bell": bell,
    "drum": drum,
    "bird": bird,
    "car": car,
    "phone": phone,
    "kettle": kettle,
    "trumpet": trumpet,
    "robot": robot,
    "clock": clock,
    "cat": cat,
}


def draw(category_id: int, canvas: Canvas, appearance: Appearance, pose: Pose) -> None:
    """Draw one object of a category into ``canvas``."""
    _DRAWERS[name_of(category_id)](canvas, appearance, pose)
