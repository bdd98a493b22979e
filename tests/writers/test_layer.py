"""A layer laid over a picture looks like its areas and lines drawn into it one by one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avis_cli.writers.layer import Area, Layer

SIZE = (120, 160)
RED, BLUE = (230, 25, 75), (0, 130, 200)


def disc(x: int, y: int, radius: int, colour: tuple[int, int, int]) -> Area:
    side = 2 * radius + 1
    mask = np.zeros((side, side), np.uint8)
    cv2.circle(mask, (radius, radius), radius, 1, -1)
    return Area(mask, x - radius, y - radius, colour)


def picture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), dtype=np.uint8)


def whole(area: Area) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, dtype=bool)
    height, width = area.mask.shape
    mask[area.top : area.top + height, area.left : area.left + width] = area.mask
    return mask


def test_areas_are_mixed_with_what_is_below_and_the_last_is_on_top() -> None:
    areas = [disc(60, 60, 30, RED), disc(90, 60, 30, BLUE)]
    below = picture()
    expected = below.astype(float)
    red, blue = whole(areas[0]), whole(areas[1])
    expected[red & ~blue] = 0.6 * below[red & ~blue] + 0.4 * np.array(RED)
    expected[blue] = 0.6 * below[blue] + 0.4 * np.array(BLUE)
    layer = Layer.of(areas, SIZE, 1.0, fill=0.4, line=0)
    assert layer is not None
    layer.onto(below)
    assert np.abs(below - expected).max() <= 2


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("line", [1.0, 0.5])
def test_lines_are_as_drawn_into_the_picture(scale: float, line: float) -> None:
    """One outline, drawn into the picture itself as a witness."""
    area = disc(80, 60, 35, RED)
    below, drawn = picture(), picture()
    contour = cv2.findContours(whole(area).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    thick = max(1, round(2 * scale))
    if thick > 1:
        cv2.polylines(drawn, contour, True, (13, 15, 20), thick + 2, cv2.LINE_AA)
    cv2.polylines(drawn, contour, True, RED, thick, cv2.LINE_AA)
    drawn = np.asarray(cv2.addWeighted(below, 1 - line, drawn, line, 0), dtype=np.uint8)
    before = below.copy()
    layer = Layer.of([area], SIZE, scale, fill=0, line=line)
    assert layer is not None
    layer.onto(below)
    touched, wanted = (before != below).any(2), (before != drawn).any(2)
    near = cv2.dilate(wanted.view(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert not (touched & ~near).any()
    # the layer's line is smoothed, so it differs by parts of a pixel; what it covers and its colours agree
    assert touched.sum() == pytest.approx(wanted.sum(), rel=0.1)
    assert np.abs(below[wanted].mean(0) - drawn[wanted].mean(0)).max() < 8


def test_nothing_to_see_is_no_layer() -> None:
    assert Layer.of([], SIZE, 1.0, fill=0.5, line=1) is None
    assert Layer.of([disc(50, 50, 9, RED)], SIZE, 1.0, fill=0, line=0) is None


def test_areas_at_the_borders_stay_inside() -> None:
    for x, y in ((10, 10), (149, 10), (10, 109), (149, 109)):
        below, before = picture(), picture()
        layer = Layer.of([disc(x, y, 10, BLUE)], SIZE, 1.0, fill=1.0, line=1.0)
        assert layer is not None
        layer.onto(below)
        assert tuple(below[y, x]) == BLUE
        far = np.ones(SIZE, dtype=bool)
        far[max(0, y - 16) : y + 17, max(0, x - 16) : x + 17] = False
        assert (below[far] == before[far]).all()
