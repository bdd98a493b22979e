"""What the writer of every format works with: options besides the result, and names as other formats hold them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avis_cli.progress import Progress, silent
from avis_cli.results.clip import Track
from avis_cli.results.source import Described

_LONGEST = 120  # letters of a file name; systems allow 255 bytes, and an ending follows


def _ignore(text: str) -> None:
    """The ``warn`` of callers who do not want to know."""


@dataclass(frozen=True)
class Request:
    """Options of one export. ``video``: the clip itself, None where it was not given; ``position``: of the result among
    those of one command, from 1; ``warn`` is called with a line for each thing that the format could not keep."""

    video: Path | None = None
    position: int = 1
    progress: Progress = silent
    warn: Callable[[str], None] = _ignore


def plain(text: str) -> str:
    """One line: white space becomes single spaces, control characters and halves of surrogate pairs are replaced.

    What is left is legal in XML 1.0, in tab-separated lines and in captions.
    """
    words = text.encode("utf-8", "replace").decode("utf-8").split()
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(words))


def category_name(id: int, name: str) -> str:
    """A category's name in one line, never empty."""
    return plain(name) or f"category {id}"


def track_label(track: Track) -> str:
    """``person 2``, of a class its name: the category and the track's id, as the overlay has it, at full length."""
    name = category_name(track.category_id, track.label)
    return name if track.is_class else f"{name} {track.id}"


def clip_name(result: Described) -> str:
    """The clip's file name without folder and ending, fit to be a file name of ours: it is read from a file."""
    name = os.path.splitext(os.path.basename(result.source.file.replace("\\", "/")))[0]
    safe = "".join("_" if c in '<>:"/\\|?*' else c for c in plain(name)).strip(". ")
    return safe[:_LONGEST] or "clip"
