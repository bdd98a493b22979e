"""VPO's layout on disk (Chen et al., CVPR 2024): still pictures, each with the sounds of some of its objects.

A row of the csv is one object that sounds. The masks hold the ids of the sounding objects' categories; what is silent
is background. In ``vpo.json``, which our builder writes beside it, the categories have their indices.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.errors import AnnotationError, MediaError
from avis_cli.files.json_file import read_json
from avis_cli.files.numbers import whole_number

Setting = Literal["ss", "ms", "msmi"]
DESCRIPTION = "vpo.json"
IGNORED = 255
LARGEST_ID = 254  # of a category: masks have 8 bits, and 255 is what is ignored
COLUMNS = ("img_Id", "ann_Ids", "cateName", "cateId", "vgg_file", "audio_pos", "multi_instance", "split")
RELEASED_IDS = {
    "airplane": 5, "baby": 94, "bird": 16, "bus": 6, "car": 3, "cat": 17, "cell phone": 77, "cow": 21, "dog": 18,
    "elephant": 22, "female": 93, "horse": 19, "keyboard": 76, "male": 92, "motorcycle": 4, "mouse": 74, "sheep": 20,
    "skateboard": 41, "sports ball": 37, "tennis racket": 43, "zebra": 24,
}  # fmt: skip
"""The ids of the published set's categories, in the order of their indices, from 1."""
SPLITS = ("train", "val", "test")
POSITION_DIGITS = 6


@dataclass(frozen=True)
class Row:
    """One sounding object. ``image``, ``annotation``: their numbers; ``sound``: the clip's name; ``position``: of the
    object, 0 left to 1 right; ``several``: whether its picture has several objects of a sounding category."""

    image: int
    annotation: int
    category: str
    category_id: int
    sound: str
    position: float
    several: bool
    split: str


@dataclass(frozen=True)
class Sample:
    """One picture with its sounds. ``picture``, ``mask``: files; ``rows``: its sounding objects."""

    picture: Path
    mask: Path
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Vpo:
    """A set. ``indices``: category id -> index, from 1; ``names``: of the categories by index; ``sounds``: their
    folder."""

    samples: tuple[Sample, ...]
    names: tuple[str, ...]
    indices: Mapping[int, int]
    sounds: Path


def folder_of(top: Path, setting: Setting, *, several: bool = True) -> Path:
    """Where pictures and masks lie: those of MSMI that have no several instances are MS's."""
    return top / f"VPO-{'MS' if setting == 'msmi' and not several else setting.upper()}"


def csv_of(top: Path, setting: Setting) -> Path:
    """The list of a set."""
    return folder_of(top, setting) / f"vpo_{setting}_data_stereo.csv"


def files_of(top: Path, setting: Setting, row: Row) -> tuple[Path, Path]:
    """The picture and the mask of a row."""
    folder, name = folder_of(top, setting, several=row.several), f"{row.image:012d}"
    if setting == "ss":
        mask = folder / "mask" / row.category / f"{name}_{row.annotation:012d}.png"
        return folder / "data" / row.category / f"{name}.jpg", mask
    return folder / "data" / f"{name}.jpg", folder / "mask" / f"{name}.png"


def read_vpo(top: Path, setting: Setting, split: str) -> Vpo:
    """The samples of a split below ``top``: each row of SS, all rows of a picture of the others. Raises AnnotationError
    that names file and row, MediaError for files that are not there."""
    path = csv_of(top, setting)
    rows = {number: row for number, row in _rows(path, setting) if row.split == split}
    if not rows:
        raise AnnotationError(f"no row of the split {split!r}", hint=f"expected one of {', '.join(SPLITS)}", file=path)
    names, indices = _categories(top, rows, path)
    sounds = top / "VGGSound" / "audios"
    grouped: dict[int, list[Row]] = {}
    for number, row in rows.items():
        for file in (*files_of(top, setting, row), sounds / f"{row.sound}.wav"):
            if not file.is_file():
                raise MediaError(f"row {number}: there is no {file.relative_to(top).as_posix()}", file=path)
        # a picture of SS may come again with another sound
        grouped.setdefault(number if setting == "ss" else row.image, []).append(row)
    for group in grouped.values():
        if len({row.several for row in group}) > 1:
            raise AnnotationError(f"rows of image {group[0].image} disagree on multi_instance", file=path)
    samples = tuple(Sample(*files_of(top, setting, group[0]), tuple(group)) for group in grouped.values())
    return Vpo(samples, names, indices, sounds)


def splits_of(top: Path, setting: Setting) -> set[str]:
    """The splits that have samples."""
    return {row.split for _, row in _rows(csv_of(top, setting), setting)}


