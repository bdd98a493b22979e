"""``srt``: SubRip captions that say who sounds when."""

from __future__ import annotations

from pathlib import Path

from avis_cli.export.captions import captions, clock
from avis_cli.export.names import track_label
from avis_cli.export.request import Request
from avis_cli.results.clip import ClipResult

# SubRip has no way to escape what players take for markup: letters that look the same stand for it
_LOOKALIKES = str.maketrans({"<": "‹", ">": "›", "{": "❴", "}": "❵"})


def write(target: Path, result: ClipResult, request: Request) -> None:
    """One caption per span of time with the same objects sounding, one object a line; UTF-8."""
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for number, caption in enumerate(captions(result), start=1):
            lines = [track_label(track).translate(_LOOKALIKES) for track in caption.tracks]
            file.write(f"{number}\n{clock(caption.start, ',')} --> {clock(caption.end, ',')}\n")
            file.write("\n".join(lines) + "\n\n")
