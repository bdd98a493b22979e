"""A folder of another tool's files that is there completely or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avis_cli.errors import OutputError
from avis_cli.files import partial


@contextmanager
def output_tree(destination: Path, entries: str, *, overwrite: bool = False) -> Iterator[Path]:
    """``with output_tree(path, entries) as folder:`` fill ``folder``; at the end it becomes ``path``.

    If the block raises anything nothing of it stays. ``entries`` is a pattern of the names that such a folder holds at
    its top: with ``overwrite`` a folder is replaced only if it holds nothing else. Raises OutputError.
    """
    _refuse_existing(destination, entries, overwrite)
    made: list[Path] = []
    part = partial.partial_path(destination)
    try:
        made = partial.missing_parents(destination)
        partial.claim(part, made)
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial.remove_leftovers(destination)
        part.mkdir()
        yield part
        _refuse_existing(destination, entries, overwrite)  # asked again: somebody else may have been faster
        partial.release(part)
        _replace(part, destination)
    except BaseException as error:
        partial.discard(part)
        partial.release(part)
        partial.remove_empty(made)
        partial.name_finally(error, part, destination)
        if isinstance(error, OSError) and partial.is_write_fault(error, part):
            raise partial.cannot_write(error, destination) from error
        raise


def _refuse_existing(destination: Path, entries: str, overwrite: bool) -> None:
    partial.refuse_link(destination)
    try:
        present = sorted(os.listdir(destination))
    except FileNotFoundError:
        return
    except OSError as error:
        if destination.is_file():
            hint = "choose another name with -o"
            cause = "is a file, expected a folder to write"
            raise OutputError(cause, hint=hint, file=destination, usage=True) from None
        raise partial.cannot_write(error, destination) from error
    if present and not overwrite:
        raise OutputError("is already there", hint="--overwrite replaces it", file=destination)
    foreign = [name for name in present if re.fullmatch(entries, name) is None]
    if foreign:
        raise OutputError(
            f"holds {foreign[0]!r}, which no such export writes and which would be lost",
            hint="move it away or choose another name with -o",
            file=destination,
        )


def _replace(part: Path, destination: Path) -> None:
    if not destination.exists():
        part.rename(destination)
        return
    aside = partial.partial_path(destination)
    destination.rename(aside)
    try:
        part.rename(destination)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.rename(destination)
        raise
    partial.discard(aside)
