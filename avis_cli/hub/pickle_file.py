"""A PyTorch checkpoint looked at before it is loaded: what it unpacks to, and what its pickle asks for.

``torch.load`` runs no code out of it with ``weights_only=True``, but takes what memory it is told to: archives may be
deflated a thousandfold, and a pickle makes a dictionary of each byte, or a buffer of any size of a number.
"""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from avis_cli.errors import WeightsError

MOST_UNPACKED = 4  # times the size of the file; trained weights hardly shrink at all
SMALL = 1 << 20  # bytes that a file may unpack to in any case
MOST_OPERATIONS = 400_000  # of its pickles; a tensor takes about 40
_ZIP = b"PK\x03\x04"
_PICKLES = 5  # of a file of the older form: magic number, version, system, content, keys; then the tensors' bytes
_UNWANTED = re.compile(r"(?:builtins|__builtin__) bytearray|torch(?:\.\w+)* \w*Tensor")  # make buffers of any size


def check(path: Path) -> None:
    """Raise WeightsError where loading the file would take far more memory than there are bytes in it.

    What is damaged in another way, or cannot be read, is left to whoever loads it.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_ZIP)) == _ZIP:
                _check_archive(file, path)
            else:
                file.seek(0)
                _check_pickles(file, _PICKLES, path)
    except (OSError, zipfile.BadZipFile, NotImplementedError):
        return


def _check_archive(file: IO[bytes], path: Path) -> None:
    size = path.stat().st_size
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > MOST_UNPACKED * size + SMALL:
            raise WeightsError(
                f"unpacks to {unpacked} bytes, its size is {size}: weights do not shrink like that",
                hint="get the file again, or save its tensors as .safetensors where you trust it",
                file=path,
            )
        for entry in entries:
            if entry.filename.endswith("data.pkl"):
                with archive.open(entry) as content:
                    _check_pickles(io.BytesIO(content.read(entry.file_size)), 1, path)


def _check_pickles(file: IO[bytes], count: int, path: Path) -> None:
    for number, (name, argument) in enumerate(_operations(file, count)):
        if number >= MOST_OPERATIONS:
            raise WeightsError(
                f"its pickle has more than {MOST_OPERATIONS} operations, which are no tensors by name",
                hint="save only its tensors, best as .safetensors, where you trust it",
                file=path,
            )
        if name == "GLOBAL" and isinstance(argument, str) and _UNWANTED.fullmatch(argument):
            raise WeightsError(
                f"holds more than tensors ({argument[:80].replace(' ', '.')}): refused, since it may take any memory",
                hint="save only its tensors, best as .safetensors, on a machine where you trust it",
                file=path,
            )


def _operations(file: IO[bytes], count: int) -> Iterator[tuple[str, object]]:
    """The operations of ``count`` pickles in a row, as far as they can be read."""
    try:
        for _ in range(count):
            for operation, argument, _ in pickletools.genops(file):
                yield operation.name, argument
    except (ValueError, EOFError, UnicodeError, zipfile.BadZipFile):
        return
