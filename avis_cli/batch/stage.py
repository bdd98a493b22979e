"""Inputs and results that lie in stores: copied to this machine and back, as if they were here.

An input is copied before it is looked at, since all of it is read at least twice: for its checksum, and by the network.
Results are made here and copied when they are complete, the manifest last; the manifest of earlier ones is removed
first. A folder in a store without a manifest holds no results.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avis_cli.batch.job import Job
from avis_cli.errors import AvisError, OutputError
from avis_cli.files import stores
from avis_cli.files.stores import Location, StorePath


@dataclass(frozen=True)
class LocalJob:
    """A job's paths on this machine."""

    source: Path
    target: Path


class Stage:
    """A temporary folder with a place for every job that has a path in a store; it is made for the first of them.

    May be used from several threads.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()

    def fetched(self, job: Job) -> LocalJob:
        """The job on this machine, its input copied. Raises MediaError."""
        here = self._here(job)
        if isinstance(job.source, StorePath):
            here.source.parent.mkdir(parents=True, exist_ok=True)
            stores.fetch(job.source, here.source)
        return here

    def publish(self, job: Job) -> None:
        """Copy complete results to their store, if they go to one. Raises OutputError."""
        if isinstance(job.target, StorePath):
            from avis_cli.writers.result_folder import MANIFEST

            stores.remove(job.target / MANIFEST)
            here = self._here(job).target
            stores.upload(here, job.target, last=MANIFEST)
            for place in stores.files_below(job.target):  # of earlier results
                if not here.joinpath(*place.parts).exists():
                    stores.remove(job.target.joinpath(*place.parts))

    def discard(self, job: Job) -> None:
        """Remove what there is of a job; and the folder with the last one, for processes that are ended by force."""
        if self._folder is not None:
            shutil.rmtree(self._place(job), ignore_errors=True)
            with suppress(OSError):
                os.rmdir(self._folder.name)

    def own_names(self, job: Job, text: str) -> str:
        """``text`` with the job's own paths in place of those here."""
        if self._folder is None:
            return text
        here = self._here(job)
        return text.replace(str(here.source), job.name).replace(str(here.target), str(job.target))

    @contextmanager
    def named(self, job: Job) -> Iterator[None]:
        """An AvisError that passes through names the job's own paths in place of those here."""
        try:
            yield
        except AvisError as error:
            if self._folder is not None and error.file is not None:
                here = self._here(job)
                for path, own in ((here.source, job.name), (here.target, str(job.target))):
                    if error.file == os.fspath(path):
                        error.file = own
            raise

    def close(self) -> None:
        """Remove everything."""
        with self._lock:
            if self._folder is not None:
                self._folder.cleanup()
            self._folder = None

    def _here(self, job: Job) -> LocalJob:
        source, target = job.source, job.target
        return LocalJob(
            source if isinstance(source, Path) else self._place(job) / "in" / source.name,
            target if isinstance(target, Path) else self._place(job) / "out" / target.name,
        )

    def _place(self, job: Job) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="avis-", ignore_cleanup_errors=True)
            os.makedirs(self._folder.name, mode=0o700, exist_ok=True)
            marks = f"{job.source} {job.target}".encode("utf-8", "surrogateescape")
            return Path(self._folder.name, hashlib.sha256(marks).hexdigest()[:16])


def is_there(target: Location) -> bool:
    """Whether there are results, complete or not; in a store those without a manifest are none."""
    if isinstance(target, Path):
        return os.path.lexists(target)
    return _manifest(target) is not None


def require_free(target: Location, *, overwrite: bool) -> None:
    """Raise OutputError where results could not be written."""
    from avis_cli.writers.result_folder import RESULTS, ResultFolder

    if isinstance(target, Path):
        ResultFolder(target, overwrite=overwrite).prepare()
        return
    if is_there(target) and not overwrite:
        hint = "--overwrite replaces them, --skip-existing keeps them"
        raise OutputError("results are already there", hint=hint, file=str(target))
    foreign = [place.parts[0] for place in stores.files_below(target) if place.parts[0] not in RESULTS]
    if foreign:
        cause = f"holds {foreign[0]!r}, which is no result of avis and would be lost"
        raise OutputError(cause, hint="move it away", file=str(target))


def is_complete(target: Location, fingerprint: str) -> bool:
    """Whether there are results made under ``fingerprint``, every file as long as it was written."""
    from avis_cli.writers import result_folder

    if isinstance(target, Path):
        return result_folder.is_complete(target, fingerprint)
    manifest = _manifest(target) or {}
    files = {place.as_posix(): size for place, size in stores.files_below(target).items()}
    files.pop(result_folder.MANIFEST, None)
    return manifest.get("fingerprint") == fingerprint and manifest.get("files") == files


def about(target: Location) -> dict[str, Any]:
    """What results remember about themselves; empty where nothing can be read."""
    from avis_cli.writers import result_folder

    if isinstance(target, Path):
        return result_folder.read_about(target)
    found = (_manifest(target) or {}).get("about")
    return found if isinstance(found, dict) else {}


def _manifest(target: StorePath) -> dict[str, Any] | None:
    from avis_cli.writers.result_folder import MANIFEST

    try:
        document = json.loads(stores.read(target / MANIFEST))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
