"""Colours that tell tracks apart, also for people who see red or green less; and text that is readable on them.

The first seven are the palette of Okabe and Ito ("Color Universal Design", 2008) without black. Every further one is
the candidate farthest from all before it, as people with normal vision, protanopia and deuteranopia see them.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

MAX_TRACKS = 255  # what a byte per pixel can name beside the background

Colour = tuple[int, int, int]  # RGB, 0..255

# sky blue, orange, bluish green, reddish purple, yellow, vermillion, blue
OKABE_ITO: tuple[Colour, ...] = (
    (86, 180, 233),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)

# linear RGB as dichromats see it: Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of
# color vision deficiency", IEEE TVCG 2009, severity 1.0
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
VISIONS = (np.eye(3), PROTANOPIA, DEUTERANOPIA)

_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = _TO_XYZ.sum(axis=1)  # D65
_LIGHTNESS = (38.0, 93.0)  # L* of a candidate: darker or lighter ones vanish in shadow and sky


@lru_cache(maxsize=1)
def track_colours() -> NDArray[np.uint8]:
    """All colours of the default palette, uint8 (MAX_TRACKS, 3): row n is track n + 1."""
    levels = np.linspace(0, 255, 12).round()
    candidates = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness = to_lab(candidates, VISIONS[0])[:, 0]
    candidates = candidates[(lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])]
    colours = [np.array(colour, dtype=np.float64) for colour in OKABE_ITO]
    nearest = np.full(len(candidates), np.inf)
    seen = [to_lab(candidates, vision) for vision in VISIONS]
    for index in range(MAX_TRACKS):
        if index == len(colours):
            colours.append(candidates[np.argmax(nearest)])
        for vision, views in zip(VISIONS, seen, strict=True):
            away = np.linalg.norm(views - to_lab(colours[index][None], vision), axis=1)
            nearest = np.minimum(nearest, away)
    return np.array(colours, dtype=np.uint8)


def text_colour(background: Colour) -> Colour:
    """Near black or white, whichever stands out more on ``background`` (WCAG 2 contrast ratio)."""
    luminance = float(_linear(np.array(background, dtype=np.float64)) @ _TO_XYZ[1])
    dark, light = (17, 17, 20), (255, 255, 255)
    return dark if (luminance + 0.05) / 0.055 >= 1.05 / (luminance + 0.05) else light


def to_lab(colours: NDArray[np.float64], vision: NDArray[np.float64]) -> NDArray[np.float64]:
    """RGB 0..255 (N, 3) -> CIE L*a*b* (N, 3) as seen through ``vision``, a matrix on linear RGB."""
    xyz = np.clip(_linear(colours) @ vision.T, 0, 1) @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def _linear(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB 0..255 -> linear light 0..1."""
    unit = colours / 255
    return np.where(unit <= 0.04045, unit / 12.92, ((unit + 0.055) / 1.055) ** 2.4)
