"""What is done to the picture around the objects: blurred, muted or darkened.

The blur is made on a small copy, where it costs next to nothing, and enlarged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

_SHORT_SIDE = 90  # pixels of the small copy, the picture's own if it has fewer
# standard deviations in pixels of the small copy
_BLUR = 1.8  # 2 % of the picture's short side
_MUTE_BLUR = 0.9  # one still sees what it is that makes no sound
_FEATHER = 1.2
_MUTE_LIGHT = 0.45  # what is left of the brightness
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # luma of RGB, ITU-R BT.601
# Weight of a small pixel that holds a part of an object: enough to give a colour where there is nothing but objects,
# too little for the object's own to leak out as a halo.
_OBJECT_WEIGHT = 1e-3


class Effect(Protocol):
    """Something done to a picture in place, uint8 RGB (H, W, 3)."""

    def onto(self, image: NDArray[np.uint8]) -> None: ...


@dataclass(frozen=True, eq=False)
class Blur:
    """Blurs, or mutes, what is outside the objects.

    ``outside``: uint8 (H, W), 0 at objects; ``share``, ``weight``: float32 (h, w) of the small copy, how much each of
    its pixels counts before the blur, and the sum of that in the blur; ``strength``: opacity, 0 to 1.
    """

    outside: NDArray[np.uint8]
    share: NDArray[np.float32]
    weight: NDArray[np.float32]
    strength: float
    muted: bool

    @classmethod
    def around(cls, where: NDArray[np.uint8], strength: float, *, muted: bool) -> Blur:
        """``where``: uint8 (H, W), 1 at objects."""
        outside = 1 - where
        cells = cv2.resize(outside.astype(np.float32), _small_size(where.shape), interpolation=cv2.INTER_AREA)
        share = np.where(cells > 0.999, np.float32(1), np.float32(_OBJECT_WEIGHT))
        return cls(outside, share, _blurred(share, _sigma(muted)), strength, muted)

    def onto(self, image: NDArray[np.uint8]) -> None:
        height, width = self.outside.shape
        small = cv2.resize(image, self.share.shape[::-1], interpolation=cv2.INTER_AREA)
        soft = _blurred(small * self.share[..., None], _sigma(self.muted)) / self.weight[..., None]
        if self.muted:
            soft = np.repeat(soft @ (_GREY * _MUTE_LIGHT)[:, None], 3, axis=2)
        large = cv2.resize(np.rint(soft).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
        if self.strength < 1:
            large = cv2.addWeighted(image, 1 - self.strength, large, self.strength, 0)
        cv2.copyTo(large, self.outside, image)


@dataclass(frozen=True, eq=False)
class Spotlight:
    """Darkens what is outside the objects, softly at their edges. ``keep``: uint8 (H, W, 3), what stays, of 255."""

    keep: NDArray[np.uint8]

    @classmethod
    def around(cls, where: NDArray[np.uint8], strength: float) -> Spotlight:
        """``where``: uint8 (H, W), 1 at objects; ``strength``: how dark, 0 to 1."""
        height, width = where.shape
        lit = where * np.uint8(255)
        small = cv2.resize(lit, _small_size(where.shape), interpolation=cv2.INTER_AREA)
        glow = _blurred(cv2.dilate(small, np.ones((5, 5), dtype=np.uint8)), _FEATHER)
        lit = np.maximum(lit, cv2.resize(glow, (width, height), interpolation=cv2.INTER_LINEAR))
        keep = cv2.convertScaleAbs(lit, alpha=strength, beta=255 * (1 - strength))
        return cls(np.asarray(cv2.merge([keep, keep, keep]), dtype=np.uint8))

    def onto(self, image: NDArray[np.uint8]) -> None:
        cv2.multiply(image, self.keep, dst=image, scale=1 / 255)


def _sigma(muted: bool) -> float:
    return _MUTE_BLUR if muted else _BLUR


def _small_size(shape: tuple[int, ...]) -> tuple[int, int]:
    """(width, height) of the small copy of a picture (H, W)."""
    step = max(1.0, min(shape[:2]) / _SHORT_SIDE)
    return max(1, round(shape[1] / step)), max(1, round(shape[0] / step))


def _blurred(image: NDArray[Any], sigma: float) -> NDArray[Any]:
    """``image`` after a Gaussian of ``sigma`` pixels; its shape and type are the same."""
    return cv2.GaussianBlur(image, (0, 0), sigma)
