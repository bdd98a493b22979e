"""Folders of label images and of results: what is a video, what its name, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from avis_cli.errors import AnnotationError
from avis_cli.evaluate.semantic.map_files import MapLayout, find_videos, read_videos
from avis_cli.results import run_length
from avis_cli.results.semantic import ClassMap, SemanticResult
from avis_cli.results.source import ModelInfo, Source

CLASSES, BINARY = MapLayout("classes", 71), MapLayout("binary")
PICTURES = MapLayout("classes", 22, apart=True)


def image(path: Path, rows: Any, mode: str = "P") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = Image.fromarray(np.asarray(rows, np.uint8))
    if mode == "P":
        made.putpalette(list(range(256)) * 3)
    made.save(path)
    return path


def result(path: Path, maps: Any) -> Path:
    """A maps.json of class maps (frames, h, w)."""
    maps = np.asarray(maps)
    frames, height, width = maps.shape
    numbers = [int(number) for number in np.unique(maps) if number]

    def runs(number: int) -> tuple[run_length.RunLength | None, ...]:
        return tuple(run_length.encode(map == number) if (map == number).any() else None for map in maps)

    found = SemanticResult(
        Source("clip.mp4", width, height, 0, float(frames), "1/1", None),
        ModelInfo("toy", "toy", None, 0.5, "fp32", 1.0, 1.0),
        tuple((number, f"thing {number}") for number in numbers),
        tuple(range(frames)),
        tuple(ClassMap(number, f"thing {number}", runs(number)) for number in numbers),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(found.to_json())
    return path


def names(truth: Path, predicted: Path, layout: MapLayout = CLASSES, **options: Any) -> list[str]:
    return [video.name for video in find_videos(truth, predicted, layout, **options)]


def refusal(truth: Path, predicted: Path, layout: MapLayout = CLASSES) -> str:
    with pytest.raises(AnnotationError) as caught:
        list(read_videos(find_videos(truth, predicted, layout), layout))
    return caught.value.headline


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("gt", "pred"):
        for number in (1, 2, 10):
            image(tmp_path / name / "dog" / "one" / f"{number}.png", [[number, 0, 3]])
    return tmp_path / "gt", tmp_path / "pred"


def test_frames_come_in_the_order_of_their_numbers(folders: tuple[Path, Path]) -> None:
    [video] = read_videos(find_videos(*folders, CLASSES), CLASSES)
    assert video.name == "dog/one"
    assert video.truth[:, 0, 0].tolist() == video.drawn[:, 0, 0].tolist() == [1, 2, 10]


def test_names_of_numbers_and_letters_have_an_order(tmp_path: Path) -> None:
    for name in ("a1", "2", "b", "²"):
        image(tmp_path / "one" / f"{name}.png", [[0]])
    [video] = read_videos(find_videos(tmp_path, tmp_path, CLASSES), CLASSES)
    assert len(video.truth) == 4


@pytest.mark.parametrize("masks", [False, True])
def test_a_maps_json_is_a_prediction(tmp_path: Path, masks: bool) -> None:
    maps = [[[0, 1, 5]], [[5, 5, 0]]]
    for number, rows in enumerate(maps):
        image(tmp_path / "gt" / "clip" / f"{number}.png", rows)
        if masks:  # which stand beside it and are not read
            image(tmp_path / "pred" / "clip.mp4" / "masks" / f"{number}.png", [[0, 0, 0]])
    result(tmp_path / "pred" / "clip.mp4" / "maps.json", maps)
    [video] = read_videos(find_videos(tmp_path / "gt", tmp_path / "pred", CLASSES), CLASSES)
    assert video.drawn.tolist() == maps
    [binary] = read_videos(find_videos(tmp_path / "gt", tmp_path / "pred", BINARY), BINARY)
    assert (binary.drawn > 0).astype(int).tolist() == [[[0, 1, 1]], [[1, 1, 0]]]
    assert binary.truth.tolist() == [[[0, 1, 1]], [[1, 1, 0]]]
    [other] = read_videos(find_videos(tmp_path / "pred", tmp_path / "gt", BINARY), BINARY)
    assert other.truth.tolist() == [[[0, 1, 1]], [[1, 1, 0]]]


def test_what_lies_below_a_result_is_no_video(tmp_path: Path) -> None:
    image(tmp_path / "gt" / "clip" / "1.png", [[1]])
    result(tmp_path / "pred" / "clip" / "maps.json", [[[1]]])
    image(tmp_path / "pred" / "clip" / "pictures" / "1.png", [[1]])
    assert names(tmp_path / "gt", tmp_path / "pred") == ["clip"]


def test_pictures_that_stand_apart_may_differ_in_size(tmp_path: Path) -> None:
    for name in ("gt", "pred"):
        image(tmp_path / name / "dog_1.png", [[1, 0]])
        image(tmp_path / name / "more" / "cat_2.png", [[2], [0], [2]])
    videos = list(read_videos(find_videos(tmp_path / "gt", tmp_path / "pred", PICTURES), PICTURES))
    assert [(video.name, video.truth.shape) for video in videos] == [
        ("dog_1", (1, 1, 2)), ("more/cat_2", (1, 3, 1)),
    ]  # fmt: skip
    (tmp_path / "pred" / "dog_1.png").unlink()
    result(tmp_path / "pred" / "dog_1" / "maps.json", [[[1, 0]]])
    assert names(tmp_path / "gt", tmp_path / "pred", PICTURES) == ["dog_1", "more/cat_2"]


def test_predictions_of_further_videos(folders: tuple[Path, Path]) -> None:
    truth, predicted = folders
    image(predicted / "two" / "1.png", [[0, 0, 0]])
    assert "maps of two, of which there is no truth" in refusal(truth, predicted)
    assert "--ignore-unknown" in refusal(truth, predicted)
    assert names(truth, predicted, ignore_unknown=True) == ["dog/one"]


def test_two_of_one_name(folders: tuple[Path, Path]) -> None:
    truth, predicted = folders
    image(predicted / "dog" / "one.mp4" / "1.png", [[0, 0, 0]])
    assert "a second one of the name dog/one" in refusal(truth, predicted)


def one_large(frames: Path) -> None:
    image(frames / "2.png", [[0] * 4])


def one_missing(frames: Path) -> None:
    (frames / "2.png").unlink()


def all_large(frames: Path) -> None:
    for path in frames.iterdir():
        image(path, [[0] * 4])


def not_known(frames: Path) -> None:
    image(frames / "2.png", [[255, 0, 0]])


def no_such_class(frames: Path) -> None:
    image(frames / "2.png", [[71, 0, 0]])


def no_such_category(frames: Path) -> None:
    result(frames / "maps.json", np.full((3, 1, 3), 71))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (one_large, "pred/dog/one/2.png: 4x1 pixels, 1.png has 3x1"),
        (one_missing, "pred/dog/one: 2 frames of 3x1 pixels, the truth of dog/one has 3 frames of 3x1 pixels"),
        (all_large, "pred/dog/one: 3 frames of 4x1 pixels, the truth of dog/one has 3 frames of 3x1 pixels"),
        (not_known, "pred/dog/one/2.png: class 255, which stands for what is not known"),
        (no_such_class, "pred/dog/one/2.png: class 71 at row 0, column 0"),
        (no_such_category, "pred/dog/one/maps.json: category 71 (thing 71), expected one of 71 classes"),
    ],
)
def test_what_is_wrong_is_said_of_the_file(
    folders: tuple[Path, Path], spoil: Callable[[Path], None], words: str
) -> None:
    spoil(folders[1] / "dog" / "one")
    assert words in refusal(*folders)


@pytest.mark.parametrize(("value", "words"), [(1, "greys of 0 and 1"), (None, "not a label image that can be read")])
def test_binary_predictions_that_cannot_be_meant(tmp_path: Path, value: int | None, words: str) -> None:
    image(tmp_path / "gt" / "one" / "1.png", [[0, 255]] * 40, "L")
    path = image(
        tmp_path / "pred" / "one" / "1.png", np.random.default_rng(0).integers(0, 2, (40, 2)) * (value or 200), "L"
    )
    if value is None:
        path.write_bytes(path.read_bytes()[:60])
    assert words in refusal(tmp_path / "gt", tmp_path / "pred", BINARY)


def test_greys_are_probabilities(tmp_path: Path) -> None:
    for name in ("gt", "pred"):
        image(tmp_path / name / "one" / "1.png", [[0, 127, 128, 255]], "L")
    [video] = read_videos(find_videos(tmp_path / "gt", tmp_path / "pred", BINARY), BINARY)
    assert (1 / (1 + np.exp(-video.drawn))).ravel() == pytest.approx(np.array([0, 127, 128, 255]) / 255, abs=1e-6)
    assert video.truth.tolist() == [[[0, 0, 1, 1]]]


def test_a_folder_that_is_none_or_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    image(tmp_path / "gt" / "1.png", [[0]])
    assert "gone: not a folder" in refusal(tmp_path / "gone", tmp_path / "gt")
    for truth, predicted in (("gt", "empty"), ("empty", "gt")):
        assert "empty: no label images in it" in refusal(tmp_path / truth, tmp_path / predicted)
    assert names(tmp_path / "gt", tmp_path / "gt") == ["."]
