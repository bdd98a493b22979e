"""``mots``: class and instance of every pixel as 16-bit images, and the same masks as lines of text.

The number of an object is class x 1000 + instance. 0 is background and 10000 means "ignore", so there is no class 10:
categories are numbered 1 to 9 and 11 on, in their order.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from avis_cli.errors import OutputError
from avis_cli.export.export_request import Request, category_name, clip_name
from avis_cli.export.images import flat_frames, write_pictures
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

IGNORED = 10  # the class of regions that count for nothing
MAX_CLASS = 64  # 65 x 1000 + 999 exceeds 16 bits
MAX_INSTANCES = 999

_DIGITS = 6


def write(target: Path, result: ClipResult, request: Request) -> None:
    """``instances/000000.png`` ... with ``labels.txt``, ``instances_txt/NAME.txt``, and ``images/`` if the clip is
    given. Frames count from 0. Raises OutputError for a class or an instance without a number."""
    numbers = object_numbers(result)
    classes = class_numbers(result)
    moved = sorted({track.category_id for track in result.tracks if classes[track.category_id] != track.category_id})
    if moved:
        request.warn(
            f"category {moved[0]} is MOTS class {classes[moved[0]]}: classes follow the order of the categories and "
            f"leave out {IGNORED}, which means ignore; line n of labels.txt names class n"
        )
    folder = target / "instances"
    folder.mkdir()
    lines: list[str] = []
    for index, labels in flat_frames(result, numbers, request):
        Image.fromarray(labels).save(folder / f"{index:0{_DIGITS}d}.png")
        for number in sorted(int(value) for value in np.unique(labels) if value):
            mask = run_length.encode(labels == number)
            height, width = mask["size"]
            lines.append(f"{index} {number} {number // 1000} {height} {width} {mask['counts']}\n")
    (folder / "labels.txt").write_text(_label_lines(result), encoding="utf-8", newline="\n")
    text = target / "instances_txt"
    text.mkdir()
    (text / f"{clip_name(result)}.txt").write_text("".join(lines), encoding="ascii", newline="\n")
    if request.video is not None:
        write_pictures(target / "images", _DIGITS, result, request)


def class_numbers(result: ClipResult) -> dict[int, int]:
    """Category id -> MOTS class."""
    return {id: place + (place >= IGNORED) for place, (id, _) in enumerate(result.categories, start=1)}


def object_numbers(result: ClipResult) -> dict[int, int]:
    """Track id -> class x 1000 + instance; instances of a class count from 1 in the order of the tracks."""
    classes = class_numbers(result)
    counts: Counter[int] = Counter()
    numbers: dict[int, int] = {}
    for track in result.tracks:
        number = classes[track.category_id]
        counts[number] += 1
        if number > MAX_CLASS:
            raise OutputError(
                f"category {track.category_id} would be class {number}, MOTS images hold classes up to {MAX_CLASS}",
                hint="export as ytvis",
            )
        if counts[number] > MAX_INSTANCES:
            raise OutputError(
                f"more than {MAX_INSTANCES} tracks of category {track.category_id} do not fit into MOTS",
                hint="keep fewer tracks (avis segment --max-tracks or --threshold), or export as ytvis",
            )
        numbers[track.id] = number * 1000 + counts[number]
    return numbers


def _label_lines(result: ClipResult) -> str:
    names = [category_name(id, name) for id, name in result.categories]
    if len(names) >= IGNORED:
        names.insert(IGNORED - 1, "ignored")
    return "".join(f"{name}\n" for name in names)
