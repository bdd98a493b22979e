"""One input's results as a folder that is there completely or not at all.

Everything is written into a hidden sibling, which takes the folder's name when it is complete. A hidden manifest
inside, ``.avis.json``, says what it was made from, which files belong to it and what is worth knowing about them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from avis_cli.errors import OutputError
from avis_cli.files import partial
from avis_cli.progress import Progress, silent

MANIFEST = ".avis.json"
RESULTS = frozenset({"overlay.mp4", "masks", "tracks.json", "report.html", MANIFEST})
_BYSTANDERS = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave in any folder they show
_ATTEMPTS = 5  # to make a folder whose parent another process may be removing because it is empty


class OutputFolder:
    """``with OutputFolder(directory) as folder:`` write into ``folder``; at the end it becomes ``directory``.

    If the block raises anything, Ctrl-C included, nothing of it stays and results that were there before are
    untouched. With ``overwrite`` earlier results are replaced as a whole. ``fingerprint``: what the manifest
    remembers for ``is_complete``. ``about``: JSON values it keeps for ``read_about``; may be filled until the end.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, overwrite: bool = False, fingerprint: str | None = None
    ) -> None:
        self.directory = Path(directory)
        self._overwrite = overwrite
        self._fingerprint = fingerprint
        self.about: dict[str, Any] = {}
        self._partial: Path | None = None
        self._made: list[Path] = []

    def prepare(self) -> None:
        """Raise OutputError now if the folder could not be written later; leaves nothing behind."""
        self._open()
        self._close()

    def __enter__(self) -> Path:
        return self._open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._commit()
        except OSError as failure:
            raise partial.cannot_write(failure, self.directory) from failure
        finally:
            part = self._partial
            self._close()
        if part is None:
            return
        partial.name_finally(error, part, self.directory)
        if isinstance(error, OSError) and partial.is_write_fault(error, part):
            raise partial.cannot_write(error, self.directory) from error

    def _open(self) -> Path:
        self._refuse_existing()
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._make_partial()
            except OSError as error:
                self._close()
                # whoever works beside this process takes the folders with it that it made and does not need
                if isinstance(error, FileNotFoundError) and attempt < _ATTEMPTS:
                    continue
                raise partial.cannot_write(error, self.directory) from error
        raise AssertionError("the last attempt returns or raises")

    def _make_partial(self) -> Path:
        self._made = partial.missing_parents(self.directory)
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        partial.remove_leftovers(self.directory)
        self._partial = partial.partial_path(self.directory)
        partial.claim(self._partial, self._made)
        self._partial.mkdir()
        return self._partial

    def _refuse_existing(self) -> None:
        partial.refuse_link(self.directory)
        try:
            present = set(os.listdir(self.directory))
        except FileNotFoundError:
            return
        except OSError as error:
            if self.directory.is_file():
                cause = "is a file, expected a folder for results"
                raise OutputError(cause, hint="move it away", file=self.directory, usage=True) from None
            raise partial.cannot_write(error, self.directory) from error
        if present and not self._overwrite:
            raise OutputError(
                "results are already there",
                hint="--overwrite replaces them, --skip-existing keeps them",
                file=self.directory,
            )
        if present - RESULTS - _BYSTANDERS:
            foreign = sorted(present - RESULTS - _BYSTANDERS)[0]
            raise OutputError(
                f"holds {foreign!r}, which is no result of avis and would be lost",
                hint="move it away",
                file=self.directory,
            )

    def _commit(self) -> None:
        assert self._partial is not None
        if self._fingerprint is not None:
            _write_manifest(self._partial, self._fingerprint, self.about)
        # asked again: somebody else may have been faster
        self._refuse_existing()
        partial.release(self._partial)  # from here on it is what the user has, or removed below
        if not self.directory.exists():
            self._partial.rename(self.directory)
            return
        aside = partial.partial_path(self.directory)
        self.directory.rename(aside)
        try:
            self._partial.rename(self.directory)
        except BaseException:
            try:
                aside.rename(self.directory)
            except OSError:
                if self.directory.exists():  # another process has put its own there: these are replaced all the same
                    partial.discard(aside)
            raise
        partial.discard(aside)

    def _close(self) -> None:
        if self._partial is not None:
            partial.discard(self._partial)
            partial.release(self._partial)
        self._partial = None
        partial.remove_empty(self._made)
        self._made = []


def checksum(source: str | os.PathLike[str], progress: Progress = silent) -> str:
    """SHA-256 of a file's bytes, as hex. Raises OSError if it cannot be read."""
    digest = hashlib.sha256()
    with open(source, "rb") as file:
        size, done = os.fstat(file.fileno()).st_size, 0
        while block := file.read(1 << 20):
            digest.update(block)
            done += len(block)
            progress("checking", done, max(size, done))
    return digest.hexdigest()


def fingerprint(source: str, settings: Mapping[str, Any]) -> str:
    """SHA-256 over an input's checksum and everything else that decides the result (JSON values), as hex."""
    text = json.dumps({"source": source, "settings": settings}, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def read_about(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """What the results in ``directory`` remember about themselves; empty where nothing can be read."""
    try:
        about = json.loads((Path(directory) / MANIFEST).read_text(encoding="utf-8"))["about"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return {}
    return about if isinstance(about, dict) else {}


def is_complete(directory: str | os.PathLike[str], fingerprint: str) -> bool:
    """Whether ``directory`` holds results made under ``fingerprint``, every file still as long as it was written."""
    try:
        manifest = json.loads((Path(directory) / MANIFEST).read_text(encoding="utf-8"))
        return bool(manifest["fingerprint"] == fingerprint) and manifest["files"] == _files(Path(directory))
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return False


def _write_manifest(directory: Path, fingerprint: str, about: Mapping[str, Any]) -> None:
    text = json.dumps({"fingerprint": fingerprint, "about": dict(about), "files": _files(directory)}, indent=1)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8", newline="\n")


def _files(directory: Path) -> dict[str, int]:
    """Relative path -> bytes of every result file but the manifest, in order."""
    files = (path for path in directory.rglob("*") if path.is_file() and path.name not in {MANIFEST, *_BYSTANDERS})
    return {path.relative_to(directory).as_posix(): path.stat().st_size for path in sorted(files)}
