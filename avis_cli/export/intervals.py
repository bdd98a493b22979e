"""Who sounds when, as text: captions (``srt``, ``vtt``), labels (``audacity``) and a table (``csv``).

Labels and the table have one line per track and sounding interval. Captions cannot overlap: for them the time is cut
wherever a track begins or ends, and each piece names all that sound in it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from avis_cli.export.export_request import Request, category_name, plain, track_label
from avis_cli.results.clip import ClipResult, Track
from avis_cli.text import spreadsheet_safe

CSV_COLUMNS = ("file", "track", "category_id", "category", "score", "start", "end")

# SubRip has no way to escape what players take for markup: letters that look the same stand for it
_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "❴", "}": "❵"})


@dataclass(frozen=True)
class Caption:
    """From ``start`` to ``end`` in whole milliseconds, ``tracks`` (in the order of the result) sound."""

    start: int
    end: int
    tracks: tuple[Track, ...]


def captions(result: ClipResult) -> list[Caption]:
    """In order, apart, none empty; pieces shorter than a millisecond are left out."""
    spans = [
        (round(start * 1000), round(end * 1000), place)
        for place, track in enumerate(result.tracks)
        for start, end in track.sounding
    ]
    edges = sorted({time for start, end, _ in spans for time in (start, end)})
    begins: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for start, end, place in spans:
        if start < end:
            begins.setdefault(start, []).append(place)
            ends.setdefault(end, []).append(place)
    found: list[Caption] = []
    # spans of one track may touch: it then ends and begins at once, so places are counted
    now: dict[int, int] = {}
    for start, end in pairwise(edges):
        for place in begins.get(start, []):
            now[place] = now.get(place, 0) + 1
        for place in ends.get(start, []):
            now[place] -= 1
        tracks = tuple(result.tracks[place] for place in sorted(now) if now[place])
        if tracks and found and found[-1].end == start and found[-1].tracks == tracks:
            found[-1] = Caption(found[-1].start, end, tracks)
        elif tracks:
            found.append(Caption(start, end, tracks))
    return found


def write_srt(target: Path, result: ClipResult, request: Request) -> None:
    """SubRip: one caption per span of time with the same objects sounding, one object a line; UTF-8."""
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for number, caption in enumerate(captions(result), start=1):
            lines = [track_label(track).translate(_LOOKALIKES) for track in caption.tracks]
            file.write(f"{number}\n{_clock(caption.start, ',')} --> {_clock(caption.end, ',')}\n")
            file.write("\n".join(lines) + "\n\n")


def write_vtt(target: Path, result: ClipResult, request: Request) -> None:
    """WebVTT: one cue per span of time with the same objects sounding, one object a line; UTF-8."""
    with target.open("w", encoding="utf-8", newline="\n") as file:
        file.write("WEBVTT\n")
        for caption in captions(result):
            lines = [escape(track_label(track), quote=False) for track in caption.tracks]
            file.write(f"\n{_clock(caption.start, '.')} --> {_clock(caption.end, '.')}\n")
            file.write("\n".join(lines) + "\n")


def _clock(milliseconds: int, point: str) -> str:
    """``00:01:02.500`` with ``point`` between seconds and milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"


def write_audacity(target: Path, result: ClipResult, request: Request) -> None:
    """Start, end and name separated by tabs, by time; seconds from the clip's first frame."""
    labels = sorted(
        (start, end, track.id, track_label(track)) for track in result.tracks for start, end in track.sounding
    )
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for start, end, _, name in labels:
            file.write(f"{start:.6f}\t{end:.6f}\t{name}\n")


def write_csv(target: Path, result: ClipResult, request: Request) -> None:
    """Times in seconds from the clip's first frame, numbers at full precision; quoted as RFC 4180 says, UTF-8.

    A track that never sounds has one row without times. Names that a spreadsheet would take for formulas are set
    behind an apostrophe.
    """
    with target.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(CSV_COLUMNS)
        for track in result.tracks:
            name = category_name(track.category_id, track.label)
            file_name, name = spreadsheet_safe(plain(result.source.file)), spreadsheet_safe(name)
            head = (file_name, track.id, track.category_id, name, track.score)
            spans = [(repr(start), repr(end)) for start, end in track.sounding]
            for span in spans or [("", "")]:
                rows.writerow((*head, *span))
