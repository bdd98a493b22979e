"""Checksums of files."""

from __future__ import annotations

import hashlib
import os

from avis_cli.progress import Progress, silent

_BLOCK = 1 << 20  # bytes read at once


def sha256_of(path: str | os.PathLike[str], progress: Progress = silent) -> str:
    """SHA-256 of a file's bytes in lower-case hexadecimal. Raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        size, done = os.fstat(file.fileno()).st_size, 0
        while block := file.read(_BLOCK):
            digest.update(block)
            done += len(block)
            progress("checking", done, max(size, done))
    return digest.hexdigest()
