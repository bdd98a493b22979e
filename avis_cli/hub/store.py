"""Files kept on this machine: their checksums, the folder of imported weights, the room left on the disk."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path

import platformdirs

from avis_cli.errors import WeightsError
from avis_cli.files.atomic import output_file
from avis_cli.files.checksum import sha256_of
from avis_cli.files.missing import as_typed, why_missing
from avis_cli.hub.manifest import SHA256
from avis_cli.progress import Progress, silent

SPARE = 1 << 26  # bytes to leave free on a disk
HASHED_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth")  # published weights carry the start of their SHA-256 in the name
CHOSEN = "default-model"
SIDECAR = ".sha256"  # in the form that `sha256sum -c` reads


def home() -> Path:
    """Where imported weights are kept: AVIS_HOME, else the user's data folder."""
    own = os.environ.get("AVIS_HOME")
    return Path(own).expanduser() if own else platformdirs.user_data_path("avis", appauthor=False)


def imported_file(name: str) -> Path:
    """Where the weights imported as ``name`` are, or would be."""
    return home() / "weights" / f"{name}.safetensors"


def public_file(name: str) -> Path:
    """Where a file that several models need is kept."""
    return home() / "weights" / name


def downloads() -> Path:
    """Where downloads lie until they are complete and made into weights."""
    return home() / "downloads"


def pin(name: str) -> Path:
    """The file beside whose name the checksum lies that a released file had when it was first fetched."""
    return home() / "pins" / name


def chosen_model() -> str | None:
    """The model that ``avis weights default`` chose, None where it was not used."""
    try:
        return (home() / CHOSEN).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def choose_model(name: str | None) -> None:
    """Keeps ``name`` as the model that is used when none is named; None forgets it. Raises OutputError."""
    path = home() / CHOSEN
    if name is None:
        path.unlink(missing_ok=True)
        return
    with output_file(path, overwrite=True, remedy="set AVIS_HOME to another folder") as temporary:
        temporary.write_text(f"{name}\n", encoding="utf-8")


def checksum(path: Path, progress: Progress = silent) -> str:
    """``sha256_of`` a weights file. Raises WeightsError if it cannot be read."""
    try:
        return sha256_of(path, progress)
    except OSError as error:
        raise WeightsError(
            f"cannot be read ({error.strerror or error})", hint="give a weights file that exists", file=path
        ) from error


def check(path: Path, expected: str, remedy: str, progress: Progress = silent) -> str:
    """The file's checksum, once it is what it should be; WeightsError with ``remedy`` otherwise."""
    found = checksum(path, progress)
    if found != expected:
        raise WeightsError(f"wrong checksum: sha256 {found}, expected {expected}", hint=remedy, file=path)
    return found


def sidecar(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR)


def write_sidecar(path: Path, sha256: str) -> None:
    """Keeps a file's checksum beside it."""
    with output_file(sidecar(path), overwrite=True) as temporary:
        temporary.write_text(f"{sha256}  {path.name}\n", encoding="utf-8")


def read_sidecar(path: Path) -> str | None:
    """The checksum kept beside a file, None if there is none."""
    try:
        found = SHA256.match(sidecar(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return found[0] if found else None


def require_regular(path: Path) -> None:
    """Raise WeightsError for a folder, pipe, socket or device: a pipe would be waited for, a device never ends.

    What cannot be looked at is left to whoever opens it.
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        cause, hint = why_missing(path)
        if hint is not None:
            raise WeightsError(cause, hint=hint, file=as_typed(path), usage=True) from None
        return
    if stat.S_ISDIR(mode):
        hint = "give the .safetensors inside it"
        raise WeightsError("is a folder, expected a weights file", hint=hint, file=path, usage=True)
    if not stat.S_ISREG(mode):
        raise WeightsError("a pipe, socket or device, expected a weights file", hint="copy it to a file", file=path)


def check_room(folder: Path, needed: int) -> None:
    """WeightsError unless ``folder``, which need not exist yet, lies on a disk with room for ``needed`` bytes more."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed + SPARE:
        raise WeightsError(
            f"no space: needs {in_words(needed)}, {in_words(free)} are free",
            hint="free some disk space, or set HF_HOME (downloads) or AVIS_HOME (imports) to another disk",
            file=folder,
        )


def in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
