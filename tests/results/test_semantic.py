"""SemanticResult: class maps, and their JSON both ways."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damaged_json import ANYTHING, put_anywhere
from hypothesis import given
from hypothesis import strategies as st

from avis_cli.errors import AnnotationError
from avis_cli.results import run_length
from avis_cli.results.semantic import ClassMap, SemanticResult
from avis_cli.results.source import ModelInfo, Source, SourceAudio

HEIGHT, WIDTH = 6, 8


def mask(*rows: int) -> run_length.RunLength:
    image = np.zeros((HEIGHT, WIDTH), dtype=bool)
    image[list(rows)] = True
    return run_length.encode(image)


def example(**changes: Any) -> SemanticResult:
    fields: dict[str, Any] = {
        "source": Source("clip.mp4", WIDTH, HEIGHT, 90, 2.5, "30000/1001", SourceAudio(44100, 2), decode_failures=1),
        "model": ModelInfo("tpavi", "tpavi-tiny", "ab" * 32, 0.5, "fp32", 1.0, 1.0),
        "categories": ((1, "person"), (7, "dog")),
        "times": (0.0, 1.0, 2.0),
        "maps": (ClassMap(1, "person", [mask(0, 1), None, mask(5)]), ClassMap(7, "dog", [mask(2), None, mask(1)])),
    }
    return SemanticResult(**{**fields, **changes})


def test_json_has_the_layout_that_scripts_rely_on() -> None:
    document = json.loads(example().to_json())
    assert list(document) == ["format", "version", "tool", "source", "model", "categories", "times", "maps"]
    assert (document["format"], document["version"]) == ("avis-maps", 1)
    assert document["categories"] == [{"id": 1, "name": "person"}, {"id": 7, "name": "dog"}]
    assert document["maps"][0] == {
        "category_id": 1,
        "category": "person",
        "segmentations": [mask(0, 1), None, mask(5)],
        "areas": [16, None, 8],
    }
    assert list(document["maps"][0]) == ["category_id", "category", "segmentations", "areas"]


def test_json_round_trip(tmp_path: Path) -> None:
    result = example()
    again = SemanticResult.from_json(result.to_json())
    assert again == result
    assert again.to_json() == result.to_json()
    (tmp_path / "maps.json").write_text(result.to_json(), encoding="ascii")
    assert SemanticResult.read(tmp_path / "maps.json") == result
    with_options = example(options={"threshold": 0.5, "gate": None})
    assert list(with_options.to_dict())[4:6] == ["model", "options"]
    assert SemanticResult.from_json(with_options.to_json()) == with_options
    nothing = example(times=(), maps=())
    assert SemanticResult.from_json(nothing.to_json()) == nothing


@given(st.data(), st.lists(st.floats(0, 1e6), unique=True, min_size=1, max_size=4).map(sorted), st.text())
def test_any_maps_round_trip(data: st.DataObject, times: list[float], name: str) -> None:
    of_class = st.lists(st.integers(0, 2), min_size=HEIGHT, max_size=HEIGHT)
    frames = [np.repeat(np.array(data.draw(of_class))[:, None], WIDTH, axis=1) for _ in times]
    maps = [
        ClassMap(id, name, [run_length.encode(frame == id) if (frame == id).any() else None for frame in frames])
        for id in (1, 2)
        if any((frame == id).any() for frame in frames)
    ]
    result = example(categories=((1, name), (2, name)), times=times, maps=maps)
    again = SemanticResult.from_json(result.to_json())
    assert again == result
    for index, frame in enumerate(frames):
        assert again.frame(index).tolist() == frame.tolist()


def test_a_pixel_is_the_id_of_its_class() -> None:
    labels = example().frame(0)
    assert (labels.shape, labels.dtype) == ((HEIGHT, WIDTH), np.int32)
    assert labels[:, 0].tolist() == [1, 1, 7, 0, 0, 0]
    assert not example().frame(1).any()
    assert example().frame(-1).tolist() == example().frame(2).tolist()
    with pytest.raises(IndexError, match="mask frame 3, expected one of the 3 from 0 to 2"):
        example().frame(3)


def test_in_short() -> None:
    assert repr(example()) == "<SemanticResult of clip.mp4, 2 classes, 3 mask frames: person, dog>"
    assert repr(example().maps[1]) == "<ClassMap 7: dog, 2 of 3 masks>"
    assert "<td>7</td><td>dog</td><td>2</td>" in example()._repr_html_()


def test_a_map_needs_one_mask_per_mask_frame() -> None:
    with pytest.raises(ValueError, match="map 1 has 1 masks for 3 mask frames"):
        example(maps=[ClassMap(1, "person", [None])])


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "avis-tracks", 'format is "avis-tracks", expected "avis-maps"'),
        ("version", 2, "version is 2, expected 1"),
        ("tool", None, "tool is null"),
        ("source.width", 0, "source.width is 0"),
        ("source.duration", 1e15, "source.duration is"),
        ("model.threshold", 1.5, "model.threshold is 1.5"),
        ("categories.0.id", 0, "categories[0].id is 0"),
        ("categories.0.id", 2**31, "categories[0].id is 2147483648"),
        ("times.1", 0.0, "times[1] is 0.0"),
        ("times.2", 1e15, "times[2] is"),
        ("maps", {}, "maps is an object"),
        ("maps.0.category_id", 2, "maps[0].category_id is 2"),
        ("maps.0.category", "cat", 'maps[0].category is "cat"'),
        ("maps.1.category_id", 1, 'maps[1].category is "dog"'),
        ("maps.0.segmentations", [None], "maps[0].segmentations is a list of 1 elements, expected 3"),
        ("maps.0.segmentations.0.size", [8, 6], "maps[0].segmentations[0].size is [8, 6]"),
        ("maps.0.segmentations.2.counts", "0" * 99, "maps[0].segmentations[2]: counts"),
        ("maps.0.areas.1", 0, "maps[0].areas[1] is 0, expected null"),
        ("maps.0.areas.0", 15, "maps[0].areas[0] is 15, expected 16"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: Any, message: str) -> None:
    document: Any = json.loads(example().to_json())
    place = document
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(AnnotationError) as caught:
        SemanticResult.from_json(json.dumps(document), file="maps.json")
    assert str(caught.value).startswith(f"maps.json: {message}")


def test_classes_come_in_order_each_once() -> None:
    document = example().to_dict()
    document["maps"].reverse()
    with pytest.raises(AnnotationError, match=r"maps\[1\].category_id is 1, expected more than 7"):
        SemanticResult.from_json(json.dumps(document))


def test_a_pixel_of_two_classes_is_refused() -> None:
    both = example(maps=[ClassMap(1, "person", [None, mask(3, 4), None]), ClassMap(7, "dog", [None, mask(4), None])])
    with pytest.raises(AnnotationError, match="maps is not apart in mask frame 1, expected each pixel in one"):
        SemanticResult.from_json(both.to_json())


@given(ANYTHING, st.data())
def test_no_value_anywhere_escapes_as_another_error(value: Any, data: st.DataObject) -> None:
    document: Any = json.loads(example().to_json())
    put_anywhere(document, value, data)
    try:
        result = SemanticResult.from_json(json.dumps(document))
    except AnnotationError:
        return
    assert SemanticResult.from_json(result.to_json()) == result
