"""How one instance looks: its colours, its proportions and its surface, drawn from its category's range."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.synth import name_of
from avis_cli.datasets.synth.canvas import Colour, lighter

SIZE = 96  # texels across the object box [-EXTENT, EXTENT]
EXTENT = 1.2


def _grain(rng: np.random.Generator, across: int, down: int) -> NDArray[np.float32]:
    """Smooth noise in -1..1 with ``across`` x ``down`` cells."""
    cells = rng.uniform(-1.0, 1.0, (down, across)).astype(np.float32)
    return np.asarray(cv2.resize(cells, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC))


def _grid() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    axis = np.linspace(-EXTENT, EXTENT, SIZE, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y


def _metal(rng: np.random.Generator) -> NDArray[np.float32]:
    # a polished curved surface: a bright band, a dark band beside it, a fainter reflection on the far side
    x, y = _grid()
    at = rng.uniform(-0.4, -0.2)
    shine = 0.65 * np.exp(-(((x - at) / 0.13) ** 2)) + 0.25 * np.exp(-(((x - at - 0.75) / 0.08) ** 2))
    return np.asarray(0.86 + shine - 0.28 * np.exp(-(((x - at - 0.35) / 0.25) ** 2)) - 0.08 * y, np.float32)


def _wood(rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = _grid()
    rings = np.sin((x * 17 + 1.4 * _grain(rng, 4, 3)) + 0.5 * np.sin(3 * y))
    return np.asarray(0.97 + 0.13 * rings - 0.08 * y, np.float32)


def _fur(rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = _grid()
    return np.asarray(1.0 + 0.22 * _grain(rng, 60, 18) - 0.10 * x - 0.12 * y, np.float32)


def _feather(rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = _grid()
    scales = np.abs(np.sin(11 * x + 3 * y)) * np.abs(np.sin(10 * y - 3 * x))
    return np.asarray(0.92 + 0.22 * scales + 0.06 * _grain(rng, 9, 9) - 0.10 * y, np.float32)


def _gloss(rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = _grid()
    spot = 0.45 * np.exp(-(((x + 0.3) / 0.35) ** 2) - ((y + 0.4) / 0.22) ** 2)
    return np.asarray(0.95 + spot - 0.20 * y + 0.03 * _grain(rng, 5, 5), np.float32)


def _brushed(rng: np.random.Generator) -> NDArray[np.float32]:
    x, y = _grid()
    return np.asarray(0.98 + 0.12 * _grain(rng, 6, 64) - 0.14 * x - 0.08 * y, np.float32)


_MAKERS = {"metal": _metal, "wood": _wood, "fur": _fur, "feather": _feather, "gloss": _gloss, "brushed": _brushed}


def texture(kind: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """(SIZE, SIZE) factors over the object box; ``kind`` is metal, wood, fur, feather, gloss or brushed."""
    return np.clip(_MAKERS[kind](rng), 0.45, 1.7)


@dataclass(frozen=True, eq=False)
class Appearance:
    """``shape``: proportions, each 0..1. ``surface``: light factors over the object box."""

    main: Colour
    second: Colour
    accent: Colour
    shape: tuple[float, float, float]
    surface: NDArray[np.float32]


@dataclass(frozen=True)
class Pose:
    """One moment of an object: ``idle`` is the phase of movements that have nothing to do with sound.

    ``beat``: -1..1, the movement of an object that shows that it sounds; 0 for every other.
    """

    idle: float
    beat: float = 0.0


_GOLD, _BRASS, _COPPER, _SILVER = (222, 176, 60), (190, 150, 62), (196, 112, 64), (186, 192, 202)
_RED, _BLUE, _GREEN, _TEAL = (200, 52, 48), (58, 100, 190), (70, 142, 70), (44, 150, 152)
_YELLOW, _PURPLE, _ORANGE, _PINK = (232, 196, 60), (128, 78, 168), (226, 130, 48), (222, 124, 150)
_WHITE, _BLACK, _GREY, _CREAM = (232, 232, 228), (60, 58, 66), (140, 142, 150), (228, 212, 176)
_BROWN, _DARK = (138, 92, 58), (86, 62, 48)

# category -> (main colours, second colours, accents, surfaces)
_RANGES: dict[str, tuple[list[Colour], list[Colour], list[Colour], list[str]]] = {
    "bell": ([_GOLD, _BRASS, _COPPER, _SILVER], [_BRASS, _COPPER, _GREY], [_BROWN, _GREY], ["metal"]),
    "drum": ([_RED, _BLUE, _GREEN, _PURPLE, _TEAL], [_GOLD, _SILVER, _WHITE], [_WHITE, _CREAM], ["wood", "gloss"]),
    "bird": ([_YELLOW, _BLUE, _RED, _TEAL, _BROWN], [_BLACK, _BROWN, _ORANGE, _GREY], [_ORANGE, _YELLOW], ["feather"]),
    "car": ([_RED, _BLUE, _GREEN, _YELLOW, _WHITE, _ORANGE], [_WHITE, _CREAM, _SILVER], [_SILVER], ["gloss"]),
    "phone": ([_RED, _BLACK, _GREEN, _CREAM, _TEAL], [_CREAM, _WHITE, _GOLD], [_SILVER, _GOLD], ["gloss"]),
    "kettle": ([_SILVER, _COPPER, _BLUE, _RED, _TEAL], [_BLACK, _BROWN, _GREY], [_BLACK, _BROWN], ["metal", "gloss"]),
    "trumpet": ([_GOLD, _BRASS, _SILVER, _COPPER], [_BRASS, _SILVER, _GOLD], [_WHITE, _CREAM], ["metal"]),
    "robot": ([_GREY, _SILVER, _TEAL, _ORANGE, _BLUE], [_BLACK, _GREY, _RED], [_YELLOW, _RED, _GREEN], ["brushed"]),
    "clock": ([_BROWN, _DARK, _RED, _GREEN, _BLUE], [_WHITE, _CREAM], [_GOLD, _BRASS], ["wood"]),
    "cat": ([_ORANGE, _GREY, _BLACK, _BROWN, _CREAM], [_WHITE, _CREAM, _GREY], [_GREEN, _YELLOW, _BLUE], ["fur"]),
}


def _pick(colours: list[Colour], rng: np.random.Generator) -> Colour:
    red, green, blue = colours[int(rng.integers(len(colours)))]
    shade = rng.uniform(0.82, 1.12)
    tint = rng.uniform(-14, 14, 3)
    tinted = np.clip(np.array([red, green, blue]) * shade + tint, 8, 248)
    r, g, b = (round(float(value)) for value in tinted)
    return (r, g, b)


def random_appearance(category_id: int, rng: np.random.Generator) -> Appearance:
    """An appearance inside the category's range."""
    mains, seconds, accents, surfaces = _RANGES[name_of(category_id)]
    main, second, accent = _pick(mains, rng), _pick(seconds, rng), _pick(accents, rng)
    if sum(abs(a - b) for a, b in zip(main, second, strict=True)) < 60:
        second = lighter(second, 0.45)
    shape = (float(rng.random()), float(rng.random()), float(rng.random()))
    return Appearance(main, second, accent, shape, texture(surfaces[int(rng.integers(len(surfaces)))], rng))
