"""Weights are read from regular files: a pipe would be waited for, a device never ends."""

from __future__ import annotations

import stat
from pathlib import Path

from avis_cli.errors import WeightsError


def require_regular(path: Path) -> None:
    """Raise WeightsError for a folder, pipe, socket or device; what cannot be looked at is left to whoever opens it."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if stat.S_ISDIR(mode):
        hint = "give the .safetensors inside it"
        raise WeightsError("is a folder, expected a weights file", hint=hint, file=path, usage=True)
    if not stat.S_ISREG(mode):
        raise WeightsError("a pipe, socket or device, expected a weights file", hint="copy it to a file", file=path)
