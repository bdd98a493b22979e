"""``tracks.json``: the result itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.masks import Masks

_NO_TRACKS = '"tracks": []\n}\n'  # how the text of a result without tracks ends


def write_tracks(path: Path, result: ClipResult) -> None:
    """Write version 1 of the format, the same bytes on every system: those of ``result.to_json()``.

    The text is never in memory as a whole, nor are the areas and boxes of more than some masks.
    """
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(_pieces(result))


def _pieces(result: ClipResult) -> Iterator[str]:
    bare = replace(result, tracks=()).to_json()
    if not result.tracks:
        yield bare
        return
    yield bare.removesuffix(_NO_TRACKS) + '"tracks": [\n'
    for number, track in enumerate(result.tracks):
        yield ",\n" if number else ""
        yield from _track_pieces(result, track)
    yield "\n]\n}\n"


def _track_pieces(result: ClipResult, track: Track) -> Iterator[str]:
    """One track's object: its keys as the result orders them, what there is of each mask frame one at a time."""
    per_frame: dict[str, Callable[[Masks], Iterator[Any]]] = {
        "segmentations": iter,
        "bboxes": run_length.bboxes,
        "areas": run_length.areas,
    }
    keys = replace(result, times=(), tracks=(replace(track, masks=[]),)).to_dict()["tracks"][0]
    for number, (key, value) in enumerate(keys.items()):
        yield f"{', ' if number else '{'}{_dump(key)}: "
        if key in per_frame:
            yield from chain("[", _listed(per_frame[key](track.masks)), "]")
        else:
            yield _dump(value)
    yield "}"


def _listed(values: Iterator[Any]) -> Iterator[str]:
    for number, value in enumerate(values):
        yield f"{', ' if number else ''}{_dump(value)}"


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False)
