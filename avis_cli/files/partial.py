"""What is still being written: hidden, beside its destination, and locked for as long as its process lives.

``.avis-part-NAME-TOKEN`` becomes the destination when it is complete; NAME is a code of the destination's name.
``.avis-part-NAME-TOKEN.~lock`` is locked meanwhile and says on which machine. Where its lock can be taken, the process
is gone and what it left can be removed. A lock says nothing about other machines (some network drives keep locks to
each of them) and nothing where locks do not work: there, leftovers are what nobody has touched for a day.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO

from avis_cli.files.locks import take_lock

_PREFIX, _LOCK, _ASIDE = ".avis-part-", ".~lock", ".~old"  # no destination ends like the latter two
_DAY = 86_400.0  # seconds
_ATTEMPTS = 20

_unfinished: dict[Path, Partial] = {}  # by path: what this process writes now


class Partial:
    """A path of its own beside ``destination``, short however long that name is, and the lock that belongs to it.

    ``with Partial(destination) as partial:`` make a file or a folder at ``partial.path`` and move it away when it is
    complete; what is at ``partial.path`` at the end is removed, and so are folders above it that were made for it and
    are empty.
    """

    def __init__(self, destination: Path, suffix: str = "") -> None:
        self.destination = destination
        self._suffix = suffix
        self._made: list[Path] = []
        self._lock: IO[bytes] | None = None
        self._name(secrets.token_hex(4))

    def _name(self, token: str) -> None:
        stem = f"{_PREFIX}{_code(self.destination.name)}-{token}"
        folder = self.destination.parent
        self.path, self.aside = folder / f"{stem}{self._suffix}", folder / f"{stem}{_ASIDE}"
        self._lock_path = folder / f"{stem}{_LOCK}"

    def __enter__(self) -> Partial:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._made = missing_parents(self.destination)
                self.destination.parent.mkdir(parents=True, exist_ok=True)
                remove_leftovers(self.destination)
                self._claim()
                return self
            except BaseException as error:
                self.close()
                # whoever works beside this one takes the folders with it that it made and does not need; where that
                # happens between ``mkdir`` being refused for one and its being looked at, the error is "File exists"
                if not isinstance(error, FileNotFoundError | FileExistsError) or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def __exit__(self, *_: object) -> None:
        self.close()

    def _claim(self) -> None:
        """Make and lock the lock file. Who looks for leftovers may take it first: then another one is made."""
        while True:
            _unfinished[self.path] = self
            self._lock = open(self._lock_path, "x+b", buffering=0)  # noqa: SIM115
            taken = take_lock(self._lock)
            if taken is not False and self._lock_path.exists():
                self._lock.write(_machine())
                return
            self._release()
            self._name(secrets.token_hex(4))

    def close(self) -> None:
        """Remove what is at ``path`` and every trace of having been at work; old results that are ``aside`` go back."""
        discard(self.path)
        _put_back(self.aside, self.destination)
        self._release()
        remove_empty(self._made)
        self._made = []

    def _release(self) -> None:
        if self._lock is not None:
            with contextlib.suppress(OSError):
                if os.name == "posix":  # in this order nobody can take it for a leftover; elsewhere it is impossible
                    self._lock_path.unlink()
            self._lock.close()
            if os.name != "posix":
                discard(self._lock_path)
        self._lock = None
        _unfinished.pop(self.path, None)


def abandon() -> None:
    """Remove all that this process is writing, for work that will not come to an end."""
    for path, partial in list(_unfinished.items()):
        for _ in range(_ATTEMPTS):  # a thread may still be writing
            discard(path)
            if not path.exists():
                break
        partial.close()


def remove_leftovers(destination: Path) -> None:
    """Remove what killed processes left beside ``destination``; those still at work keep theirs.

    Where one was killed while it put new results in the place of old ones, these are put back.
    """
    for stem, paths in _leftovers(destination).items():
        if any(path in _unfinished for path in paths):
            continue
        lock_path = destination.parent / f"{stem}{_LOCK}"
        with _abandoned(lock_path, paths) as is_abandoned:
            if is_abandoned:
                _put_back(destination.parent / f"{stem}{_ASIDE}", destination)
                for path in paths:
                    if path != lock_path:
                        discard(path)
                discard(lock_path)


def has_leftovers(destination: Path) -> bool:
    """Whether anything that somebody was or is writing lies beside ``destination``."""
    return bool(_leftovers(destination))


def _put_back(aside: Path, destination: Path) -> None:
    """Give old results their name again if nothing has taken it, else remove them."""
    if not os.path.lexists(destination):
        with contextlib.suppress(OSError):
            aside.rename(destination)
    else:
        discard(aside)


def _leftovers(destination: Path) -> dict[str, list[Path]]:
    """Everything that anybody is or was writing for ``destination``, by the part of the names before the suffix."""
    name = re.compile(rf"({re.escape(_PREFIX)}{_code(destination.name)}-[0-9a-f-]+)(\..*)?", re.DOTALL)
    found: dict[str, list[Path]] = {}
    try:
        entries = os.listdir(destination.parent)
    except FileNotFoundError:
        return {}
    for entry in entries:
        match = name.fullmatch(entry)
        if match is not None:
            found.setdefault(match[1], []).append(destination.parent / entry)
    return found


@contextlib.contextmanager
def _abandoned(lock_path: Path, paths: list[Path]) -> Iterator[bool]:
    """Whether the process that wrote ``paths`` is gone; while the block runs nobody else is told so."""
    try:
        lock = open(lock_path, "r+b", buffering=0)  # noqa: SIM115
    except FileNotFoundError:
        yield _is_old(paths)
        return
    except OSError:  # another user's
        yield False
        return
    with lock:
        taken = take_lock(lock)
        yield taken is not False and ((taken is True and lock.read(200) == _machine()) or _is_old(paths))


def _is_old(paths: list[Path]) -> bool:
    """Whether nothing of ``paths``, nor what is in them, has been touched for a day."""
    latest = 0.0
    for path in paths:
        below = [Path(root, name) for root, folders, files in os.walk(path) for name in (*folders, *files)]
        for item in (path, *below):
            try:
                latest = max(latest, item.lstat().st_mtime)
            except FileNotFoundError:  # at this moment completed or removed
                return False
    return latest < time.time() - _DAY


@cache
def _machine() -> bytes:
    """What processes agree in whose locks meet: containers have names of their own, but share the kernel's boot."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()
    except OSError:
        return os.fsencode(socket.gethostname())


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


def _code(text: str) -> str:
    return f"{zlib.crc32(os.fsencode(text)):08x}"
