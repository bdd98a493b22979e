"""Checksums of files."""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from avis_cli.progress import Progress, silent

_BLOCK = 1 << 20  # bytes read at once


def sha256_of(path: str | os.PathLike[str], progress: Progress = silent) -> str:
    """SHA-256 of a file's bytes in lower-case hexadecimal. Raises OSError if it cannot be read."""
    with open(path, "rb") as file:
        return sha256_of_rest(file, progress)


def sha256_of_rest(file: BinaryIO, progress: Progress = silent) -> str:
    """SHA-256 of what is left of an open file."""
    digest = hashlib.sha256()
    size, done = os.fstat(file.fileno()).st_size, file.tell()
    while block := file.read(_BLOCK):
        digest.update(block)
        done += len(block)
        progress("checking", done, max(size, done))
    return digest.hexdigest()


class HashedWriter:
    """A file to write to, and the SHA-256 of what was written so far. ``failure``: why it could not be written, for
    libraries that raise something else then."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._digest = file, hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: bytes) -> int:
        self._digest.update(data)
        try:
            return self._file.write(data)
        except OSError as error:
            self.failure = self.failure or error
            raise

    def flush(self) -> None:
        self._file.flush()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()
