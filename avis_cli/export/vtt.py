"""``vtt``: WebVTT captions that say who sounds when."""

from __future__ import annotations

from html import escape
from pathlib import Path

from avis_cli.export.captions import captions, clock
from avis_cli.export.names import track_label
from avis_cli.export.request import Request
from avis_cli.results.clip import ClipResult


def write(target: Path, result: ClipResult, request: Request) -> None:
    """One cue per span of time with the same objects sounding, one object a line; UTF-8."""
    with target.open("w", encoding="utf-8", newline="\n") as file:
        file.write("WEBVTT\n")
        for caption in captions(result):
            lines = [escape(track_label(track), quote=False) for track in caption.tracks]
            file.write(f"\n{clock(caption.start, '.')} --> {clock(caption.end, '.')}\n")
            file.write("\n".join(lines) + "\n")
