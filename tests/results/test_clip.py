"""ClipResult: JSON both ways, and what a file that means nothing is told."""

from __future__ import annotations

import json
import math
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damaged_json import ANYTHING, put_anywhere
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from supervision import Detections, MaskAnnotator

from avis_cli.errors import AnnotationError, AvisError
from avis_cli.media.clip_info import AudioInfo, ClipInfo
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, TokenFrame, Track
from avis_cli.results.source import ModelInfo, Source, SourceAudio
from avis_cli.writers.mask_images import write_masks

HEIGHT, WIDTH = 6, 8


def mask(*pixels: tuple[int, int]) -> run_length.RunLength:
    image = np.zeros((HEIGHT, WIDTH), dtype=bool)
    for y, x in pixels:
        image[y, x] = True
    return run_length.encode(image)


def example(**changes: Any) -> ClipResult:
    fields: dict[str, Any] = {
        "source": Source("clip.mp4", WIDTH, HEIGHT, 90, 2.5, "30000/1001", SourceAudio(44100, 2), decode_failures=1),
        "model": ModelInfo("avism-tiny", "avism-tiny", "ab" * 32, 0.3, "fp32", 1.0, "video"),
        "categories": ((1, "person"), (7, "dog")),
        "times": (0.0, 1.001, 2.002),
        "tracks": (
            Track(1, 7, "dog", 0.93, [mask((1, 2), (1, 3), (4, 3)), None, mask((0, 0))], [(0.0, 1.0), (1.5, 2.5)]),
            Track(2, 1, "person", 0.5, [None, None, mask()], []),
        ),
    }
    return ClipResult(**{**fields, **changes})


def test_json_round_trip() -> None:
    result = example()
    again = ClipResult.from_json(result.to_json())
    assert again == result
    assert again.to_json() == result.to_json()


def test_json_has_the_layout_that_scripts_rely_on() -> None:
    document = json.loads(example().to_json())
    assert list(document) == ["format", "version", "tool", "source", "model", "categories", "times", "tracks"]
    assert (document["format"], document["version"]) == ("avis-tracks", 1)
    assert document["tool"].startswith("avis-cli ")
    assert list(document["source"]) == [
        "file", "width", "height", "rotation", "duration", "frame_rate", "audio", "decode_failures",
    ]  # fmt: skip
    assert document["source"]["audio"] == {"sample_rate": 44100, "channels": 2}
    assert list(document["model"]) == ["name", "preset", "weights_sha256", "threshold", "precision", "fps", "mask_fps"]
    assert document["categories"] == [{"id": 1, "name": "person"}, {"id": 7, "name": "dog"}]
    track = document["tracks"][0]
    assert list(track) == [
        "id", "category_id", "category", "score", "segmentations", "bboxes", "areas", "sounding",
    ]  # fmt: skip
    assert track["bboxes"] == [[2, 1, 2, 4], None, [0, 0, 1, 1]]
    assert track["areas"] == [3, None, 1]
    assert track["segmentations"][1] is None
    assert track["segmentations"][0]["size"] == [HEIGHT, WIDTH]
    assert track["sounding"] == [[0.0, 1.0], [1.5, 2.5]]


COUNTED = (TokenFrame(0.0, (0.1, 0.7, 0.2)), TokenFrame(1.0, (0.25, 0.25, 0.5)))


