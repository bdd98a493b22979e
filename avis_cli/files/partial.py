"""Names for what is still being written: beside its destination, hidden, and recognisable when its process is gone."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import stat
import zlib
from pathlib import Path

from avis_cli.errors import AvisError, OutputError

_NAME = re.compile(r"\.avis-part-(?P<name>[0-9a-f]{8})-(?P<host>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{8}(\..*)?")
_unfinished: dict[Path, list[Path]] = {}  # what this process writes now -> the folders that were made for it
_ATTEMPTS = 20
_DISK_FAULTS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}  # nothing but writing meets these


def partial_path(destination: Path, suffix: str = "") -> Path:
    """A path of its own beside ``destination``; short however long that name is."""
    name, host = _code(destination.name), _code(socket.gethostname())
    return destination.parent / f".avis-part-{name}-{host}-{os.getpid()}-{secrets.token_hex(4)}{suffix}"


def claim(path: Path, made: list[Path]) -> None:
    """Note that ``path`` is being written, and which folders were ``made`` for it (innermost first)."""
    _unfinished[path] = made


def release(path: Path) -> None:
    """``path`` is complete, or gone; nothing if it was never claimed."""
    _unfinished.pop(path, None)


def abandon() -> None:
    """Remove all that this process has claimed, for work that will not come to an end."""
    for path, made in list(_unfinished.items()):
        for _ in range(_ATTEMPTS):  # a thread may still be writing
            discard(path)
            if not path.exists():
                break
        remove_empty(made)
        release(path)


def remove_leftovers(destination: Path) -> None:
    """Remove what killed processes of this machine left beside ``destination``; those still at work keep theirs."""
    if os.name != "posix":  # elsewhere a process cannot be asked whether it lives without risk to it
        return
    name, host = _code(destination.name), _code(socket.gethostname())
    for path in destination.parent.glob(f".avis-part-{name}-{host}-*"):
        match = _NAME.fullmatch(path.name)
        if match is not None and not _is_alive(int(match["process"])):
            discard(path)


def discard(path: Path) -> None:
    """Remove a file or folder as far as that is possible, without a word: what counts is the error that led here."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def missing_parents(destination: Path) -> list[Path]:
    """The folders above ``destination`` that are not there yet, innermost first."""
    return [folder for folder in destination.parents if not os.path.exists(folder)]


def remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, as far as they are there and empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def refuse_link(destination: Path) -> None:
    """Raise OutputError if ``destination`` cannot be, or is a symbolic link: results are never written through one."""
    try:
        mode = os.lstat(destination).st_mode
    except FileNotFoundError:
        return
    except OSError as error:  # a name that is too long, or no folder above it
        raise cannot_write(error, destination) from error
    if stat.S_ISLNK(mode):
        raise OutputError(
            "is a symbolic link, which results are not written through", hint="remove it", file=destination
        )


def cannot_write(error: OSError, destination: Path) -> OutputError:
    """The system's refusal to write ``destination``, as an error for the user."""
    hint = "free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another place with -o"
    cause = f"cannot be written: {error.strerror or error}"
    return OutputError(cause, hint=hint, file=destination, usage=error.errno == errno.ENOTDIR)


def name_finally(error: BaseException | None, part: Path, destination: Path) -> None:
    """Let an error speak of ``destination`` instead of ``part``, a name the user has never seen."""
    if isinstance(error, AvisError) and error.file is not None and error.file.startswith(os.fspath(part)):
        error.file = os.fspath(destination) + error.file[len(os.fspath(part)) :]


def is_write_fault(error: BaseException, part: Path) -> bool:
    """Whether an error is the system's refusal to write ``part`` or something inside it."""
    if not isinstance(error, OSError):
        return False
    touched = [os.fspath(name) for name in (error.filename, error.filename2) if isinstance(name, str | os.PathLike)]
    return error.errno in _DISK_FAULTS or any(name.startswith(os.fspath(part)) for name in touched)


def _code(text: str) -> str:
    return f"{zlib.crc32(os.fsencode(text)):08x}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
