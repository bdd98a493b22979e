"""Which way up: a file's display matrix, reduced to one of the eight ways a picture can be laid down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """What makes a coded picture upright: a horizontal flip if ``mirrored``, then ``rotation`` degrees clockwise."""

    rotation: int = 0
    mirrored: bool = False

    @property
    def transposed(self) -> bool:
        """Whether width and height change places."""
        return self.rotation in (90, 270)

    def upright(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w, 3) as coded -> (H, W, 3) as shown."""
        if self.mirrored:
            image = image[:, ::-1]
        if self.rotation:
            image = np.rot90(image, k=-self.rotation // 90)
        return np.ascontiguousarray(image)


# (axes swapped, then flipped left-right, then flipped top-bottom) -> the same as a flip and a rotation
_NAMED = {
    (False, False, False): Orientation(0),
    (False, True, True): Orientation(180),
    (False, True, False): Orientation(0, mirrored=True),
    (False, False, True): Orientation(180, mirrored=True),
    (True, True, False): Orientation(90),
    (True, False, True): Orientation(270),
    (True, False, False): Orientation(270, mirrored=True),
    (True, True, True): Orientation(90, mirrored=True),
}


def from_display_matrix(matrix: bytes) -> tuple[Orientation, bool]:
    """The nearest of the eight orientations to a display matrix, and whether the matrix is exactly that one.

    ``matrix`` is nine native 32-bit integers a b u c d v x y w as in the ISO file format (16.16 fixed point): a coded
    point (p, q) is shown at (a p + c q + x, b p + d q + y). Anything else than nine integers is no matrix: upright.
    """
    if len(matrix) < 36:
        return Orientation(), True
    a, b, _, c, d, _, _, _, _ = (int(value) for value in np.frombuffer(matrix[:36], np.int32))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _NAMED[False, a < 0, d < 0], b == 0 and c == 0
    return _NAMED[True, c < 0, b < 0], a == 0 and d == 0
