"""A clip on standard input: a video is read more than once, so it becomes a file for as long as it is needed."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from avis_cli.errors import AvisError, OutputError, UsageError

DASH = Path("-")
NAME = "stdin"
"""What the clip is called in results and messages."""


@contextmanager
def spooled() -> Iterator[Path]:
    """A temporary file, called ``NAME``, with everything that comes in; it is gone at the end.

    An AvisError about it that passes through speaks of ``NAME``. Raises UsageError if nobody sends anything: standard
    input is closed, or a terminal.
    """
    stream = getattr(sys.stdin, "buffer", None)
    if stream is None or sys.stdin.closed:
        raise UsageError("nothing on standard input: it is closed", hint="cat clip.mp4 | avis segment -")
    if sys.stdin.isatty():
        raise UsageError("nothing on standard input: it is a terminal", hint="cat clip.mp4 | avis segment -")
    with tempfile.TemporaryDirectory(prefix="avis-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, NAME)
        try:
            with open(path, "wb") as file:
                shutil.copyfileobj(stream, file, 1 << 20)
        except OSError as error:
            hint = f"make room in {tempfile.gettempdir()}, or set TMPDIR"
            raise OutputError(f"cannot be kept: {error.strerror or error}", hint=hint, file=NAME) from error
        try:
            yield path
        except AvisError as error:
            if error.file == os.fspath(path):
                error.file = NAME
            raise
