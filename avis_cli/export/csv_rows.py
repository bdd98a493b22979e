"""``csv``: one row per track and sounding interval; a track without any has one row without times."""

from __future__ import annotations

import csv
from pathlib import Path

from avis_cli.export.names import category_name, plain
from avis_cli.export.request import Request
from avis_cli.results.clip import ClipResult

COLUMNS = ("file", "track", "category_id", "category", "score", "start", "end")


def write(target: Path, result: ClipResult, request: Request) -> None:
    """Times in seconds from the clip's first frame, numbers at full precision; quoted as RFC 4180 says, UTF-8."""
    with target.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for track in result.tracks:
            name = category_name(track.category_id, track.label)
            head = (plain(result.source.file), track.id, track.category_id, name, track.score)
            spans = [(repr(start), repr(end)) for start, end in track.sounding]
            for span in spans or [("", "")]:
                rows.writerow((*head, *span))
