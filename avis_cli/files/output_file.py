"""One file that is there completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avis_cli.errors import OutputError
from avis_cli.files import partial


@contextmanager
def output_file(destination: str | os.PathLike[str], *, overwrite: bool = False) -> Iterator[Path]:
    """``with output_file(path) as temporary:`` write ``temporary``; at the end it becomes ``path``.

    It has the same ending as ``path``. If the block raises anything nothing of it stays. Raises OutputError before
    the block if ``path`` could not be written or is there already (without ``overwrite``).
    """
    destination = Path(destination)
    _refuse_existing(destination, overwrite)
    made: list[Path] = []
    temporary = partial.partial_path(destination, destination.suffix)
    try:
        made = partial.missing_parents(destination)
        partial.claim(temporary, made)
        destination.parent.mkdir(parents=True, exist_ok=True)
        partial.remove_leftovers(destination)
        temporary.touch(exist_ok=False)
        yield temporary
        _refuse_existing(destination, overwrite)
        partial.release(temporary)
        os.replace(temporary, destination)
    except BaseException as error:
        partial.discard(temporary)
        partial.release(temporary)
        partial.remove_empty(made)
        partial.name_finally(error, temporary, destination)
        if isinstance(error, OSError) and partial.is_write_fault(error, temporary):
            raise partial.cannot_write(error, destination) from error
        raise


def _refuse_existing(destination: Path, overwrite: bool) -> None:
    partial.refuse_link(destination)
    if destination.is_dir():
        hint = "choose another name"
        raise OutputError("is a folder, expected a file to write", hint=hint, file=destination, usage=True)
    if destination.exists() and not overwrite:
        raise OutputError("is already there", hint="--overwrite replaces it", file=destination)
