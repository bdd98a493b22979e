"""Annotation formats (ytvis, coco, cvat, labelme), each read back by somebody else's reader."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from export_examples import ODD_NAME, ODD_PLAIN, disc, dots, masks_of, named, ring
from media_factory import make_clip, read_number
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from writers_examples import boxes_result

from avis_cli.errors import AnnotationError, MediaError, UsageError
from avis_cli.export.export_request import Request
from avis_cli.export.formats import FORMATS, export
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

SIZE = (64, 48)
BOX = (10, 30, 20, 40)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=SIZE, fps=10, seconds=1, audio=None)
    return path


def decoded(result: ClipResult, track: int, index: int) -> np.ndarray:
    mask = result.tracks[track].masks[index]
    assert mask is not None
    return run_length.decode(mask)


# --- ytvis


@pytest.mark.parametrize("count", [0, 1, 254, 255])
def test_ytvis_has_an_element_per_track_that_pycocotools_decodes(tmp_path: Path, count: int) -> None:
    result = dots(count, frames=2)
    said: list[str] = []
    export(tmp_path / "out.json", result, FORMATS["ytvis"], Request(position=3, warn=said.append))
    elements = json.loads((tmp_path / "out.json").read_text())
    assert len(elements) == count
    for number, element in enumerate(elements):
        assert set(element) == {"video_id", "category_id", "score", "segmentations"}
        assert (element["video_id"], element["category_id"]) == (3, 1)
        assert element["score"] == result.tracks[number].score
        assert np.flatnonzero(coco_mask.decode(element["segmentations"][1])).tolist() == [number]
    assert bool(said) == (count == 0)


def test_ytvis_has_null_where_a_track_is_absent_or_its_mask_is_empty(tmp_path: Path) -> None:
    result = boxes_result(*SIZE, [[None, BOX, (5, 5, 5, 5)]], times=(0.0, 0.1, 0.2))
    export(tmp_path / "out.json", result, FORMATS["ytvis"])
    [element] = json.loads((tmp_path / "out.json").read_text())
    assert [mask is None for mask in element["segmentations"]] == [True, False, True]


# --- coco


def test_coco_is_read_by_pycocotools_and_its_images_are_the_clips(tmp_path: Path, clip: Path) -> None:
    result = named(boxes_result(*SIZE, [[BOX, None, BOX], [None, None, (0, 30, 64, 48)]], times=(0.0, 0.5, 0.9)), "<é>")
    export(tmp_path / "out", result, FORMATS["coco"], Request(clip))
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["<é>", "dog"]
    images = coco.loadImgs(sorted(coco.getImgIds()))
    assert [read_number(np.asarray(Image.open(tmp_path / "out" / image["file_name"]))) for image in images] == [0, 5, 9]
    assert [(image["width"], image["height"]) for image in images] == [SIZE] * 3
    found = [coco.loadAnns(coco.getAnnIds(imgIds=image["id"])) for image in images]
    assert [[annotation["track_id"] for annotation in each] for each in found] == [[1], [], [1, 2]]
    first = found[0][0]
    assert (first["bbox"], first["area"], first["iscrowd"]) == ([10, 30, 10, 10], 100, 0)
    assert np.array_equal(coco.annToMask(found[2][1]).astype(bool), decoded(result, 1, 2))


@pytest.mark.parametrize("count", [0, 255])
def test_coco_holds_any_number_of_tracks(tmp_path: Path, count: int) -> None:
    make_clip(tmp_path / "tiny.mp4", size=(20, 20), fps=10, seconds=1, audio=None)
    export(tmp_path / "out", dots(count), FORMATS["coco"], Request(tmp_path / "tiny.mp4"))
    coco = COCO(str(tmp_path / "out" / "annotations.json"))
    assert len(coco.getAnnIds()) == count
    assert len(coco.getImgIds()) == 1


def test_pictures_of_a_variable_rate_are_those_on_screen_at_each_mask_frame(tmp_path: Path) -> None:
    times = [Fraction(0), Fraction(1, 10), Fraction(1, 4), Fraction(1, 3), Fraction(9, 10)]
    make_clip(tmp_path / "clip.mp4", size=SIZE, times=times, audio=None)
    every = boxes_result(*SIZE, [[BOX] * 5], times=[float(time) for time in times])
    every = dataclasses.replace(every, model=dataclasses.replace(every.model, mask_fps="video"))
    at_a_rate = boxes_result(*SIZE, [[BOX] * 5], times=(0.0, 0.2, 0.4, 0.6, 0.9))
    late = dataclasses.replace(every, times=every.times[2:], tracks=())
    for name, result, expected in (
        ("every", every, [0, 1, 2, 3, 4]), ("rate", at_a_rate, [0, 1, 3, 3, 4]), ("late", late, [2, 3, 4]),
    ):  # fmt: skip
        export(tmp_path / name, result, FORMATS["coco"], Request(tmp_path / "clip.mp4"))
        pictures = sorted((tmp_path / name / "images").iterdir())
        assert [read_number(np.asarray(Image.open(path))) for path in pictures] == expected


def test_a_clip_that_is_not_the_one_is_refused_and_nothing_stays(tmp_path: Path, clip: Path) -> None:
    with pytest.raises(AnnotationError, match=r"masks are 20x20 pixels, the pictures of .*clip.mp4 64x48"):
        export(tmp_path / "out", dots(1), FORMATS["coco"], Request(clip))
    beyond = boxes_result(*SIZE, [[BOX, BOX]], times=(0.0, 7.5))
    with pytest.raises(MediaError, match=r"clip.mp4: has no picture at 7.500 s"):
        export(tmp_path / "out", beyond, FORMATS["coco"], Request(clip))
    with pytest.raises(UsageError, match="--video"):
        export(tmp_path / "out", beyond, FORMATS["coco"])
    assert list(tmp_path.iterdir()) == []


# --- cvat


def cvat_tree(path: Path) -> ElementTree.Element:
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["annotations.xml"]
        return ElementTree.fromstring(archive.read("annotations.xml"))


def cvat_mask(element: ElementTree.Element, width: int, height: int) -> np.ndarray:
    """The mask of a <mask> as CVAT's format describes it: row-major runs in the box, background first."""
    left, top, w, h = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    inside, at = np.zeros(w * h, dtype=bool), 0
    for place, run in enumerate(int(text) for text in element.attrib["rle"].split(",")):
        inside[at : at + run] = place % 2
        at += run
    assert at == w * h
    mask = np.zeros((height, width), dtype=bool)
    mask[top : top + h, left : left + w] = inside.reshape(h, w)
    return mask


