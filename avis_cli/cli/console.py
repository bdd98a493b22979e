"""What a command says, and where: results on stdout; notes, warnings, progress and errors on stderr."""

from __future__ import annotations

import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from avis_cli.errors import AvisError
from avis_cli.text import printable

if TYPE_CHECKING:
    from avis_cli.progress import Progress


@dataclass
class _State:
    quiet: bool = False
    debug: bool = False
    bars: _Bars | None = None  # what is drawn now


_state = _State()


def reset() -> None:
    """Forget what an earlier command of this process was told."""
    _state.quiet = False
    _state.debug = False
    _state.bars = None


def _set_quiet(value: bool) -> bool:
    _state.quiet = value
    return value


def _set_debug(value: bool) -> bool:
    _state.debug = value
    if value:
        warnings.simplefilter("default")
    return value


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.", callback=_set_quiet)]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of an error before its line.", callback=_set_debug)
]


def result(text: str) -> None:
    """Text on stdout, as it is: a path or a piece of JSON, nothing else."""
    _write(sys.stdout, text)


def note(text: str) -> None:
    if not _state.quiet:
        error(text)


def warn(text: str) -> None:
    if not _state.quiet:
        error(f"warning: {text}")


def error(text: str) -> None:
    """One line on stderr, whatever is in the text."""
    if _state.bars is not None:
        _state.bars.hide()
    _write(sys.stderr, f"avis: {printable(text)}")


def report(failure: BaseException, file: object = None) -> None:
    """What failed, in one line on stderr; with --debug its traceback comes first.

    ``file``: the input at work, for failures that do not name it themselves.
    """
    if _state.debug and sys.stderr is not None:
        traceback.print_exception(failure, file=sys.stderr)
    line = _describe(failure)
    named = file is None or (isinstance(failure, AvisError) and failure.file is not None)
    error(line if named else f"{file}: {line}")


def _describe(failure: BaseException) -> str:
    if isinstance(failure, AvisError):
        return str(failure)
    # torch's own kind is known by its name: torch is not imported for this
    if isinstance(failure, MemoryError) or type(failure).__name__ == "OutOfMemoryError":
        return "out of memory; do less at once (a part with --start and --end), or take another --device"
    cause = " ".join(f"{type(failure).__name__}: {failure}".split())
    return f"unexpected failure: {cause}; run again with --debug and report it"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed before the program began
        return
    # names of files may hold what the stream's encoding cannot: bytes that are no text as they are, the rest escaped
    encoding = getattr(stream, "encoding", None) or "utf-8"
    buffer = getattr(stream, "buffer", None)
    try:
        data = f"{text}\n".encode(encoding, "surrogateescape")
    except UnicodeEncodeError:
        data = f"{text}\n".encode(encoding, "backslashreplace")
    if buffer is None:
        stream.write(data.decode(encoding, "backslashreplace"))
    else:
        stream.flush()
        buffer.write(data)
    stream.flush()


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Yields a progress callback that draws one bar a phase on stderr, with rate and time left.

    Nothing is drawn when stderr is no terminal or the user asked for quiet.
    """
    from avis_cli.cli.stoppable import heeding

    if _state.quiet or sys.stderr is None or not sys.stderr.isatty():
        from avis_cli.progress import silent

        yield heeding(silent)
        return
    bars = _state.bars = _Bars()
    try:
        yield heeding(bars)
    finally:
        _state.bars = None
        bars.close()


# what a phase counts, where it is not steps or seconds as the user chose
_UNITS = {
    "downloading": "B",
    "checking": "B",
    "listening and looking": " frames",
    "drawing masks": " frames",
    "masks": " frames",
    "cutting out": " frames",
    "pictures": " frames",
    "drawing the overlay": " frames",
    "videos": " videos",
    "clips": " clips",
    "packing clips": " clips",
    "validation": " clips",
}


# as tqdm draws it, but always so many a second: by itself it turns to seconds for each where work is slow
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


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
            unit = _UNITS.get(phase, "")
            self._bar = tqdm(
                desc=phase, total=total, initial=done, file=sys.stderr, dynamic_ncols=True, leave=False,
                unit=unit, unit_scale=unit == "B", bar_format=None if total is None else _BAR,
            )  # fmt: skip
        if total is not None and self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def hide(self) -> None:
        """Make room for a line of text; the next call draws the bar again below it."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._phase = None