def test_counts_of_token_frames_stand_before_the_tracks_and_round_trip() -> None:
    result = example(token_frames=COUNTED)
    document = json.loads(result.to_json())
    assert list(document)[-2:] == ["token_frames", "tracks"]
    assert document["token_frames"][1] == {"time": 1.0, "count": [0.25, 0.25, 0.5]}
    assert ClipResult.from_json(result.to_json()) == result
    assert ClipResult.from_json(json.dumps({**document, "token_frames": None})) == example()
    assert [frame.likeliest for frame in COUNTED] == [1, 2]
    assert TokenFrame(0, (0.4, 0.4, 0.2)).likeliest == 0, "the first of equals"


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ({}, "token_frames is an object"),
        ([1], r"token_frames\[0\] is 1"),
        ([{"time": 0.0}], r"token_frames\[0\].count is missing"),
        ([{"time": 0.0, "count": [0.5, 0.5]}], r"count is a list of 2 elements, expected 3"),
        ([{"time": 0.0, "count": [0.5, 0.6, -0.1]}], r"count\[2\] is -0.1, expected a number from 0 to 1"),
        ([{"time": 0.0, "count": [0.5, 0.5, 0.5]}], r"count is a sum of 1.5, expected probabilities that sum to 1"),
        ([{"time": 1.0, "count": [1, 0, 0]}] * 2, r"token_frames\[1\].time is 1.0, expected more than 1"),
    ],
)
def test_counts_that_cannot_be_are_refused(frames: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        ClipResult.from_json(json.dumps({**example().to_dict(), "token_frames": frames}))


def test_which_masks_are_carried_is_kept() -> None:
    result = example(network_frames=(0, 2))
    document = json.loads(result.to_json())
    assert list(document)[-2:] == ["network_frames", "tracks"]
    assert document["network_frames"] == [0, 2]
    assert ClipResult.from_json(result.to_json()) == result
    assert ClipResult.from_json(json.dumps({**document, "network_frames": None})).network_frames is None
    assert "network_frames" not in example().to_dict(), "the network drew all"


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ([0, 3], r"network_frames\[1\] is 3, expected one of the 3 mask frames from 0"),
        ([1, 1], r"network_frames\[1\] is 1, expected more than 1"),
        ([-1], r"network_frames\[0\] is -1"),
        ([0.5], r"network_frames\[0\] is 0.5"),
        ("0", "network_frames is"),
    ],
)
def test_places_that_cannot_be_are_refused(places: Any, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        ClipResult.from_json(json.dumps({**example().to_dict(), "network_frames": places}))


def test_a_result_without_tracks_and_sound_round_trips() -> None:
    silent = Source("clip.mp4", WIDTH, HEIGHT, 0, 0.04, None, None)
    result = example(source=silent, times=(), tracks=())
    assert ClipResult.from_json(result.to_json()) == result


@given(st.text(), st.floats(0, 1), st.lists(st.floats(0, 1e6), unique=True).map(sorted))
def test_any_name_score_and_times_round_trip(name: str, score: float, times: list[float]) -> None:
    source = Source(name, WIDTH, HEIGHT, 0, 1.0, "25/1", None)
    track = Track(1, 1, "person", score, [None] * len(times))
    result = example(source=source, times=times, tracks=[track])
    assert ClipResult.from_json(result.to_json()) == result


def test_a_file_name_that_is_not_text_survives_utf8() -> None:
    result = example(source=Source("caf\udce9.mp4", WIDTH, HEIGHT, 0, 1.0, None, None))
    text = result.to_json().encode("utf-8").decode("utf-8")
    assert ClipResult.from_json(text).source.file == "caf\udce9.mp4"


def test_numbers_of_array_libraries_become_plain_ones() -> None:
    track = Track(1, 1, "person", np.float32(0.5), [None], [(np.float64(0), np.float64(1))])
    result = example(times=np.array([0.0]), tracks=[track])
    assert ClipResult.from_json(result.to_json()) == result


def test_a_number_that_is_not_finite_is_never_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        example(times=(0.0,), tracks=[Track(1, 1, "person", float("nan"), [None])]).to_json()


def test_a_track_needs_one_mask_per_mask_frame() -> None:
    with pytest.raises(ValueError, match="2 masks for 3 mask frames"):
        example(tracks=[Track(1, 1, "person", 0.5, [None, None])])


@pytest.mark.parametrize(
    ("times", "mask_fps", "end"),
    [
        ((), 1.0, 0.0),
        ((3.0,), 4.0, 3.25),
        ((3.0,), "video", math.inf),
        ((1.0, 3.0, 4.0), 1.0, 6.0),
        ((0.0, 0.5), "video", 1.0),
    ],
)
def test_the_last_mask_frame_stays_as_long_as_the_others(times: tuple[float, ...], mask_fps: Any, end: float) -> None:
    model = ModelInfo("m", "m", None, 0.3, "fp32", 1.0, mask_fps)
    assert example(model=model, times=times, tracks=()).end == end


def test_source_of_a_clip() -> None:
    audio = AudioInfo(0, 48000, 6)
    clip = ClipInfo("/films/a b.mkv", 640, 360, 270, Fraction(5, 2), Fraction(30000, 1001), audio)
    expected = Source("a b.mkv", 640, 360, 270, 2.5, "30000/1001", SourceAudio(48000, 6), 3)
    assert Source.of(clip, decode_failures=3) == expected


def test_keys_of_later_versions_are_ignored() -> None:
    document = example().to_dict()
    document["licence"] = "CC0"
    document["tracks"][0]["confidence_curve"] = [1, 2]
    assert ClipResult.from_json(json.dumps(document)) == example()


def test_areas_and_boxes_may_be_left_out() -> None:
    document = example().to_dict()
    del document["tracks"][0]["areas"], document["tracks"][0]["bboxes"]
    assert ClipResult.from_json(json.dumps(document)) == example()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("format", "coco", 'format is "coco", expected "avis-tracks"'),
        ("version", 2, "version is 2, expected 1"),
        ("version", True, "version is true"),
        ("tool", None, "tool is null"),
        ("source", [], "source is a list"),
        ("source.width", 0, "source.width is 0"),
        ("source.width", 8.0, "source.width is 8.0"),
        ("source.height", 10**9, "source.height is 1000000000"),
        ("source.rotation", 45, "source.rotation is 45"),
        ("source.duration", -1, "source.duration is -1"),
        ("source.duration", 2e9, "source.duration is 2000000000.0, expected a number from 0 to 1e+09"),
        ("source.duration", 10**400, "source.duration is a number of more than 40 digits"),
        ("source.frame_rate", "30", 'source.frame_rate is "30"'),
        ("source.frame_rate", "1/0", 'source.frame_rate is "1/0"'),
        ("source.frame_rate", "0/1", 'source.frame_rate is "0/1"'),
        ("source.frame_rate", "1e9/1", 'source.frame_rate is "1e9/1"'),
        ("source.frame_rate", "9000000/1", 'source.frame_rate is "9000000/1"'),
        ("source.frame_rate", "٣/١", "source.frame_rate is"),
        ("source.audio", 3, "source.audio is 3"),
        ("source.decode_failures", True, "source.decode_failures is true"),
        ("model.threshold", 1.5, "model.threshold is 1.5"),
        ("model.mask_fps", "all", 'model.mask_fps is "all"'),
        ("model.mask_fps", 1e-300, "model.mask_fps is 1e-300"),
        ("model.fps", 1e300, "model.fps is 1e+300"),
        ("categories.1.id", 1, "categories[1].id is 1 again"),
        ("categories.0.name", 5, "categories[0].name is 5"),
        ("times.1", 0.0, "times[1] is 0.0"),
        ("times.2", 1e15, "times[2] is 1000000000000000.0, expected a number from 0 to 1e+09"),
        ("tracks.0.sounding.1", [1.5, 1e15], "tracks[0].sounding[1][1] is 1000000000000000.0"),
        ("times", [0.0], "tracks[0].segmentations is a list of 3 elements, expected 1"),
        ("tracks", {}, "tracks is an object"),
        ("tracks.1.id", 1, "tracks[1].id is 1 again"),
        ("tracks.0.id", 0, "tracks[0].id is 0"),
        ("tracks.0.category_id", 2, "tracks[0].category_id is 2"),
        ("tracks.0.category", "cat", 'tracks[0].category is "cat"'),
        ("tracks.0.score", "0.9", 'tracks[0].score is "0.9"'),
        ("tracks.0.score", 2**2000, "tracks[0].score is a number of more than 40 digits"),
        ("tracks.0.segmentations.0.size", [WIDTH, HEIGHT], "tracks[0].segmentations[0].size is [8, 6]"),
        ("tracks.0.segmentations.0.size", [6.0, 8], "tracks[0].segmentations[0].size[0] is 6.0"),
        ("tracks.0.segmentations.0.size", [6, True], "tracks[0].segmentations[0].size[1] is true"),
        ("tracks.0.segmentations.0.size", [6], "tracks[0].segmentations[0].size is a list of 1 elements"),
        ("tracks.0.segmentations.0.size", None, "tracks[0].segmentations[0].size is null"),
        ("tracks.0.segmentations", "none", 'tracks[0].segmentations is "none"'),
        ("tracks.0.segmentations.0.counts", [1, 2], "tracks[0].segmentations[0].counts is a list"),
        ("tracks.0.segmentations.0.counts", "", "tracks[0].segmentations[0]"),
        ("tracks.0.segmentations.0.counts", "0" * 200, "tracks[0].segmentations[0]"),
        ("tracks.0.segmentations.0.counts", "ü", "tracks[0].segmentations[0]"),
        ("tracks.0.segmentations.0.counts", "o", "tracks[0].segmentations[0]"),
        ("tracks.0.segmentations.1", 0, "tracks[0].segmentations[1]"),
        ("tracks.0.areas.0", 4, "tracks[0].areas[0] is 4, expected 3"),
        ("tracks.0.areas", [3, None], "tracks[0].areas is a list of 2 elements"),
        ("tracks.0.areas.1", 0, "tracks[0].areas[1] is 0, expected null"),
        ("tracks.1.areas.2", None, "tracks[1].areas[2] is null, expected 0"),
        ("tracks.0.bboxes.1", [0, 0, 1, 1], "tracks[0].bboxes[1]"),
        ("tracks.0.segmentations.2.counts", "0" * 200, "tracks[0].segmentations[2]: counts"),
        ("tracks.0.sounding.0", [1.0], "tracks[0].sounding[0]"),
        ("tracks.0.sounding.0", [1.0, 0.5], "tracks[0].sounding[0]"),
        ("tracks.0.sounding.1", [0.5, 2.0], "tracks[0].sounding[1]"),
    ],
)
def test_a_wrong_field_is_named(path: str, value: Any, message: str) -> None:
    document: Any = example().to_dict()
    document = json.loads(json.dumps(document))
    place = document
    *parents, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    for key in parents:
        place = place[key]
    place[last] = value
    with pytest.raises(AnnotationError) as caught:
        ClipResult.from_json(json.dumps(document), file="tracks.json")
    assert str(caught.value).startswith(f"tracks.json: {message}")
    assert "\n" not in str(caught.value)


