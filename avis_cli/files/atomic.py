"""Files and folders that are there completely or not at all.

Everything is written into a hidden sibling, which takes the destination's name when it is complete. Nothing is ever
written through a symbolic link, and errors name the destination.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from avis_cli.errors import AvisError, OutputError
from avis_cli.files.partial import Partial

ELSEWHERE = "choose another place with -o"

_DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}  # nothing but writing meets these
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY}


@contextmanager
def output_file(
    destination: str | os.PathLike[str], *, overwrite: bool = False, durable: bool = False, remedy: str = ELSEWHERE
) -> Iterator[Path]:
    """``with output_file(path) as temporary:`` write ``temporary``; at the end it becomes ``path``.

    It has the same ending as ``path``. If the block raises anything nothing of it stays. ``durable``: its bytes are on
    the disk before it takes its name, for what has to survive a power cut. ``remedy``: what to do where nothing can be
    written. Raises OutputError before the block if ``path`` could not be written or is there already (without
    ``overwrite``), after it if the system refuses to write.
    """
    destination = Path(destination)
    _refuse_existing_file(destination, overwrite, remedy)
    with _writing(destination, remedy, destination.suffix) as part:
        part.path.touch(exist_ok=False)
        yield part.path
        if durable:
            _sync_path(part.path, destination, remedy)
        # asked again: somebody else may have been faster
        _refuse_existing_file(destination, overwrite, remedy)
        os.replace(part.path, destination)


@contextmanager
def output_tree(
    destination: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    may_replace: Callable[[list[str]], None] | None = None,
    remedy: str = ELSEWHERE,
) -> Iterator[Path]:
    """``with output_tree(path) as folder:`` fill ``folder``; at the end it becomes ``path``.

    If the block raises anything nothing of it stays, and a folder that was there before is untouched. An empty folder
    at ``path`` is no obstacle. ``overwrite``: one that is not empty is replaced as a whole. ``may_replace`` decides
    in place of ``overwrite``: it is called with the names in such a folder and raises OutputError for those that are
    to stay. ``remedy`` and OutputError: as for ``output_file``.
    """
    destination = Path(destination)
    _refuse_existing_tree(destination, overwrite, may_replace, remedy)
    with _writing(destination, remedy) as part:
        part.path.mkdir()
        yield part.path
        # asked again: somebody else may have been faster
        _refuse_existing_tree(destination, overwrite, may_replace, remedy)
        _replace_folder(part, destination)


def prepare_tree(
    destination: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    may_replace: Callable[[list[str]], None] | None = None,
) -> None:
    """Raise OutputError now if ``output_tree`` would raise it; leaves nothing behind."""
    destination = Path(destination)
    _refuse_existing_tree(destination, overwrite, may_replace)
    with _writing(destination) as part:
        part.path.mkdir()


def refuse_link(destination: Path, remedy: str = ELSEWHERE) -> None:
    """Raise OutputError if ``destination`` cannot be, or is a symbolic link: results are never written through one."""
    try:
        mode = os.lstat(destination).st_mode
    except FileNotFoundError:
        return
    except OSError as error:  # a name that is too long, or no folder above it
        raise cannot_write(error, destination, remedy) from error
    if stat.S_ISLNK(mode):
        raise OutputError(
            "is a symbolic link, which results are not written through", hint="remove it", file=destination
        )


def cannot_write(error: OSError, destination: Path, remedy: str = ELSEWHERE) -> OutputError:
    """The system's refusal to write ``destination``, as an error for the user."""
    hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else remedy
    cause = f"cannot be written: {error.strerror or error}"
    return OutputError(cause, hint=hint, file=destination, usage=error.errno == errno.ENOTDIR)


def sync(file: IO[bytes]) -> None:
    """Flush ``file`` to the disk; a drive that has no such request (some of networks) has done what it can.

    Raises OSError where the disk fails or is full.
    """
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_path(path: Path, destination: Path, remedy: str) -> None:
    try:
        with path.open("rb+") as written:
            sync(written)
    except OSError as error:
        raise cannot_write(error, destination, remedy) from error


@contextmanager
def _writing(destination: Path, remedy: str = ELSEWHERE, suffix: str = "") -> Iterator[Partial]:
    """A partial path for the block, whose errors speak of ``destination``, the only name that the user knows."""
    try:
        part = Partial(destination, suffix).__enter__()
    except OSError as error:
        raise cannot_write(error, destination, remedy) from error
    with closing(part):
        try:
            yield part
        except BaseException as error:
            hidden = os.fspath(part.path)
            if isinstance(error, AvisError) and error.file is not None and error.file.startswith(hidden):
                error.file = os.fspath(destination) + error.file[len(hidden) :]
            if isinstance(error, OSError) and _is_write_fault(error, hidden):
                raise cannot_write(error, destination, remedy) from error
            raise


def _is_write_fault(error: OSError, hidden: str) -> bool:
    """Whether an error is the system's refusal to write the path ``hidden`` or something inside it."""
    touched = [os.fspath(name) for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)]
    return error.errno in _DISK_FAULTS or any(name.startswith(hidden) for name in touched)


def _refuse_existing_file(destination: Path, overwrite: bool, remedy: str) -> None:
    refuse_link(destination, remedy)
    if destination.is_dir():
        hint = "choose another name"
        raise OutputError("is a folder, expected a file to write", hint=hint, file=destination, usage=True)
    if destination.exists() and not overwrite:
        raise OutputError("is already there", hint="--overwrite replaces it", file=destination)


def _refuse_existing_tree(
    destination: Path, overwrite: bool, may_replace: Callable[[list[str]], None] | None, remedy: str = ELSEWHERE
) -> None:
    present = _names_in(destination, remedy)
    if present and may_replace is not None:
        may_replace(present)
    elif present and not overwrite:
        raise OutputError("is already there", hint="--overwrite replaces it", file=destination)


def _names_in(destination: Path, remedy: str) -> list[str]:
    """The names in a folder, in order; none if it is not there. Raises OutputError for a link or a file."""
    refuse_link(destination, remedy)
    try:
        return sorted(os.listdir(destination))
    except FileNotFoundError:
        return []
    except OSError as error:
        if destination.is_file():
            cause, hint = "is a file, expected a folder for results", "move it away or choose another name"
            raise OutputError(cause, hint=hint, file=destination, usage=True) from None
        raise cannot_write(error, destination, remedy) from error


def _replace_folder(part: Partial, destination: Path) -> None:
    if not destination.exists():
        part.path.rename(destination)
        return
    destination.rename(part.aside)  # goes back, or is removed, when the partial is closed
    part.path.rename(destination)
