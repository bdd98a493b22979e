"""The three layouts of AVSBench on disk (Zhou et al., ECCV 2022 and IJCV 2024): S4, MS3 and AVSS.

Log-mel pickles are never opened: they can run code, and the WAV gives the same numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from avis_cli.datasets.vpo import is_safe_name
from avis_cli.errors import AnnotationError, MediaError
from avis_cli.files.json_file import read_json

Layout = Literal["s4", "ms3", "avss"]
FRAMES = 5
"""Of a clip of S4 and MS3, one a second."""
LISTS = {"s4": "s4_meta_data.csv", "ms3": "ms3_meta_data.csv", "avss": "metadata.csv"}
NUMBERS = "label2idx.json"
SUBSETS = ("v1s", "v1m", "v2")
_COLUMNS: Mapping[str, tuple[tuple[str, int], ...]] = {
    "s4": (("name", 0), ("category", 2), ("split", 3)),
    "ms3": (("name", 0), ("split", 1)),
    "avss": (("uid", -1), ("label", -1), ("split", -1)),
}
"""Of each list the columns that are read, and where the released program expects them, -1 for by name only."""


@dataclass(frozen=True)
class MapClip:
    """A clip whose pixels are labelled. ``pictures`` and ``labels``: a file for each second, None where there is no
    truth; ``sound``: a WAV."""

    name: str
    pictures: tuple[Path, ...]
    labels: tuple[Path | None, ...]
    sound: Path


@dataclass(frozen=True)
class MapSplit:
    """``categories``: names by number, from 1; one where only what sounds is told."""

    layout: Layout
    categories: tuple[str, ...]
    clips: tuple[MapClip, ...]


def find_layout(data: Path) -> Layout | None:
    """The layout that a folder has, None for none of these."""
    for layout, name in LISTS.items():
        if (data / name).is_file() and (layout != "avss" or (data / NUMBERS).is_file()):
            return layout  # type: ignore[return-value]
    return None


def list_of(data: Path, layout: Layout) -> Path:
    """The file that lists the clips."""
    return data / LISTS[layout]


def splits_of(data: Path, layout: Layout) -> set[str]:
    """The splits that have clips."""
    return {row["split"] for _, row in _rows(list_of(data, layout), layout)}


def read_split(data: Path, layout: Layout, split: str) -> MapSplit:
    """Every clip of a split. Raises AnnotationError naming file and row, MediaError for a clip whose files are not
    there."""
    path = list_of(data, layout)
    rows = [(number, row) for number, row in _rows(path, layout) if row["split"] == split]
    if not rows:
        raise AnnotationError(f"no row of the split {split!r}", hint="expected train, val or test", file=path)
    read = {"s4": _s4_clip, "ms3": _ms3_clip, "avss": _avss_clip}[layout]
    clips = tuple(read(data, row, split, f"row {number}", path) for number, row in rows)
    names = read_numbers(data / NUMBERS) if layout == "avss" else ("sounding",)
    return MapSplit(layout, names, clips)


def _rows(path: Path, layout: Layout) -> list[tuple[int, dict[str, str]]]:
    try:
        lines = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"cannot be read ({error})", file=path) from None
    header = [cell.strip() for cell in lines[0]] if lines else []
    places: dict[str, int] = {}
    for name, usual in _COLUMNS[layout]:
        place = header.index(name) if name in header else usual
        # the columns that the released program reads by place have other names there
        if not 0 <= place < len(header) or (name == "split" and name not in header):
            wanted = ", ".join(column for column, _ in _COLUMNS[layout])
            raise AnnotationError(f"no column {name}", hint=f"expected a header with {wanted}", file=path)
        places[name] = place
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cells):
            continue
        if len(cells) <= max(places.values()):
            raise AnnotationError(f"row {number}: {len(cells)} cells, expected {len(header)}", file=path)
        row = {name: cells[place].strip() for name, place in places.items()}
        for name, cell in row.items():
            if not is_safe_name(cell):
                raise AnnotationError(f"row {number}: {name} {cell[:40]!r} cannot be a file's name", file=path)
        rows.append((number, row))
    return rows


def _s4_clip(data: Path, row: Mapping[str, str], split: str, where: str, file: Path) -> MapClip:
    part, name = data / "s4_data", row["name"]
    inner = Path(split) / row["category"]
    labels = [part / "gt_masks" / inner / name / f"{name}_{number}.png" for number in range(1, FRAMES + 1)]
    # of a training clip only the first frame is labelled
    known = [label if number == 0 or split != "train" else None for number, label in enumerate(labels)]
    pictures = [part / "visual_frames" / inner / name / f"{name}_{number}.png" for number in range(1, FRAMES + 2)]
    return _clip(name, pictures, known, part / "audio_wav" / inner / f"{name}.wav", where, file)


def _ms3_clip(data: Path, row: Mapping[str, str], split: str, where: str, file: Path) -> MapClip:
    part, name = data / "ms3_data", row["name"]
    labels = [part / "gt_masks" / split / name / f"{name}_{number}.png" for number in range(1, FRAMES + 1)]
    pictures = [part / "visual_frames" / name / f"{name}.mp4_{number}.png" for number in range(1, FRAMES + 2)]
    return _clip(name, pictures, list(labels), part / "audio_wav" / split / f"{name}.wav", where, file)


def _avss_clip(data: Path, row: Mapping[str, str], split: str, where: str, file: Path) -> MapClip:
    if row["label"] not in SUBSETS:
        expected = f"expected one of {', '.join(SUBSETS)}"
        raise AnnotationError(f"{where}: label {row['label'][:40]!r}, {expected}", file=file)
    folder, count = data / row["label"] / row["uid"], 10 if row["label"] == "v2" else FRAMES
    labels = [folder / "labels_rgb" / f"{number}.png" for number in range(count)]
    every = split != "train" or row["label"] != "v1s"  # of these only the first frame is labelled
    known = [label if number == 0 or every else None for number, label in enumerate(labels)]
    pictures = [folder / "frames" / f"{number}.jpg" for number in range(count + 1)]
    return _clip(row["uid"], pictures, known, folder / "audio.wav", where, file)


def _clip(name: str, pictures: list[Path], labels: list[Path | None], sound: Path, where: str, file: Path) -> MapClip:
    """``pictures``: one more than there are labels, which must not be there."""
    *pictures, beyond = pictures
    if beyond.exists():
        raise MediaError(
            f"{where}: {beyond.relative_to(file.parent)} is one picture too many", hint=f"a clip has {len(labels)}",
            file=file,
        )  # fmt: skip
    for path in (*pictures, *(label for label in labels if label is not None)):
        if not path.is_file():
            raise MediaError(f"{where}: there is no {path.relative_to(file.parent)}", file=file)
    if not sound.is_file():
        mel = Path(*("audio_log_mel" if part == "audio_wav" else part for part in sound.with_suffix(".pkl").parts))
        why = "pickles are not opened, they can run code: give the WAV" if mel.is_file() else "give the sound as WAV"
        raise MediaError(
            f"{where}: there is no {sound.relative_to(file.parent)}",
            hint=why,
            file=file,
        )
    return MapClip(name, tuple(pictures), tuple(labels), sound)


def read_numbers(path: Path) -> tuple[str, ...]:
    """Names of the categories by number, from 1; the background has number 0. Raises AnnotationError for numbers that
    do not run on."""
    top = read_json(path)
    if not isinstance(top.value, dict):
        top.refuse("an object of names and numbers")
    numbers = {top.key(name).integer(0, 255): str(name) for name in top.value}
    if len(numbers) != len(top.value) or sorted(numbers) != list(range(len(numbers))) or len(numbers) < 2:
        top.refuse("a number of its own for each name, from 0 on", got=f"{len(top.value)} names with other numbers")
    return tuple(numbers[number] for number in range(1, len(numbers)))