def test_options_are_plain_values_or_not_there() -> None:
    options = {"fps": "30000/1001", "threshold": 0.3, "gate": None, "mute": False, "of a later version": 7}
    result = example(options=options)
    document = json.loads(result.to_json())
    assert list(document)[4:6] == ["model", "options"]
    assert document["options"] == options
    assert ClipResult.from_json(result.to_json()) == result
    assert "options" not in json.loads(example().to_json())
    assert ClipResult.from_json(json.dumps({**document, "options": None})).options is None
    for wrong, message in (
        ([], "options is a list of 0 elements, expected an object"),
        ({"fps": [1]}, r"options\.fps is a list .*, expected text, a number, true, false or null"),
        ({"window": 10**400}, r"options\.window is a number .*, expected a finite number"),
    ):
        with pytest.raises(AnnotationError, match=message):
            ClipResult.from_json(json.dumps({**document, "options": wrong}))


@pytest.mark.parametrize("key", ["format", "version", "tool", "source", "model", "categories", "times", "tracks"])
def test_a_missing_field_is_named(key: str) -> None:
    document = example().to_dict()
    del document[key]
    with pytest.raises(AnnotationError, match=f"^{key} is missing"):
        ClipResult.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON: .* line 1 column 1"),
        ("[]", "the document is a list"),
        ('{"format": NaN}', "holds NaN"),
        ('{"format": 1e999}', "format is Infinity"),
        ('{"format": "a", "format": "b"}', 'the key "format" stands twice'),
        ("[" * 100_000, "nested too deep"),
        ('{"version": ' + "9" * 10_000 + "}", "too many digits"),
        ("\ufeff{}", "not JSON"),
    ],
)
def test_text_that_is_not_the_format(text: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        ClipResult.from_json(text)


@given(ANYTHING, st.data())
def test_no_value_anywhere_escapes_as_another_error(value: Any, data: st.DataObject) -> None:
    document: Any = json.loads(example().to_json())
    put_anywhere(document, value, data)
    try:
        result = ClipResult.from_json(json.dumps(document))
    except AnnotationError:
        return
    assert ClipResult.from_json(result.to_json()) == result


def test_read_names_the_file(tmp_path: Any) -> None:
    path = tmp_path / "tracks.json"
    path.write_text(example().to_json(), encoding="utf-8")
    assert ClipResult.read(path) == example()
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(AnnotationError, match="expected plain UTF-8") as caught:
        ClipResult.read(path)
    assert caught.value.file == str(path)
    with pytest.raises(AnnotationError, match="no such file"):
        ClipResult.read(tmp_path / "none.json")
    with pytest.raises(AnnotationError, match="a folder, expected a JSON file"):
        ClipResult.read(tmp_path)


def overlapping() -> ClipResult:
    """Two tracks that share pixel (1, 2) of mask frame 0, and the surer one comes second."""
    tracks = (
        Track(4, 7, "dog", 0.4, [mask((1, 2), (1, 3)), mask(), None], [(1.5, 2.5), (0.0, 0.5)]),
        Track(9, 1, "person", 0.8, [mask((1, 2), (0, 0)), None, None], [(0.5, 1.25)]),
        Track(2, 1, "person", 0.7, [None, None, mask((5, 7))]),
    )
    return example(tracks=tracks)


class TestFrame:
    def test_a_pixel_is_the_id_of_its_surest_track(self) -> None:
        labels = overlapping().frame(0)
        assert (labels.shape, labels.dtype) == ((HEIGHT, WIDTH), np.int32)
        expected = np.zeros((HEIGHT, WIDTH), dtype=int)
        expected[1, 3] = 4
        expected[1, 2] = expected[0, 0] = 9
        assert labels.tolist() == expected.tolist()
        assert not overlapping().frame(1).any()

    def test_of_equal_scores_the_lower_id_is_on_top(self) -> None:
        tracks = [Track(id, 1, "person", 0.5, [mask((0, 0)), None, None]) for id in (3, 1, 2)]
        assert example(tracks=tracks).frame(0)[0, 0] == 1

    def test_mask_images_hold_the_same(self, tmp_path: Path) -> None:
        result = overlapping()
        write_masks(tmp_path, result)
        for index in range(len(result.times)):
            image = np.asarray(Image.open(tmp_path / f"{index:06d}.png"))
            assert image.tolist() == result.frame(index).tolist()

    def test_ids_beyond_a_byte(self) -> None:
        result = example(tracks=[Track(70_000, 1, "person", 0.5, [mask((2, 2)), None, None])])
        assert result.frame(0).max() == 70_000
        large = example(tracks=[Track(2**31, 1, "person", 0.5, [mask((2, 2)), None, None])])
        with pytest.raises(AnnotationError, match="track 2147483648 does not fit"):
            large.frame(0)

    def test_frames_count_from_either_end_and_no_further(self) -> None:
        result = overlapping()
        assert result.frame(-1).tolist() == result.frame(2).tolist()
        for index in (3, -4):
            with pytest.raises(IndexError, match=f"mask frame {index}, expected one of the 3 from 0 to 2"):
                result.frame(index)


class TestInShort:
    def test_a_result_of_any_size_is_one_line(self) -> None:
        many = [Track(id, 1, "person", 0.5, [mask((0, 0))] * 3, [(0.0, 1.0)] * 50) for id in range(1, 300)]
        text = repr(example(tracks=many))
        assert text == (
            "<ClipResult of clip.mp4, 299 tracks, 3 mask frames: person 0.50, person 0.50, person 0.50, person 0.50 "
            "and 295 more>"
        )
        assert repr(example(tracks=())) == "<ClipResult of clip.mp4, 0 tracks, 3 mask frames>"
        assert repr(example().tracks[0]) == "<Track 1: dog, score 0.93, 2 of 3 masks, sounds 0-1 s, 1.5-2.5 s>"
        assert repr(example().tracks[1]) == "<Track 2: person, score 0.50, 1 of 3 masks, silent>"

    def test_names_cannot_spoil_it(self) -> None:
        source = Source("\udce9\n\x1b[31m" + "a" * 500, WIDTH, HEIGHT, 0, 1.0, None, None)
        result = example(source=source, tracks=[Track(1, 1, "<script>\u202e", 0.5, [None] * 3)])
        text = repr(result)
        assert len(text) < 200
        assert text.isprintable()
        page = result._repr_html_()
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
        page.encode("utf-8")

    def test_a_notebook_shows_a_table(self) -> None:
        page = example()._repr_html_()
        assert page.count("<tr>") == 3
        assert "<td>dog</td><td>0.93</td><td>2</td><td>0-1 s, 1.5-2.5 s</td>" in page
        assert "<td>person</td><td>0.50</td><td>1</td><td>never</td>" in page
        many = [Track(id, 1, "person", 0.5, [None] * 3) for id in range(1, 300)]
        assert "and 249 more" in example(tracks=many)._repr_html_()


class TestTimelineRows:
    def test_a_row_for_each_interval_in_the_order_of_the_clip(self) -> None:
        assert overlapping().timeline() == [
            {"track_id": 4, "category": "dog", "score": 0.4, "start": 0.0, "end": 0.5, "seconds": 0.5},
            {"track_id": 9, "category": "person", "score": 0.8, "start": 0.5, "end": 1.25, "seconds": 0.75},
            {"track_id": 4, "category": "dog", "score": 0.4, "start": 1.5, "end": 2.5, "seconds": 1.0},
        ]
        assert example(tracks=()).timeline() == []


@pytest.mark.parametrize(
    ("time", "sounds"), [(-1, False), (0, True), (0.99, True), (1.0, False), (1.5, True), (9, False)]
)
def test_whether_a_track_sounds_at_a_time(time: float, sounds: bool) -> None:
    assert example().tracks[0].is_sounding(time) is sounds


class TestSupervision:
    def test_each_object_is_a_row_the_surest_first(self) -> None:
        found = overlapping().to_supervision(0)
        assert isinstance(found, Detections)
        assert len(found) == 2
        assert found.xyxy.tolist() == [[0, 0, 3, 2], [2, 1, 4, 2]]
        assert found.tracker_id is not None
        assert found.tracker_id.tolist() == [9, 4]
        assert found.class_id is not None
        assert found.class_id.tolist() == [1, 7]
        assert found.confidence == pytest.approx([0.8, 0.4])
        assert list(found.data["class_name"]) == ["person", "dog"]
        assert isinstance(found.mask, np.ndarray)
        assert (found.mask.shape, found.mask.dtype) == ((2, HEIGHT, WIDTH), np.bool_)
        assert np.argwhere(found.mask[1]).tolist() == [[1, 2], [1, 3]]
        with pytest.raises(IndexError, match="mask frame 3"):
            overlapping().to_supervision(3)

    def test_a_mask_without_a_pixel_is_no_object(self) -> None:
        found = overlapping().to_supervision(1)
        assert isinstance(found.mask, np.ndarray)
        assert (found.xyxy.shape, found.mask.shape) == ((0, 4), (0, HEIGHT, WIDTH))
        assert found.tracker_id is not None
        assert found.confidence is not None
        assert len(found) == len(found.tracker_id) == len(found.confidence) == 0
        assert list(found.data["class_name"]) == []

    def test_the_library_filters_and_draws_it(self) -> None:
        found = overlapping().to_supervision(0)
        assert found.area.tolist() == [2, 2]
        one = found[found.class_id == 7]
        assert isinstance(one, Detections)
        assert one.xyxy.tolist() == [[2, 1, 4, 2]]
        drawn = MaskAnnotator(opacity=1.0).annotate(np.zeros((HEIGHT, WIDTH, 3), np.uint8), found)
        assert np.argwhere(drawn.any(axis=2)).tolist() == [[0, 0], [1, 2], [1, 3]]

    def test_without_the_library_it_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "supervision", None)
        with pytest.raises(AvisError, match="needs the library supervision; pip install supervision"):
            example().to_supervision(0)


def test_the_package_says_that_it_is_typed() -> None:
    import avis_cli

    assert Path(avis_cli.__file__).with_name("py.typed").is_file()