def test_cvat_masks_are_exact_on_the_frames_of_the_video(tmp_path: Path) -> None:
    result = boxes_result(*SIZE, [[None, None, None], [None, None, None]], times=(0.5, 0.75, 1.9))
    result = masks_of(result, [[ring(*SIZE), None, disc(*SIZE)], [None, ring(*SIZE, seed=1), None]])
    export(tmp_path / "out.zip", result, FORMATS["cvat"])
    tree = cvat_tree(tmp_path / "out.zip")
    assert tree.findtext("version") == "1.1"
    assert tree.findtext("meta/task/size") == "20"  # 2 s at 10 per second
    assert tree.findtext("meta/task/mode") == "interpolation"
    assert tree.findtext("meta/task/original_size/width") == "64"
    seen = []
    for track in tree.findall("track"):
        masks = track.findall("mask")
        # CVAT reads the first mask of a track only; where it ends is told on the next frame of the video
        shown = masks[0]
        assert shown.attrib["outside"] == "0"
        following = [(mask.attrib["frame"], mask.attrib["outside"]) for mask in masks[1:]]
        frame = int(shown.attrib["frame"])
        assert following == ([(str(frame + 1), "1")] if frame < 19 else [])
        name = {attribute.attrib["name"]: attribute.text for attribute in shown.findall("attribute")}
        seen.append((name["track"], frame))
        index = {5: 0, 7: 1, 19: 2}[frame]
        assert np.array_equal(cvat_mask(shown, *SIZE), decoded(result, int(name["track"] or 0) - 1, index))
    assert seen == [("1", 5), ("2", 7), ("1", 19)]


@pytest.mark.parametrize("count", [0, 1, 254, 255])
def test_cvat_holds_any_number_of_tracks(tmp_path: Path, count: int) -> None:
    export(tmp_path / "out.zip", dots(count), FORMATS["cvat"])
    tracks = cvat_tree(tmp_path / "out.zip").findall("track")
    assert [track.attrib["id"] for track in tracks] == [str(n) for n in range(count)]


