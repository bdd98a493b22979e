"""Run lengths: what is encoded comes back, and nothing invalid reaches C code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco

from avis_cli.errors import AnnotationError
from avis_cli.results import run_length

masks = arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12)))


def _runs(text: bytes) -> list[int] | None:
    """The runs that COCO's text spells, None if it spells none: the slow way, number by number."""
    runs: list[int] = []
    rest = list(text)
    while rest:
        number, shift = 0, 0
        while True:
            if not rest or not 48 <= rest[0] <= 111:
                return None
            digit = rest.pop(0) - 48
            number |= (digit & 31) << shift
            shift += 5
            if not digit & 32:
                break
        if digit & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
    return runs


def _is_valid(text: bytes, pixels: int) -> bool:
    runs = _runs(text)
    if not runs:
        return False
    return min(runs) >= 0 and sum(runs) == pixels and 0 not in runs[1:-1]


@given(masks)
def test_a_mask_survives_the_way_there_and_back(mask: np.ndarray) -> None:
    run = run_length.encode(mask)
    assert run["size"] == list(mask.shape)
    assert isinstance(run["counts"], str)
    assert np.array_equal(run_length.decode(run), mask)
    assert run_length.area(run) == mask.sum()


@given(masks)
def test_box_is_tight(mask: np.ndarray) -> None:
    x, y, width, height = run_length.bbox(run_length.encode(mask))
    if not mask.any():
        assert (width, height) == (0, 0)
        return
    outside = mask.copy()
    outside[y : y + height, x : x + width] = False
    assert not outside.any()
    box = mask[y : y + height, x : x + width]
    assert all(edge.any() for edge in (box[0], box[-1], box[:, 0], box[:, -1]))


@given(masks)
def test_uncompressed_runs_mean_the_same_mask(mask: np.ndarray) -> None:
    runs = _runs(run_length.encode(mask)["counts"].encode())
    assert np.array_equal(run_length.decode({"size": list(mask.shape), "counts": runs}), mask)


@st.composite
def _damaged(draw: st.DrawFn) -> tuple[bytes, int]:
    mask = draw(masks)
    text = bytearray(run_length.encode(mask)["counts"].encode())
    if draw(st.booleans()):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.one_of(st.integers(48, 111), st.integers(0, 255)))
    return bytes(text[: draw(st.one_of(st.just(len(text)), st.integers(0, len(text))))]), mask.size


@given(st.lists(_damaged(), min_size=1, max_size=6))
def test_many_at_once_are_judged_as_one_by_one(damaged: list[tuple[bytes, int]]) -> None:
    fault = run_length.first_fault([text for text, _ in damaged], [pixels for _, pixels in damaged])
    valid = [_is_valid(text, pixels) for text, pixels in damaged]
    if fault is None:
        assert all(valid)
    else:
        assert not valid[fault[0]]


def test_faults_are_found_beyond_the_first_batch() -> None:
    rng = np.random.default_rng(0)
    text = run_length.encode(rng.random((400, 400)) < 0.5)["counts"].encode()
    counts = [text] * 8
    assert run_length.first_fault(counts, [160000] * 8) is None
    counts[6] = text[:-1]
    fault = run_length.first_fault(counts, [160000] * 8)
    assert fault is not None
    assert fault[0] == 6


def test_the_all_zero_mask_may_be_spelt_in_two_ways() -> None:
    short = run_length.decode({"size": [720, 1280], "counts": "PPTl0"})
    assert short.shape == (720, 1280)
    assert not short.any()
    long = coco.frPyObjects({"size": [720, 1280], "counts": [921600, 0]}, 720, 1280)["counts"]
    assert long != b"PPTl0"
    assert not run_length.decode({"size": [720, 1280], "counts": long.decode()}).any()


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ({"size": [720, 1280], "counts": ""}, "empty"),
        ({"size": [720, 1280], "counts": "PPTl"}, "cut off"),
        ({"size": [720, 1280], "counts": "PPTl0\n"}, "not part of a run length"),
        ({"size": [720, 1280], "counts": "PPTl0é"}, "not part of a run length"),
        ({"size": [720, 1281], "counts": "PPTl0"}, "cover 921600 pixels, expected 922320"),
        ({"size": [720, 1280], "counts": "PPTl0O"}, "negative run"),
        ({"size": [720, 1280], "counts": "ooooooo0"}, "longer than any image"),
        ({"size": [1, 4], "counts": "1012"}, "length 0 between others"),
        ({"size": [1, 4], "counts": [1, 0, 1, 2]}, "length 0 between others"),
        ({"size": [1, 4], "counts": [1, -1, 4]}, "run 1 is -1"),
        ({"size": [1, 4], "counts": [1, 3.0]}, "run 1 is 3.0"),
        ({"size": [1, 4], "counts": [1, True, 2]}, "run 1 is True"),
        ({"size": [1, 4], "counts": [1, 2]}, "cover 3 pixels, expected 1 x 4"),
        ({"size": [1, 4], "counts": [2**70]}, "pixels, expected 1 x 4"),
        ({"size": [1, 4], "counts": []}, "cover 0 pixels"),
        ({"size": [720, 1280], "counts": "b'PPTl0'"}, "printed Python bytes"),
        ({"size": [720, 1280], "counts": 5}, "got 5"),
        ({"size": [720, 1280], "counts": None}, "got None"),
        ({"size": "720x1280", "counts": "0"}, "two integers"),
        ({"size": [720.0, 1280.0], "counts": "PPTl0"}, "two integers"),
        ({"size": [True, 1], "counts": "1"}, "two integers"),
        ({"size": [720], "counts": "0"}, "two integers"),
        ({"size": [0, 0], "counts": "0"}, "pixels"),
        ({"size": [-1, -4], "counts": "4"}, "pixels"),
        ({"size": [10**9, 10**9], "counts": "0"}, "pixels"),
        ({"size": [720, 1280]}, "expected a run length"),
        ({"counts": "0"}, "expected a run length"),
        (None, "expected a run length"),
        ([1, 2], "expected a run length"),
    ],
)
def test_what_is_no_run_length_is_refused_in_words(run: Any, words: str) -> None:
    for function in (run_length.decode, run_length.area, run_length.bbox):
        with pytest.raises(AnnotationError) as caught:
            function(run)
        assert words in str(caught.value)
        assert len(str(caught.value)) < 200


def test_many_at_once_are_as_one_by_one() -> None:
    random = np.random.default_rng(0)
    many = [run_length.encode(random.random((6, 8)) < index / 600) for index in range(600)]
    with_gaps = [None if index % 7 == 0 else run for index, run in enumerate(many)]
    assert list(run_length.areas(with_gaps)) == [None if run is None else run_length.area(run) for run in with_gaps]
    assert list(run_length.bboxes(with_gaps)) == [None if run is None else run_length.bbox(run) for run in with_gaps]
    assert list(run_length.areas([])) == []
    with pytest.raises(AnnotationError, match="counts"):
        list(run_length.areas([*many, {"size": [6, 8], "counts": "0"}]))


def test_whether_masks_overlap() -> None:
    top, bottom = np.zeros((4, 4), dtype=bool), np.zeros((4, 4), dtype=bool)
    top[:2], bottom[2:] = True, True
    assert not run_length.overlap([run_length.encode(top), run_length.encode(bottom)])
    bottom[1, 3] = True
    assert run_length.overlap([run_length.encode(top), run_length.encode(bottom)])
