"""One input's results as a folder that is there completely or not at all.

A hidden manifest inside, ``.avis.json``, says what it was made from, which files belong to it and what is worth
knowing about them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from avis_cli.errors import OutputError
from avis_cli.files.atomic import output_tree, prepare_tree

MANIFEST = ".avis.json"
RESULTS = frozenset({"overlay.mp4", "masks", "tracks.json", "maps.json", "report.html", "recording.mp4", MANIFEST})
_BYSTANDERS = {".DS_Store", "Thumbs.db", "desktop.ini"}  # what file managers leave in any folder they show


class ResultFolder:
    """``with ResultFolder(directory) as folder:`` write into ``folder``; at the end it becomes ``directory``.

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
        self._writing: AbstractContextManager[Path] | None = None

    def prepare(self) -> None:
        """Raise OutputError now if the folder could not be written later; leaves nothing behind."""
        prepare_tree(self.directory, may_replace=self._refuse)

    def __enter__(self) -> Path:
        self._writing = self._write()
        return self._writing.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._writing is not None
        self._writing.__exit__(kind, error, trace)

    @contextmanager
    def _write(self) -> Iterator[Path]:
        with output_tree(self.directory, may_replace=self._refuse) as folder:
            yield folder
            if self._fingerprint is not None:
                _write_manifest(folder, self._fingerprint, self.about)

    def _refuse(self, present: list[str]) -> None:
        """Raise OutputError where a folder that holds the names ``present`` is not to be replaced."""
        if not self._overwrite:
            raise OutputError(
                "results are already there",
                hint="--overwrite replaces them, --skip-existing keeps them",
                file=self.directory,
            )
        foreign = [name for name in present if name not in RESULTS | _BYSTANDERS]
        if foreign:
            raise OutputError(
                f"holds {foreign[0]!r}, which is no result of avis and would be lost",
                hint="move it away",
                file=self.directory,
            )


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
