"""FrameResult: one moment of a live source, and its line of JSON both ways."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from damaged_json import ANYTHING, put_anywhere
from hypothesis import given
from hypothesis import strategies as st

from avis_cli.errors import AnnotationError
from avis_cli.results import run_length
from avis_cli.results.frame import FrameResult, FrameTrack, Latency

MASK = run_length.encode(np.pad(np.ones((2, 3), dtype=bool), ((1, 3), (2, 3))))


def example(**changes: Any) -> FrameResult:
    fields: dict[str, Any] = {
        "time": 12.5,
        "index": 375,
        "wall": 1.7e9,
        "latency": Latency(4.0, 1.5, 20.25, 26.0),
        "dropped": 2,
        "tracks": (
            FrameTrack(3, 7, "dog", 0.75, True, MASK),
            FrameTrack(4, 1, "person", 0.5, False),
        ),
    }
    return FrameResult(**{**fields, **changes})


def test_a_line_has_the_keys_that_readers_rely_on() -> None:
    line = example().to_json()
    assert "\n" not in line
    document = json.loads(line)
    assert list(document) == ["v", "t", "wall", "frame", "latency_ms", "dropped", "tracks"]
    assert document["latency_ms"] == {"capture": 4.0, "queue": 1.5, "model": 20.25, "total": 26.0}
    assert document["tracks"][0] == {
        "id": 3, "category_id": 7, "label": "dog", "score": 0.75, "sounding": True, "box": [2, 1, 3, 2], "rle": MASK,
    }  # fmt: skip
    assert document["tracks"][1]["box"] is None
    assert document["tracks"][1]["rle"] is None


def test_without_masks_the_boxes_stay() -> None:
    line = example().to_json(with_masks=False)
    assert "rle" not in line
    again = FrameResult.from_json(line)
    assert again.tracks[0].box == (2, 1, 3, 2)
    assert again.tracks[0].mask is None
    assert again == replace(example(), tracks=tuple(replace(track, mask=None) for track in example().tracks))


def test_json_round_trip() -> None:
    assert FrameResult.from_json(example().to_json()) == example()
    plain = FrameResult(0, ())
    assert FrameResult.from_json(plain.to_json()) == plain


@given(
    st.floats(-1e9, 1e9),
    st.none() | st.floats(0, 1e11),
    st.lists(st.tuples(st.text(), st.floats(0, 1), st.booleans(), st.none() | st.just(MASK)), max_size=3),
)
def test_any_moment_round_trips(time: float, wall: float | None, found: list[Any]) -> None:
    tracks = [FrameTrack(id, 0, *values) for id, values in enumerate(found, start=1)]
    result = example(time=time, wall=wall, tracks=tracks)
    assert FrameResult.from_json(result.to_json()) == result


def test_numbers_of_array_libraries_become_plain_ones() -> None:
    track = FrameTrack(1, 1, "dog", np.float32(0.5), np.bool_(True), box=np.array([1, 2, 3, 4]))  # type: ignore[arg-type]
    result = example(time=np.float64(1), tracks=[track], latency=Latency(*np.zeros(4)))
    assert FrameResult.from_json(result.to_json()) == result


def test_in_short() -> None:
    assert repr(example()) == "<FrameResult at 12.5 s: dog 0.75, person 0.50>"
    assert repr(example(tracks=())) == "<FrameResult at 12.5 s: no tracks>"
    assert repr(example().tracks[0]) == "<FrameTrack 3: dog, score 0.75, sounding, box [2, 1, 3, 2]>"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("v", 2, "v is 2, expected 1"),
        ("v", True, "v is true"),
        ("t", "1", 't is "1"'),
        ("t", 1e15, "t is 1000000000000000.0"),
        ("wall", -1, "wall is -1"),
        ("frame", 1.5, "frame is 1.5"),
        ("dropped", -1, "dropped is -1"),
        ("latency_ms", 3, "latency_ms is 3"),
        ("latency_ms.queue", None, "latency_ms.queue is null"),
        ("tracks", None, "tracks is null"),
        ("tracks.0.id", 0, "tracks[0].id is 0"),
        ("tracks.1.id", 3, "tracks[1].id is 3 again"),
        ("tracks.0.label", 5, "tracks[0].label is 5"),
        ("tracks.0.score", 2, "tracks[0].score is 2"),
        ("tracks.0.sounding", 1, "tracks[0].sounding is 1"),
        ("tracks.0.box", [2, 1, 3, 3], "tracks[0].box is a list of 4 elements, expected [2, 1, 3, 2], as the mask"),
        ("tracks.0.box", None, "tracks[0].box is null"),
        ("tracks.1.box", [1, 2, 3], "tracks[1].box is a list of 3 elements"),
        ("tracks.0.rle.size", [6, 9], "tracks[0].rle[0]: counts"),
        ("tracks.0.rle.size", [2**15, 2**15], "tracks[0].rle.size is 32768x32768"),
        ("tracks.0.rle.counts", "o", "tracks[0].rle[0]"),
        ("tracks.0.rle", "rle", "tracks[0].rle is"),
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
        FrameResult.from_json(json.dumps(document), file="line 1")
    assert str(caught.value).startswith(f"line 1: {message}")


@given(ANYTHING, st.data())
def test_no_value_anywhere_escapes_as_another_error(value: Any, data: st.DataObject) -> None:
    document: Any = json.loads(example().to_json())
    put_anywhere(document, value, data)
    try:
        result = FrameResult.from_json(json.dumps(document))
    except AnnotationError:
        return
    assert FrameResult.from_json(result.to_json()) == result