def test_cvat_escapes_names_and_orders_overlaps_by_score(tmp_path: Path) -> None:
    result = named(boxes_result(*SIZE, [[BOX], [BOX]]), ODD_NAME)
    export(tmp_path / "out.zip", result, FORMATS["cvat"])
    tree = cvat_tree(tmp_path / "out.zip")
    assert [label.findtext("name") for label in tree.iter("label")] == [ODD_PLAIN, "dog"]
    assert {track.attrib["label"] for track in tree.findall("track")} == {ODD_PLAIN}
    surer, other = (int(track.findall("mask")[0].attrib["z_order"]) for track in tree.findall("track"))
    assert surer > other


def test_cvat_with_more_masks_than_frames_has_one_of_each_object_per_frame(tmp_path: Path) -> None:
    result = boxes_result(*SIZE, [[BOX] * 4], times=(0.0, 0.05, 0.1, 0.15))
    export(tmp_path / "out.zip", result, FORMATS["cvat"])
    masks = cvat_tree(tmp_path / "out.zip").iterfind("track/mask[@outside='0']")
    assert Counter(mask.attrib["frame"] for mask in masks) == {"0": 1, "1": 1}


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        export(tmp_path / name, dots(3), FORMATS["cvat"])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


# --- labelme


def drawn(shapes: list[dict[str, object]], width: int, height: int) -> np.ndarray:
    """Polygons as labelme makes masks of them: Pillow fills the outline with its border."""
    image = Image.new("1", (width, height))
    for shape in shapes:
        points = shape["points"]
        assert isinstance(points, list)
        assert len(points) >= 3
        ImageDraw.Draw(image).polygon([tuple(point) for point in points], fill=1, outline=1)
    return np.asarray(image)


def test_labelme_polygons_drawn_again_are_the_masks(tmp_path: Path) -> None:
    result = named(boxes_result(*SIZE, [[None, None], [None, None]], times=(0.0, 1.0)), ODD_NAME)
    result = masks_of(result, [[disc(*SIZE), None], [ring(*SIZE), None]])
    said: list[str] = []
    export(tmp_path / "out", result, FORMATS["labelme"], Request(warn=said.append))
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000000.json", "000001.json"]
    document = json.loads((tmp_path / "out" / "000000.json").read_text())
    assert (document["imageWidth"], document["imageHeight"], document["imagePath"]) == (*SIZE, "000000.jpg")
    groups = [[shape for shape in document["shapes"] if shape["group_id"] == id] for id in (1, 2)]
    assert {shape["label"] for shape in groups[0]} == {ODD_PLAIN}
    assert np.array_equal(drawn(groups[0], *SIZE), decoded(result, 0, 0))
    whole, filled = decoded(result, 1, 0), drawn(groups[1], *SIZE)
    assert not (whole & ~filled).any()
    assert said == [f"polygons have no holes: {(filled & ~whole).sum()} pixels inside masks were filled"]
    assert json.loads((tmp_path / "out" / "000001.json").read_text())["shapes"] == []


def test_labelme_has_its_pictures_beside_it_if_the_clip_is_given(tmp_path: Path, clip: Path) -> None:
    result = boxes_result(*SIZE, [[BOX, BOX]], times=(0.0, 0.3))
    export(tmp_path / "out", result, FORMATS["labelme"], Request(clip))
    picture = json.loads((tmp_path / "out" / "000001.json").read_text())["imagePath"]
    assert read_number(np.asarray(Image.open(tmp_path / "out" / picture))) == 3


@pytest.mark.parametrize("count", [0, 1, 255])
def test_labelme_holds_any_number_of_tracks(tmp_path: Path, count: int) -> None:
    export(tmp_path / "out", dots(count), FORMATS["labelme"])
    shapes = json.loads((tmp_path / "out" / "000000.json").read_text())["shapes"]
    assert [shape["group_id"] for shape in shapes] == list(range(1, count + 1))
    assert drawn(shapes, 20, 20).sum() == count


@pytest.mark.parametrize("name", ["ytvis", "cvat", "labelme"])
def test_a_result_without_mask_frames(tmp_path: Path, name: str) -> None:
    empty = boxes_result(*SIZE, [[]], times=())
    export(tmp_path / "out", empty, FORMATS[name])
    if name == "ytvis":
        assert json.loads((tmp_path / "out").read_text())[0]["segmentations"] == []
    elif name == "cvat":
        assert cvat_tree(tmp_path / "out").findall("track") == []
    else:
        assert list((tmp_path / "out").iterdir()) == []
