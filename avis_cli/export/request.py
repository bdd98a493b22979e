"""What an export is asked for besides the result, and how it tells what it could not keep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from avis_cli.progress import Progress, silent


def _unheard(text: str) -> None:
    """A listener for callers who do not want to know."""


@dataclass(frozen=True)
class Request:
    """``video``: the clip itself, None where it was not given; ``position``: of the result among those of one command,
    from 1; ``warn`` is told in a line each what the format could not keep."""

    video: Path | None = None
    position: int = 1
    progress: Progress = silent
    warn: Callable[[str], None] = _unheard
