"""Formats with one number per pixel (davis, mots), read back by Pillow and pycocotools."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
from export_examples import ODD_NAME, dots, named
from media_factory import make_clip, read_number
from PIL import Image
from pycocotools import mask as coco_mask
from writers_examples import boxes_result

from avis_cli.errors import OutputError
from avis_cli.export.export_request import Request
from avis_cli.export.formats import FORMATS, export
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.palette import voc_palette
from avis_cli.results.semantic import ClassMap, SemanticResult
from avis_cli.writers.style import track_colour

OVERLAPPING = boxes_result(8, 6, [[(0, 0, 4, 4), None], [(2, 2, 8, 6), (1, 1, 2, 2)]], times=(0.0, 1.0))
DAVIS = Path("Annotations/Full-Resolution/clip")


def labels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


# --- davis


def test_davis_images_are_indices_with_the_overlays_colours(tmp_path: Path) -> None:
    said: list[str] = []
    export(tmp_path / "out", OVERLAPPING, FORMATS["davis"], Request(warn=said.append))
    folder = tmp_path / "out" / DAVIS
    assert sorted(path.name for path in folder.iterdir()) == ["00000.png", "00001.png"]
    image = Image.open(folder / "00000.png")
    assert image.mode == "P"
    expected = np.zeros((6, 8), dtype=int)
    expected[2:6, 2:8] = 2
    expected[0:4, 0:4] = 1  # the higher score
    assert np.asarray(image).tolist() == expected.tolist()
    assert image.convert("RGB").getpixel((7, 5)) == track_colour(2)
    assert labels(folder / "00001.png").sum() == 2
    assert (tmp_path / "out" / "ImageSets" / "2017" / "val.txt").read_text() == "clip\n"
    assert len(said) == 1
    assert "4 pixels in 1 frames" in said[0]


def test_overlaps_go_to_the_score_not_to_the_order(tmp_path: Path) -> None:
    first, second = OVERLAPPING.tracks
    swapped = dataclasses.replace(OVERLAPPING, tracks=(dataclasses.replace(first, score=0.1), second))
    export(tmp_path / "out", swapped, FORMATS["davis"])
    assert labels(tmp_path / "out" / DAVIS / "00000.png")[3, 3] == 2


@pytest.mark.parametrize("count", [0, 1, 254])
def test_davis_holds_up_to_254_tracks_whatever_their_ids(tmp_path: Path, count: int) -> None:
    result = dots(count)
    moved = tuple(dataclasses.replace(track, id=track.id + 1000) for track in result.tracks)
    export(tmp_path / "out", dataclasses.replace(result, tracks=moved), FORMATS["davis"])
    pixels = labels(tmp_path / "out" / DAVIS / "00000.png").ravel()
    assert pixels[:count].tolist() == list(range(1, count + 1))
    assert not pixels[count:].any()


def test_davis_refuses_255_tracks_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="255 tracks do not fit into DAVIS images: at most 254"):
        export(tmp_path / "out", dots(255), FORMATS["davis"])
    assert list(tmp_path.iterdir()) == []


def test_pictures_come_along_if_the_clip_is_given(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", size=(64, 48), fps=10, seconds=1, audio=None)
    result = boxes_result(64, 48, [[(0, 0, 4, 4)] * 2], times=(0.0, 0.7))
    for name, folder in (("davis", "JPEGImages/Full-Resolution/clip"), ("mots", "images")):
        export(tmp_path / name, result, FORMATS[name], Request(tmp_path / "clip.mp4"))
        pictures = sorted((tmp_path / name / folder).iterdir())
        assert [read_number(np.asarray(Image.open(path))) for path in pictures] == [0, 7]


# --- mots


def of_categories(ids: list[int], categories: int = 26) -> ClipResult:
    """One dot per entry, of that category among ``categories``."""
    result = dots(len(ids))
    tracks = tuple(
        Track(track.id, id, f"c{id}", track.score, track.masks) for track, id in zip(result.tracks, ids, strict=True)
    )
    known = tuple((id, f"c{id}") for id in range(1, categories + 1))
    return dataclasses.replace(result, tracks=tracks, categories=known)


def text_lines(folder: Path) -> list[list[str]]:
    return [line.split(" ") for line in (folder / "instances_txt" / "clip.txt").read_text().splitlines()]


def test_mots_images_and_text_tell_the_same(tmp_path: Path) -> None:
    said: list[str] = []
    export(tmp_path / "out", OVERLAPPING, FORMATS["mots"], Request(warn=said.append))
    assert Image.open(tmp_path / "out" / "instances" / "000000.png").mode == "I;16"
    images = [labels(tmp_path / "out" / "instances" / f"{n:06d}.png") for n in (0, 1)]
    assert np.unique(images[0]).tolist() == [0, 1001, 1002]
    assert images[0][3, 3] == 1001  # the higher score
    again = [np.zeros((6, 8), dtype=int), np.zeros((6, 8), dtype=int)]
    for frame, number, category, height, width, counts in text_lines(tmp_path / "out"):
        assert int(category) == int(number) // 1000
        mask = coco_mask.decode({"size": [int(height), int(width)], "counts": counts.encode()})
        assert not again[int(frame)][mask > 0].any()  # the format forbids overlaps
        again[int(frame)][mask > 0] = int(number)
    assert [image.tolist() for image in again] == [image.tolist() for image in images]
    assert "4 pixels in 1 frames" in said[0]


def test_mots_leaves_out_the_class_that_means_ignore(tmp_path: Path) -> None:
    said: list[str] = []
    export(tmp_path / "out", of_categories([9, 10, 26, 10]), FORMATS["mots"], Request(warn=said.append))
    pixels = labels(tmp_path / "out" / "instances" / "000000.png").ravel()
    assert pixels[:4].tolist() == [9001, 11001, 27001, 11002]
    names = (tmp_path / "out" / "instances" / "labels.txt").read_text().splitlines()
    assert (names[8], names[9], names[10], names[26]) == ("c9", "ignored", "c10", "c26")
    assert "category 10 is MOTS class 11" in said[0]


@pytest.mark.parametrize("count", [0, 1, 254, 255])
def test_mots_holds_any_usual_number_of_tracks(tmp_path: Path, count: int) -> None:
    export(tmp_path / "out", dots(count), FORMATS["mots"])
    pixels = labels(tmp_path / "out" / "instances" / "000000.png").ravel()
    assert pixels[pixels > 0].tolist() == [1001 + n for n in range(count)]
    assert len(text_lines(tmp_path / "out")) == count


def test_mots_refuses_what_16_bits_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="category 64 would be class 65"):
        export(tmp_path / "out", of_categories([64], categories=70), FORMATS["mots"])
    one = dots(1).tracks[0]
    many = dataclasses.replace(dots(1), tracks=tuple(dataclasses.replace(one, id=n) for n in range(1, 1001)))
    with pytest.raises(OutputError, match="more than 999 tracks of category 1"):
        export(tmp_path / "out", many, FORMATS["mots"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["davis", "mots"])
def test_empty_clips_and_odd_names(tmp_path: Path, name: str) -> None:
    odd = named(boxes_result(8, 6, [[]], times=()), ODD_NAME)
    odd = dataclasses.replace(odd, source=dataclasses.replace(odd.source, file="../..\\up/a:b\n*.tar.mp4"))
    export(tmp_path / "out", odd, FORMATS[name])
    assert list(tmp_path.rglob("*.png")) == []
    files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("*.txt"))
    if name == "davis":
        assert (tmp_path / "out/Annotations/Full-Resolution/a_b _.tar").is_dir()
    else:
        assert files == ["instances/labels.txt", "instances_txt/a_b _.tar.txt"]
        assert len((tmp_path / "out/instances/labels.txt").read_text().splitlines()) == 2


# --- voc and label-video


def test_voc_images_hold_classes_and_objects_in_vocs_colours(tmp_path: Path) -> None:
    first, second = OVERLAPPING.tracks
    of_two = dataclasses.replace(
        OVERLAPPING, tracks=(first, dataclasses.replace(second, category_id=2, label="drum")),
        categories=((1, "person"), (2, "drum")),
    )  # fmt: skip
    export(tmp_path / "out", of_two, FORMATS["voc"])
    image = Image.open(tmp_path / "out" / "SegmentationClass" / "000000.png")
    assert image.mode == "P"
    assert labels(tmp_path / "out" / "SegmentationClass" / "000000.png")[5, 7] == 2
    assert image.convert("RGB").getpixel((7, 5)) == (0, 128, 0)
    assert image.convert("RGB").getpixel((0, 0)) == (128, 0, 0)
    assert labels(tmp_path / "out" / "SegmentationObject" / "000001.png").max() == 2
    assert (tmp_path / "out" / "labels.txt").read_text().splitlines() == ["0 background", "1 person", "2 drum"]
    assert (tmp_path / "out" / "ImageSets" / "Segmentation" / "clip.txt").read_text() == "000000\n000001\n"


def test_vocs_colours() -> None:
    palette = voc_palette()
    known = {0: (0, 0, 0), 1: (128, 0, 0), 3: (128, 128, 0), 8: (64, 0, 0), 15: (192, 128, 128), 255: (224, 224, 192)}
    assert {index: tuple(palette[index].tolist()) for index in known} == known


def test_voc_refuses_categories_that_are_void_to_its_readers(tmp_path: Path) -> None:
    (track,) = boxes_result(8, 6, [[(0, 0, 4, 4)]]).tracks
    far = dataclasses.replace(
        boxes_result(8, 6, [[(0, 0, 4, 4)]]), tracks=(dataclasses.replace(track, category_id=255),)
    )
    with pytest.raises(OutputError, match="category 255"):
        export(tmp_path / "out", far, FORMATS["voc"])
    assert list(tmp_path.iterdir()) == []


def test_a_label_video_keeps_every_number_and_time(tmp_path: Path) -> None:
    result = dataclasses.replace(OVERLAPPING, times=(0.0, 1.234))
    for name in ("one.mkv", "two.mkv"):
        export(tmp_path / name, result, FORMATS["label-video"])
    assert (tmp_path / "one.mkv").read_bytes() == (tmp_path / "two.mkv").read_bytes()
    with av.open(str(tmp_path / "one.mkv")) as container:
        frames = list(container.decode(video=0))
    assert [round(frame.time, 3) for frame in frames] == [0.0, 1.234]
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.to_ndarray(), result.frame(index))


# --- class maps


def class_maps() -> SemanticResult:
    categories = ((3, "dog"), (7, "owl"))
    maps = tuple(ClassMap(*known, track.masks, 0.9) for known, track in zip(categories, APART, strict=True))
    return SemanticResult(OVERLAPPING.source, OVERLAPPING.model, categories, OVERLAPPING.times, maps)


APART = boxes_result(8, 6, [[(0, 0, 4, 4), None], [(4, 2, 8, 6), (1, 1, 2, 2)]], times=(0.0, 1.0)).tracks


@pytest.mark.parametrize(("name", "image"), [("voc", "SegmentationClass/000000.png"), ("label-video", None)])
def test_class_maps_keep_the_numbers_of_their_classes(tmp_path: Path, name: str, image: str | None) -> None:
    export(tmp_path / "out.mkv", class_maps(), FORMATS[name])
    if image is not None:
        assert set(np.unique(labels(tmp_path / "out.mkv" / image))) == {0, 3, 7}
        assert not (tmp_path / "out.mkv" / "SegmentationObject").exists()
        return
    with av.open(str(tmp_path / "out.mkv")) as container:
        first = next(container.decode(video=0)).to_ndarray()
    np.testing.assert_array_equal(first, class_maps().frame(0))


@pytest.mark.parametrize("name", [name for name, form in FORMATS.items() if not form.of_maps])
def test_formats_about_single_objects_refuse_class_maps(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=f"class maps cannot be written as {name}"):
        export(tmp_path / "out", class_maps(), FORMATS[name])
    assert list(tmp_path.iterdir()) == []


def test_classes_have_no_number_beside_their_name(tmp_path: Path) -> None:
    export(tmp_path / "who.srt", class_maps(), FORMATS["srt"])
    text = (tmp_path / "who.srt").read_text()
    assert "dog" in text
    assert "dog 3" not in text
