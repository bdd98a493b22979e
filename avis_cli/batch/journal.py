"""What became of every input of a run on a cluster, line by line as it happens: ``run.jsonl`` beside the results.

The first line says what was asked for. A driver that is killed and started again with the same settings goes on after
the inputs that the journal says are done; a last line that was cut off in its middle counts for nothing. Unlike
``run.json``, which is the same whatever happened on the way, the journal knows attempts, seconds and machines.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from math import inf
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from avis_cli.batch.inputs import Shard
from avis_cli.batch.job import Job, Outcome, RunSettings
from avis_cli.errors import OutputError
from avis_cli.files import stores
from avis_cli.files.atomic import cannot_write, refuse_link
from avis_cli.files.locks import take_lock
from avis_cli.files.partial import discard, missing_parents, remove_empty
from avis_cli.files.stores import Location, StorePath
from avis_cli.version import __version__
from avis_cli.writers.result_folder import MANIFEST

_COPIED_EVERY = 60.0  # seconds: to a store it goes as a whole
_FORMAT = "avis-run-log"
_BEGIN = b'{"format": "avis-run-log"'


class Journal:
    """``with Journal(output, settings) as journal:`` the journal of a run into the folder ``output``, for this process
    alone; ``shard``: of one shard of it, in a file of its own. Where no input comes to be begun it is gone at the end.

    ``earlier``: what an earlier run with the same settings said last of each output that is done. Raises OutputError if
    something else has the file's name, another run is at work there, or it cannot be written. Where the results go to
    a store the journal is kept here and copied there now and then; whether another run is at work is not found out.
    """

    def __init__(self, output: Location, settings: RunSettings, shard: Shard | None = None) -> None:
        self.output = output
        self.path = output / ("run.jsonl" if shard is None else f"run-{shard.number}-of-{shard.count}.jsonl")
        self.token = secrets.token_hex(8)
        self._head = {
            "format": _FORMAT,
            "version": 1,
            "tool": f"avis-cli {__version__}",
            "settings": settings.options.understood(),
            "model": settings.model,
        }
        self._is_anew = settings.overwrite
        self._is_empty = True
        self.earlier: dict[str, Mapping[str, Any]] = {}
        self._file: IO[bytes] | None = None
        self._made: list[Path] = []
        self._copied = 0.0  # when, by time.monotonic
        self._complete: set[str] = set()  # outputs in a store that have a manifest

    def __enter__(self) -> Journal:
        try:
            if isinstance(self.path, StorePath):
                self._file = self._copy_of_store(self.path)
            else:
                refuse_link(self.path)
                self._made = missing_parents(self.path)
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = open(self.path, "a+b")
            if take_lock(self._file) is False:
                hint = "wait for it, or give another -o"
                raise OutputError("another run is at work here", hint=hint, file=str(self.path))
            kept = self._read()
            self._put({**self._head, "run": self.token})
            self._is_empty = not kept
        except OSError as error:
            self._close()
            raise cannot_write(error, Path(str(self.path))) from error
        except BaseException:
            self._close()
            raise
        self._copied = time.monotonic()
        return self

    def _copy_of_store(self, path: StorePath) -> IO[bytes]:
        """What the store has of the journal, as a file of this machine; which results it has is looked up too."""
        file: IO[bytes] = tempfile.TemporaryFile("a+b")  # noqa: SIM115
        with suppress(FileNotFoundError):
            file.write(stores.read(path))
        if file.tell() and isinstance(self.output, StorePath):
            below = stores.files_below(self.output)
            self._complete = {place.parent.as_posix() for place in below if place.name == MANIFEST}
        return file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_empty and isinstance(self.path, Path):
            discard(self.path)
        elif not self._is_empty:
            self._copy()
        self._close()

    def began(self, job: Job, attempt: int, node: str) -> None:
        """A worker has the input."""
        self._put({"output": job.place(self.output), "state": "running", "attempt": attempt, "node": node})

    def lost(self, job: Job, attempt: int, node: str, cause: str) -> None:
        """The input's worker died."""
        entry = {"output": job.place(self.output), "state": "lost", "attempt": attempt, "node": node, "error": cause}
        self._put(entry)

    def settled(self, outcome: Outcome, state: str, attempts: int, seconds: float, node: str) -> None:
        """The input is through. ``state``: "done", "failed", "quarantined" or "timed out"; ``seconds``: of work."""
        entry: dict[str, Any] = {
            "output": outcome.job.place(self.output),
            "state": state,
            "attempt": attempts,
            "node": node,
        }
        entry |= {"seconds": round(seconds, 3), "input": outcome.job.name}
        entry |= {"size": outcome.size, "sha256": outcome.sha256}
        if outcome.failure is not None:
            entry["error"] = outcome.failure.cause
        else:
            entry |= {"tracks": outcome.tracks, "video": outcome.seconds, "weights": outcome.weights}
        self._put(entry)

    def done_before(self, job: Job) -> Outcome | None:
        """The outcome of an input that an earlier run has done; None where there is none, its results are gone or the
        input has another length now."""
        entry = self.earlier.get(job.place(self.output))
        if entry is None or not self._has_results(job):
            return None
        outcome = _outcome(job, entry)
        try:
            size = os.stat(job.source).st_size if isinstance(job.source, Path) else job.size
        except (OSError, ValueError):
            return None
        return outcome if outcome is not None and outcome.size == size else None

    def _has_results(self, job: Job) -> bool:
        if isinstance(job.target, Path):
            return os.path.lexists(job.target / MANIFEST)
        return job.place(self.output) in self._complete

    def _read(self) -> int:
        """``earlier`` from what is there; what is of no use is cut off. How many bytes are kept."""
        assert self._file is not None
        self._file.seek(0)
        first, kept = self._file.readline(), 0
        if not (first.startswith(_BEGIN) or _BEGIN.startswith(first)):
            raise OutputError("is no journal of a run and would be lost", hint="move it away", file=str(self.path))
        head = _parsed(first) or {}
        if not self._is_anew and all(head.get(key) == value for key, value in self._head.items()):
            kept = self._file.tell()
            for line in self._file:
                entry = _parsed(line)
                if entry is None:
                    break  # cut off where the process was killed
                kept += len(line)
                if isinstance(entry.get("output"), str):
                    self._note(entry)
        self._file.truncate(kept)
        return kept

    def _note(self, entry: Mapping[str, Any]) -> None:
        # of an input that is begun again what an earlier run made of it counts until the new attempt is through
        if entry.get("state") == "done":
            self.earlier[entry["output"]] = entry
        elif entry.get("state") in ("failed", "quarantined", "timed out"):
            self.earlier.pop(entry["output"], None)

    def _put(self, entry: Mapping[str, Any]) -> None:
        assert self._file is not None
        try:
            self._is_empty = False
            self._file.write(json.dumps(entry, ensure_ascii=True, allow_nan=False).encode("ascii") + b"\n")
            self._file.flush()
        except OSError as error:
            raise cannot_write(error, Path(str(self.path))) from error
        if time.monotonic() - self._copied > _COPIED_EVERY and self._copied:
            self._copy()

    def _copy(self) -> None:
        if isinstance(self.path, StorePath) and self._file is not None:
            self._file.seek(0)
            stores.write(self.path, self._file.read())
            self._copied = time.monotonic()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = None
        remove_empty(self._made)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A whole line of the journal; None for anything else."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


def _outcome(job: Job, entry: Mapping[str, Any]) -> Outcome | None:
    """What the journal says of an input that is done; None where that is not what a journal says."""
    tracks, size, sha256, weights = (entry.get(key) for key in ("tracks", "size", "sha256", "weights"))
    video = entry.get("video")
    if not (isinstance(size, int) and isinstance(sha256, str) and isinstance(video, float) and 0 <= video < inf):
        return None
    if not (tracks is None or isinstance(tracks, int)):
        return None
    outcome = Outcome(job, "skipped", tracks, seconds=video, size=size, sha256=sha256)
    if isinstance(weights, list) and len(weights) == 2 and all(isinstance(part, str) for part in weights):
        outcome = replace(outcome, weights=(weights[0], weights[1]))
    return outcome
