"""What is taken out of a mask and what stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from avis_cli.inference.clean_masks import MASK_SHARE, PICTURE_SHARE, clean_mask

SIZE = (180, 320)  # of which 0.1 % are 57.6 pixels
CORNERS = np.ones((3, 3))


def boxes(*boxes: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> NDArray[np.bool_]:
    """True in each of left, top, right, bottom."""
    mask = np.zeros(size, dtype=bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] = True
    return mask


OBJECT = (100, 50, 160, 110)  # 3600 pixels, of which 5 % are 180


def test_a_speck_goes_and_a_piece_that_is_no_speck_stays() -> None:
    object_ = boxes(OBJECT)
    assert np.array_equal(clean_mask(boxes(OBJECT, (10, 10, 17, 18))), object_)  # 56 pixels
    both = boxes(OBJECT, (10, 10, 17, 19))  # 63
    assert clean_mask(both) is both


def test_a_pinhole_is_filled_and_a_hole_stays() -> None:
    mask = boxes(OBJECT)
    mask[70:77, 120:128] = False  # 56 pixels
    assert np.array_equal(clean_mask(mask), boxes(OBJECT))
    mask[77, 120:128] = False  # 64
    assert clean_mask(mask) is mask


def test_what_is_as_large_as_the_limit_is_not_under_it() -> None:
    mask = boxes(OBJECT, (10, 10, 20, 20), size=(200, 500))  # 0.1 % are 100 pixels
    assert clean_mask(mask) is mask
    mask[10, 10] = False
    assert np.array_equal(clean_mask(mask), boxes(OBJECT, size=(200, 500)))


def test_of_a_small_object_only_what_is_small_beside_it_goes() -> None:
    mask = boxes((100, 50, 120, 70), (10, 10, 15, 15))  # 400 pixels and 25: more than 5 % of 425
    assert clean_mask(mask) is mask
    assert np.array_equal(clean_mask(boxes((100, 50, 120, 70), (10, 10, 14, 15))), boxes((100, 50, 120, 70)))


def test_the_largest_piece_stays_however_small() -> None:
    for mask in (boxes((3, 3, 4, 4)), boxes(*[(x, 5, x + 2, 7) for x in range(0, 300, 5)])):
        kept = clean_mask(mask)
        assert kept.any()
        assert ndimage.label(kept, CORNERS)[1] == 1 or kept is mask


def test_a_gap_at_the_edge_of_the_picture_is_no_hole() -> None:
    mask = boxes((0, 0, 60, 60))
    mask[0:4, 20:24] = False
    mask[30:34, 0:4] = False
    assert clean_mask(mask) is mask


def test_a_gap_between_corners_is_closed() -> None:
    mask = boxes(OBJECT)
    mask[70:72, 120:122] = mask[72:74, 122:124] = False  # two holes that touch at a corner
    assert np.array_equal(clean_mask(mask), boxes(OBJECT))


def test_what_stands_in_a_pinhole_does_not_become_a_hole() -> None:
    mask = boxes((0, 0, 100, 100))
    mask[40:47, 40:47] = False
    mask[43, 43] = True
    assert np.array_equal(clean_mask(mask), boxes((0, 0, 100, 100)))


def test_an_empty_mask_and_a_full_one_stay() -> None:
    for mask in (np.zeros(SIZE, dtype=bool), np.ones(SIZE, dtype=bool)):
        assert clean_mask(mask) is mask


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.02, 0.98), st.integers(1, 6), st.integers(1, 60), st.integers(1, 60))
def test_every_piece_and_hole_is_as_the_rule_says(seed: int, share: float, cell: int, height: int, width: int) -> None:
    cells = np.random.default_rng(seed).random((height, width)) < share
    mask = np.kron(cells, np.ones((cell, cell))).astype(bool)
    before = mask.copy()
    kept = clean_mask(mask)
    assert np.array_equal(mask, before)
    limit = min(MASK_SHARE * mask.sum(), PICTURE_SHARE * mask.size)
    pieces, count = ndimage.label(mask, CORNERS)
    sizes = np.bincount(pieces.ravel())[1:]
    for number, size in enumerate(sizes, start=1):
        if size >= limit:
            assert kept[pieces == number].all()
    if count:
        assert kept.any()
    left = np.bincount(ndimage.label(kept, CORNERS)[0].ravel())[1:]
    assert (left >= min(limit, sizes.max(initial=0))).all()
    holes = ndimage.label(np.pad(~kept, 1, constant_values=True))[0]
    sizes = np.bincount(holes.ravel())
    for number in range(1, len(sizes)):
        assert number == holes[0, 0] or sizes[number] >= limit


@pytest.mark.parametrize("size", [(360, 640), (720, 1280)])
def test_the_same_scene_at_another_size_is_cleaned_alike(size: tuple[int, int]) -> None:
    scale = size[0] // 180
    mask = boxes(OBJECT, (10, 10, 17, 18))
    mask[70:77, 120:128] = False
    large = np.kron(mask, np.ones((scale, scale))).astype(bool)
    assert np.array_equal(clean_mask(large)[::scale, ::scale], clean_mask(mask))
