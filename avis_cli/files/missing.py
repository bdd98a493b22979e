"""What to say of an input that is not there: most often a misspelt name, sometimes an address on the network."""

from __future__ import annotations

import os
import re

from avis_cli.files.stores import without_secrets

# a path made of an address has lost one of its slashes; one letter before the colon is a drive of Windows
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]+):/{1,2}(?P<rest>[^/].*)", re.IGNORECASE | re.DOTALL)


def as_typed(path: str | os.PathLike[str]) -> str:
    """A path as the user wrote it: an address with both of its slashes, without its secrets."""
    text = os.fsdecode(path)
    match = _ADDRESS.fullmatch(text)
    return text if match is None else without_secrets(f"{match['scheme']}://{match['rest']}")


def why_missing(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """(cause, hint) for an input that cannot be found."""
    match = _ADDRESS.fullmatch(os.fsdecode(path))
    if match is None:
        return "no such file", None
    name = os.path.basename(match["rest"].partition("?")[0].rstrip("/")) if "/" in match["rest"] else ""
    quoted = "'" + as_typed(path).replace("'", "'\\''") + "'"
    if match["scheme"].lower() not in ("http", "https", "ftp"):
        return "an address on the network, not a file", "download it first"
    return "an address on the network, not a file", f"download it first: curl -L -o {name or 'clip.mp4'} {quoted}"
