"""What a command says, and where: results on stdout; notes, warnings and errors on stderr."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from typing import Annotated, Protocol, TextIO

import typer

from avis_cli import memory
from avis_cli.batch.job import Failure
from avis_cli.text import printable


class Drawn(Protocol):
    """Something on the terminal that makes room for a line of text."""

    def hide(self) -> None: ...


@dataclass
class _State:
    quiet: bool = False
    debug: bool = False
    bars: Drawn | None = None  # what is drawn now


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


def draws() -> bool:
    """Whether progress is drawn: stderr is a terminal and the user did not ask for quiet."""
    return not _state.quiet and sys.stderr is not None and sys.stderr.isatty()


def show(bars: Drawn | None) -> None:
    """What is drawn from now on, which text makes room for."""
    _state.bars = bars


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


def report(failure: BaseException | Failure, file: object = None) -> None:
    """What failed, in one line on stderr, and below it what to do by hand, a numbered line for each step; with --debug
    its traceback comes first.

    ``file``: the input at work, for failures that do not name it themselves.
    """
    failure = failure if isinstance(failure, Failure) else Failure.of(failure)
    if _state.debug and sys.stderr is not None:
        sys.stderr.write(failure.traceback)
    line = _describe(failure)
    error(line if file is None or failure.names_file else f"{file}: {line}")
    for number, step in enumerate(failure.steps, start=1):
        error(f"  {number}. {step}")


def _describe(failure: Failure) -> str:
    if failure.is_expected:
        return failure.headline
    if memory.is_exhausted(failure.kind, failure.text):
        return out_of_memory()
    cause = " ".join(failure.cause.split())
    return f"unexpected failure: {cause}; run again with --debug and report it"


def out_of_memory() -> str:
    """What there is to say where memory ran out."""
    limit = memory.address_space_limit()
    if limit is None:
        return "out of memory; do less at once (a part with --start and --end), or take another --device"
    return (
        f"out of memory: ulimit -v allows {limit / 1e9:.1f} GB of address space, PyTorch alone takes about 4 GB;"
        " raise it (ulimit -v unlimited)"
    )


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
