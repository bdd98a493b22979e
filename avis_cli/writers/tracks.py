"""``tracks.json``: the result itself."""

from __future__ import annotations

from pathlib import Path

from avis_cli.results import ClipResult


def write_tracks(path: Path, result: ClipResult) -> None:
    """Write version 1 of the format, the same bytes on every system."""
    path.write_text(result.to_json(), encoding="utf-8", newline="\n")
