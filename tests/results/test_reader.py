"""Any result is found out and read, from wherever it comes."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import avis_cli
from avis_cli.errors import AnnotationError
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.frame import FrameResult
from avis_cli.results.reader import read_result
from avis_cli.results.semantic import ClassMap, SemanticResult
from avis_cli.results.source import ModelInfo, Source

MASK = run_length.encode(np.eye(6, 8, dtype=bool))
SOURCE = Source("clip.mp4", 8, 6, 0, 1.0, "25/1", None)
MODEL = ModelInfo("m", "m", None, 0.3, "fp32", 1.0, "video")
CLIP = ClipResult(SOURCE, MODEL, ((1, "dog"),), (0.0,), (Track(1, 1, "dog", 0.5, [MASK], [(0, 1)]),))
MAPS = SemanticResult(SOURCE, MODEL, ((1, "dog"),), (0.0,), (ClassMap(1, "dog", [MASK]),))
FRAME = FrameResult(1.5, ())


@pytest.mark.parametrize("result", [CLIP, MAPS, FRAME], ids=lambda result: type(result).__name__)
def test_from_text_values_and_files(tmp_path: Path, result: Any) -> None:
    path = tmp_path / "result.json"
    path.write_text(result.to_json(), encoding="utf-8")
    packed = tmp_path / "result.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for source in (path, str(path), packed, result.to_json(), result.to_dict(), json.loads(result.to_json())):
        again = read_result(source)
        assert type(again) is type(result)
        assert again == result


def test_the_package_has_it(tmp_path: Path) -> None:
    assert avis_cli.read_result(CLIP.to_dict()) == CLIP


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({}, "format is missing"),
        ({"format": "coco"}, 'format is "coco", expected "avis-tracks" or "avis-maps"'),
        ("{", "not JSON"),
        ({"v": 2}, "latency_ms is missing"),
        ({**FRAME.to_dict(), "v": 2}, "v is 2, expected 1"),
        ({**CLIP.to_dict(), "format": "avis-maps"}, "maps is missing"),
        ({**CLIP.to_dict(), "times": (0.0,)}, "times is .*, expected a list"),
        ({**CLIP.to_dict(), "times": [float("nan")]}, "times\\[0\\] is NaN"),
    ],
)
def test_what_is_no_result_is_refused(source: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        read_result(source)


def test_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(AnnotationError, match="the document is a list") as caught:
        read_result(tmp_path / "list.json")
    assert caught.value.file == str(tmp_path / "list.json")


def test_long_results_are_read_in_bulk() -> None:
    """The check of one run length costs as much as that of a hundred: 2000 masks at once, not one by one."""
    image = np.zeros((72, 128), dtype=bool)
    masks = []
    for index in range(2000):
        image[:] = False
        image[index % 50 : index % 50 + 20, 10 : 40 + index % 80] = True
        masks.append(run_length.encode(image))
    source = Source("clip.mp4", 128, 72, 0, 80.0, "25/1", None)
    times = tuple(index / 25 for index in range(2000))
    result = ClipResult(source, MODEL, ((1, "dog"),), times, (Track(1, 1, "dog", 0.5, masks),))
    text = result.to_json()
    began = time.process_time()
    assert read_result(text) == result
    in_bulk = time.process_time() - began
    began = time.process_time()
    for mask in masks[:200]:
        run_length.checked(mask)
    assert in_bulk < 10 * (time.process_time() - began)
