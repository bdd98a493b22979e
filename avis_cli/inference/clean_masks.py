"""Masks without specks and pinholes: small pieces away from the object, and small holes in it.

Small is measured by the mask itself and by the picture, so that the same holds for any size of either.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MASK_SHARE = 0.05
"""Of the mask's pixels: what is smaller is a speck or a pinhole, if the picture says so too."""
PICTURE_SHARE = 0.001
"""Of the picture's pixels: 230 in 640x360. A piece that large is something to see, however large the mask is."""


def clean_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``mask`` (H, W) without its specks, and with its pinholes filled; ``mask`` itself where it has none.

    A speck is a piece, joined by edges or corners, and a pinhole what such pieces enclose, joined by edges, of fewer
    pixels than ``MASK_SHARE`` of the mask and ``PICTURE_SHARE`` of the picture. The largest piece stays whatever its
    size, and a gap that reaches the picture's edge is no hole.
    """
    pixels = np.ascontiguousarray(mask).view(np.uint8)
    left, top, width, height = cv2.boundingRect(pixels)
    if width == 0:
        return mask
    inside = np.s_[top : top + height, left : left + width]
    cut = mask[inside]
    limit = min(MASK_SHARE * int(np.count_nonzero(cut)), PICTURE_SHARE * mask.size)
    filled = _without_small_pieces(cut, limit, connectivity=8, keep_largest=True)
    # with a rim all that is outside is one piece, which the box's own edges do not cut apart
    around = np.pad(~filled, 1, constant_values=True)
    outside = _without_small_pieces(around, limit, connectivity=4, keep_rim=True)[1:-1, 1:-1]
    cleaned = ~outside
    if np.array_equal(cleaned, cut):
        return mask
    whole = np.zeros_like(mask)
    whole[inside] = cleaned
    return whole


def _without_small_pieces(
    mask: NDArray[np.bool_], limit: float, *, connectivity: int, keep_largest: bool = False, keep_rim: bool = False
) -> NDArray[np.bool_]:
    """``mask`` without its pieces of fewer than ``limit`` pixels; the largest, or that at the corner, always stays."""
    _, pieces, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
    sizes = np.asarray(stats)[:, cv2.CC_STAT_AREA]
    stays = sizes >= limit
    stays[0] = False  # what is not in the mask
    if keep_largest:
        stays[1 + int(np.argmax(sizes[1:]))] = True
    if keep_rim:
        stays[pieces[0, 0]] = True
    kept: NDArray[np.bool_] = stays[pieces]
    return kept