def _rows(path: Path, setting: Setting) -> list[tuple[int, Row]]:
    """The rows with their numbers; the header has number 1."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"cannot be read ({error})", hint="expected the csv of a VPO set", file=path) from None
    try:
        reader = csv.DictReader(io.StringIO(text))
        entries = list(reader)
    except csv.Error as error:
        raise AnnotationError(f"cannot be read ({error})", hint="expected the csv of a VPO set", file=path) from None
    wanted = [name for name in COLUMNS if name != "multi_instance" or setting == "msmi"]
    missing = [name for name in wanted if name not in (reader.fieldnames or ())]
    if missing:
        raise AnnotationError(
            f"no column {', '.join(missing)}", hint=f"expected the columns {', '.join(wanted)}", file=path
        )
    return [(number, _row(entry, number, setting, path)) for number, entry in enumerate(entries, start=2)]


def _row(entry: Mapping[str, str | None], number: int, setting: Setting, path: Path) -> Row:
    def text(name: str) -> str:
        value = entry.get(name)
        if not value:
            raise AnnotationError(f"row {number}: no {name}", file=path)
        return value

    def whole(name: str) -> int:
        value = text(name)
        found = whole_number(value)
        if found is None or len(value) > 15:
            raise AnnotationError(f"row {number}: {name} {value[:40]!r}, expected a whole number", file=path)
        return found

    try:
        position = float(text("audio_pos"))
    except ValueError:
        position = float("nan")
    if not 0 <= position <= 1:
        raise AnnotationError(f"row {number}: audio_pos {text('audio_pos')[:40]!r}, expected 0 to 1", file=path)
    if text("split") not in SPLITS:
        expected = f"expected one of {', '.join(SPLITS)}"
        raise AnnotationError(f"row {number}: split {text('split')[:40]!r}, {expected}", file=path)
    for name in ("cateName", "vgg_file"):
        if not is_safe_name(text(name)):
            raise AnnotationError(f"row {number}: {name} {text(name)[:40]!r} cannot be a file's name", file=path)
    return Row(
        whole("img_Id"), whole("ann_Ids"), text("cateName"), whole("cateId"), text("vgg_file"), position,
        setting == "msmi" and whole("multi_instance") != 0, text("split"),
    )  # fmt: skip


def is_safe_name(name: str) -> bool:
    """Whether a name can be that of a file or folder anywhere, and stays where it is put."""
    return (
        0 < len(name) <= 120
        and name.strip(". ") == name
        and all(letter.isprintable() and letter not in '<>:"/\\|?*' for letter in name)
    )


def _categories(top: Path, rows: Mapping[int, Row], path: Path) -> tuple[tuple[str, ...], dict[int, int]]:
    """Of ``vpo.json``, else the published ones."""
    described = top / DESCRIPTION
    known = _described(described) if described.exists() else RELEASED_IDS
    for number, row in rows.items():
        if known.get(row.category) != row.category_id:
            raise AnnotationError(
                f"row {number}: category {row.category[:40]!r} with id {row.category_id}, expected one of "
                f"{', '.join(known)}",
                file=path,
            )
    return tuple(known), {id: index for index, id in enumerate(known.values(), start=1)}


def _described(path: Path) -> dict[str, int]:
    """Name -> id of each category, by rising index."""
    known: dict[str, int] = {}
    for index, node in enumerate(read_json(path).key("categories").items(), start=1):
        name, id = node.key("name").text(), node.key("id").integer(1, LARGEST_ID)
        node.key("index").integer(index, index)
        if name in known or id in known.values():
            node.refuse("a name and an id of its own", got=f"{name[:40]!r} with id {id} again")
        known[name] = id
    return known


def read_labels(path: Path, indices: Mapping[int, int], size: tuple[int, int] | None = None) -> NDArray[np.int64]:
    """A mask as indices (H, W), 0 for the background, ``IGNORED`` as it is. ``size``: width and height that it must
    have. Raises AnnotationError for a value that is no category's id: all ids become indices at once, so that none is
    taken for another."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode not in ("L", "P"):
                raise AnnotationError(f"an image of mode {image.mode}, expected 8 bits of category ids", file=path)
            if size is not None and image.size != size:
                raise AnnotationError(
                    f"{image.width}x{image.height} pixels, its picture has {size[0]}x{size[1]}", file=path
                )
            values = np.array(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise AnnotationError(f"not a mask that can be read ({error})", file=path) from None
    table = np.full(256, -1, np.int64)
    table[0], table[IGNORED] = 0, IGNORED
    for id, index in indices.items():
        table[id] = index
    labels = table[values]
    if (labels < 0).any():
        raise AnnotationError(
            f"value {int(values[labels < 0][0])}, which is no category's id", hint="expected ids or 0", file=path
        )
    return labels


def released_labels(values: NDArray[np.int64], ids: Mapping[str, int] = RELEASED_IDS) -> NDArray[np.int64]:
    """Ids to indices as the released loader does it: one value after another, rising, in place, so that a car (3 -> 5)
    is then taken for an airplane (5 -> 1) where there is one."""
    indices = {id: index for index, id in enumerate(ids.values(), start=1)}
    labels = values.copy()
    for value in np.unique(values).tolist():
        if value not in (0, IGNORED):
            labels[labels == value] = indices[value]
    return labels


def write_csv(path: Path, rows: Iterable[Row]) -> None:
    """The list of a set."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(
            [
                row.image, row.annotation, row.category, row.category_id, row.sound,
                f"{row.position:.{POSITION_DIGITS}f}", int(row.several), row.split,
            ]
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(lines.getvalue(), encoding="utf-8", newline="\n")


def write_description(path: Path, document: Mapping[str, object]) -> None:
    """``vpo.json``."""
    path.write_text(json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n", encoding="ascii")
