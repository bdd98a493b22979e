"""Surface textures: how light an object is at each of its own points, as a factor around 1."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

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
