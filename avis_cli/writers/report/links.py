"""Addresses of files as a page on disk names them."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def link(target: str | os.PathLike[str], folder: str | os.PathLike[str]) -> str:
    """URL of ``target`` for a page in ``folder``: relative, so that both can move together; percent-encoded.

    Where no relative path leads there (another drive) it is a ``file:`` URL.
    """
    try:
        relative = os.path.relpath(os.fspath(target), os.fspath(folder))
    except ValueError:
        return Path(target).absolute().as_uri()
    # a colon is encoded too: the first part of a relative address must not look like a scheme
    return quote(os.fsencode(Path(relative).as_posix()), safe="/")
