"""AVSBench's layouts as they may be found: clips with other files than expected, masks of every kind, odd sounds."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paths
import pytest
from PIL import Image

from avis_cli.datasets import avsbench
from avis_cli.datasets.avsbench import Layout
from avis_cli.datasets.label_images import IGNORED, read_label_image
from avis_cli.datasets.synth.avs_layout import write_avs_split
from avis_cli.datasets.synth.layout import SplitRequest
from avis_cli.datasets.wave_file import write_wave
from avis_cli.errors import AnnotationError, AvisError
from avis_cli.models.tpavi.config import PRESETS
from avis_cli.results.palette import voc_palette
from avis_cli.train.sources import open_source

SIZE = (64, 48)


@pytest.fixture(params=["s4", "ms3", "avss"])
def layout(request: pytest.FixtureRequest) -> Layout:
    found: Layout = request.param
    return found


@pytest.fixture
def data(tmp_path: Path, layout: Layout) -> Path:
    """A clip to train on and one to test with."""
    for split in ("train", "test"):
        write_avs_split(tmp_path / "data", layout, SplitRequest(split, 1, 1, 5, SIZE))
    return tmp_path / "data"


def pictures(data: Path, layout: Layout) -> tuple[Path, ...]:
    return avsbench.read_split(data, layout, "train").clips[0].pictures


def test_a_picture_too_many_and_one_too_few(data: Path, layout: Layout) -> None:
    last = pictures(data, layout)[-1]
    more = last.with_name(last.name.replace("4", "5") if layout == "avss" else last.name.replace("_5.", "_6."))
    more.write_bytes(last.read_bytes())
    with pytest.raises(AvisError, match=rf"row 2: .*{more.name} is one picture too many; a clip has 5"):
        avsbench.read_split(data, layout, "train")
    more.unlink()
    last.unlink()
    with pytest.raises(AvisError, match=rf"row 2: there is no .*{last.name}"):
        avsbench.read_split(data, layout, "train")


def test_a_mask_too_few(data: Path, layout: Layout) -> None:
    label = avsbench.read_split(data, layout, "train").clips[0].labels[0]
    assert label is not None
    label.unlink()
    with pytest.raises(AvisError, match=rf"row 2: there is no .*{label.name}"):
        avsbench.read_split(data, layout, "train")


def test_columns_are_found_by_name_and_else_by_place(data: Path, layout: Layout) -> None:
    listed = avsbench.list_of(data, layout)
    rows = list(csv.reader(listed.open()))
    before = avsbench.read_split(data, layout, "test")
    # an index in front, as pandas writes it
    order = [["", *rows[0]], *([str(number), *row] for number, row in enumerate(rows[1:]))]
    if layout == "avss":
        write(listed, [row[::-1] for row in rows])
        assert avsbench.read_split(data, layout, "test") == before
        write(listed, order)
        assert avsbench.read_split(data, layout, "test") == before
        return
    write(listed, [[*row[:-1], "note", row[-1]] if layout == "s4" else row for row in rows])
    assert avsbench.read_split(data, layout, "test") == before, "split has its name"
    renamed = ["clip" if name in ("name", "video_id") else name for name in rows[0]]
    write(listed, [renamed, *rows[1:]])
    assert avsbench.read_split(data, layout, "test") == before, "the name is in the first column"


def write(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


Spoil = Callable[[Path], Any]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.write_bytes(b""), "wav"),
        (lambda path: path.write_text("no sound"), "wav"),
        (lambda path: write_wave(path, np.zeros(0, np.float32)), "wav"),
    ],
)
@pytest.mark.parametrize("layout", ["ms3"], indirect=True)
def test_sounds_that_are_none_are_named(data: Path, spoil: Spoil, words: str) -> None:
    path = avsbench.read_split(data, "ms3", "test").clips[0].sound
    spoil(path)
    with pytest.raises(AvisError) as caught:
        open_source(data, "test", PRESETS["tpavi-tiny"]).read(0, [0, 1])
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", ["ms3"], indirect=True)
def test_sounds_of_another_rate_are_the_same_sound(data: Path, tmp_path: Path) -> None:
    read = []
    for rate in (16_000, 44_100):
        other = shutil.copytree(data, tmp_path / str(rate))
        times = np.arange(5 * rate) / rate
        tone = (0.4 * np.sin(2 * np.pi * 440 * times * (1 + times))).astype(np.float32)
        write_wave(avsbench.read_split(other, "ms3", "test").clips[0].sound, tone, rate)
        read.append(open_source(other, "test", PRESETS["tpavi-tiny"]).read(0, [1, 3]).patches)
    same, different = np.abs(read[0] - read[1]).mean(), np.abs(read[0][0] - read[0][1]).mean()
    assert same < 0.1 * different


# --- masks


def saved(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_the_foreground_of_binary_masks(tmp_path: Path) -> None:
    half = np.zeros((4, 6), np.uint8)
    half[:, 3:] = 1
    palette = Image.fromarray(half)
    palette.putpalette([0, 0, 0, 1, 1, 1])
    for image in (
        Image.fromarray(half * 255), Image.fromarray(half * 128), Image.fromarray(half * 255 + 127 * (1 - half)),
        Image.fromarray(half > 0), palette, Image.fromarray(np.repeat(half[..., None] * 200, 3, 2)),
    ):  # fmt: skip
        np.testing.assert_array_equal(read_label_image(saved(tmp_path / "mask.png", image), 2), half)
    nothing = Image.fromarray(half * 0)
    assert not read_label_image(saved(tmp_path / "mask.png", nothing), 2).any()
    with pytest.raises(AnnotationError, match=r"mask\.png: greys of 0 and 1"):
        read_label_image(saved(tmp_path / "mask.png", Image.fromarray(half)), 2)


def test_colours_are_the_published_ones() -> None:
    golden = json.loads((paths.DATA / "evaluation" / "palette.json").read_text())
    np.testing.assert_array_equal(voc_palette()[:71], golden)


def test_every_colour_of_the_class_map_and_no_other(tmp_path: Path) -> None:
    numbers = np.arange(71).reshape(1, 71)
    path = saved(tmp_path / "mask.png", Image.fromarray(voc_palette()[numbers].astype(np.uint8)))
    np.testing.assert_array_equal(read_label_image(path, 71), numbers)
    with pytest.raises(AnnotationError, match="at row 0, column 70"):
        read_label_image(path, 70)
    colours = voc_palette()[numbers].astype(np.uint8)
    colours[0, 9] = (1, 0, 0)
    with pytest.raises(AnnotationError, match=r"mask\.png: a colour of no class at row 0, column 9"):
        read_label_image(saved(tmp_path / "mask.png", Image.fromarray(colours)), 71)
    indices = np.array([[0, 70, IGNORED]], np.uint8)
    np.testing.assert_array_equal(read_label_image(saved(tmp_path / "m.png", Image.fromarray(indices)), 71), indices)
    with pytest.raises(AnnotationError, match="6x4 pixels, its picture has 9x9"):
        read_label_image(saved(tmp_path / "mask.png", Image.new("L", (6, 4))), 71, (9, 9))
