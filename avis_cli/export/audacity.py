"""``audacity``: labels to import under the waveform: start, end and name, separated by tabs."""

from __future__ import annotations

from pathlib import Path

from avis_cli.export.names import track_label
from avis_cli.export.request import Request
from avis_cli.results.clip import ClipResult


def write(target: Path, result: ClipResult, request: Request) -> None:
    """One line per track and sounding interval, by time; seconds from the clip's first frame."""
    labels = sorted(
        (start, end, track.id, track_label(track)) for track in result.tracks for start, end in track.sounding
    )
    with target.open("w", encoding="utf-8", newline="\n") as file:
        for start, end, _, name in labels:
            file.write(f"{start:.6f}\t{end:.6f}\t{name}\n")
