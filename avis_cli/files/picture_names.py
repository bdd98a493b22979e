"""Which files of a folder are its pictures, and in which order they are shown. Importing this loads nothing heavy."""

from __future__ import annotations

import os
import re
from typing import Any

from avis_cli.errors import MediaError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
"""What a folder's pictures are told by; the content decides how they are read."""

_DIGITS = re.compile(r"([0-9]+)")


def picture_names(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """The names of a folder's pictures, hidden ones left out, in natural order: ``2.jpg`` before ``10.jpg``.

    Raises MediaError where the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.is_dir()]
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror or error}", file=folder) from None
    return tuple(sorted((name for name in names if is_picture(name)), key=natural_key))


def is_picture_folder(path: str | os.PathLike[str]) -> bool:
    """Whether it is a folder that holds pictures."""
    return os.path.isdir(path) and bool(picture_names(path))


def is_picture(name: str) -> bool:
    """Whether a file of this name counts as a picture of its folder."""
    return name.lower().endswith(PICTURES) and not name.startswith(".")


def natural_key(name: str) -> tuple[Any, ...]:
    """Numbers in a name by their value, however many digits they have; the rest as text, whatever its case."""
    parts = _DIGITS.split(name.casefold())  # text and digits in turn
    numbers = [part.lstrip("0") for part in parts]
    return tuple((len(numbers[at]), numbers[at]) if at % 2 else part for at, part in enumerate(parts)), name
