"""A run's state on disk: written whole or not at all, so that a killed run goes on from its last checkpoint."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import torch

from avis_cli.errors import OutputError, WeightsError
from avis_cli.files.durable import sync

NAME = "checkpoint.pt"
VERSION = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values) to ``path``; a reader sees the old file or the new one, never half."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(partial, "wb") as file:
            torch.save({"version": VERSION, **state}, file)
            sync(file)
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(
            f"the checkpoint cannot be written: {error.strerror or error}",
            hint="free space or choose another --out",
            file=path,
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def load(path: Path) -> dict[str, Any]:
    """What ``save`` wrote, on the CPU; nothing in the file is executed. Raises WeightsError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise WeightsError("no checkpoint to resume from", hint="start the run without --resume", file=path) from None
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError):
        raise WeightsError(
            "not a checkpoint of avis train", hint="delete it and start again without --resume", file=path
        ) from None
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise WeightsError(
            f"not a checkpoint of this version of avis train (expected version {VERSION})",
            hint="delete it and start again without --resume",
            file=path,
        )
    return state
