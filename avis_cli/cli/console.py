"""What a command says, and where: results on stdout; notes, warnings, progress and errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from avis_cli.progress import Progress


@dataclass
class _Verbosity:
    quiet: bool = False
    debug: bool = False


_verbosity = _Verbosity()


def reset() -> None:
    """Forget what an earlier command of this process was told."""
    _verbosity.quiet = False
    _verbosity.debug = False


def is_debug() -> bool:
    return _verbosity.debug


def _set_quiet(value: bool) -> bool:
    _verbosity.quiet = value
    return value


def _set_debug(value: bool) -> bool:
    _verbosity.debug = value
    return value


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only errors and results.", callback=_set_quiet)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", callback=_set_debug)]


def _write(stream: TextIO, text: str) -> None:
    # names of files may hold what the stream's encoding cannot: escaped rather than lost
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    stream.flush()


def result(text: str) -> None:
    """A line on stdout: a path or a piece of JSON, nothing else."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    if not _verbosity.quiet:
        _write(sys.stderr, f"avis: {text}")


def warn(text: str) -> None:
    if not _verbosity.quiet:
        _write(sys.stderr, f"avis: warning: {text}")


def error(text: str) -> None:
    _write(sys.stderr, f"avis: {text}")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yields a progress callback that draws one bar a phase on stderr, with rate and time left.

    Nothing is drawn when stderr is no terminal or the user asked for quiet.
    """
    if _verbosity.quiet or not sys.stderr.isatty():
        from avis_cli.progress import silent

        yield silent
        return
    bars = _Bars()
    try:
        yield bars
    finally:
        bars.close()


_BYTE_PHASES = ("downloading", "checking")  # their progress counts bytes, all others' frames


class _Bars:
    """One tqdm bar at a time; a new phase closes the bar of the one before."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._bar: Any = None

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        from tqdm import tqdm

        if phase != self._phase:
            self.close()
            self._phase = phase
            in_bytes = phase in _BYTE_PHASES
            style: dict[str, Any] = {"unit": "B", "unit_scale": True} if in_bytes else {"unit": " frames"}
            self._bar = tqdm(desc=phase, total=total, file=sys.stderr, dynamic_ncols=True, leave=False, **style)
        if total is not None and self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._phase = None
