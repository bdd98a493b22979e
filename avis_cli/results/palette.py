"""Colours that stand for classes in label images: those of PASCAL VOC, which AVSBench and others use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COUNT = 256


def voc_palette() -> NDArray[np.uint8]:
    """The colours of the 256 indices, uint8 (256, 3): the bits of an index from the low end go to red, green and blue
    in turn, each colour's first at its highest bit."""
    index = np.arange(COUNT)
    palette = np.zeros((COUNT, 3), np.uint8)
    for place in range(8):
        for channel in range(3):
            bit = index >> (3 * place + channel) & 1
            palette[:, channel] |= (bit << (7 - place)).astype(np.uint8)
    return palette


def to_classes(image: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """An image in the first ``classes`` colours (H, W, 3) -> indices (H, W), -1 where a colour is none of them."""
    numbers = _as_numbers(image.astype(np.int64))
    known = _as_numbers(voc_palette()[:classes].astype(np.int64))
    order = np.argsort(known)
    places = np.minimum(np.searchsorted(known[order], numbers), classes - 1)
    found = order[places]
    return np.where(known[found] == numbers, found, -1)


def _as_numbers(colours: NDArray[np.int64]) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = colours @ np.array([65_536, 256, 1])
    return numbers
