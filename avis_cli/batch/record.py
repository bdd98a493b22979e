"""What a run over several inputs leaves beside their results: ``run.json``, and ``index.html`` with all reports.

What is complete is decided by each folder of results itself, never by these files. ``run.json`` says what was asked for
and what became of every input: settings, checksums of the weights and inputs, status and number of tracks. It is
rewritten as the run goes, each time as a whole, and holds nothing that differs from one run to the next: no times, no
machine, not whether a result was made now or found. So a run that was killed and run again ends with the same bytes as
one that was left alone.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from avis_cli.batch.inputs import Shard
from avis_cli.batch.job import Job, Outcome
from avis_cli.errors import AvisError, OutputError
from avis_cli.files import stores
from avis_cli.files.atomic import output_file, refuse_link
from avis_cli.files.stores import Location, StorePath
from avis_cli.options import SegmentOptions
from avis_cli.version import __version__

FORMAT = "avis-run"
_HEAD = '{\n "format": "avis-run",'
_FOREIGN = "is no record of an earlier run and would be lost"
_INTERVAL = 1.0  # seconds between two writings at least
_STORE_INTERVAL = 30.0  # the same where it goes to a store, as a whole each time
_SHARE = 0.03  # of the time may be spent on writing: of 100,000 inputs each one takes a second


class RunRecord:
    """The record of one run into ``output``; ``shard``: of one shard of it, in a file of its own.

    ``warn`` is told if it cannot be written. Raises OutputError if something else has the file's name.
    """

    def __init__(
        self,
        output: Location,
        jobs: Sequence[Job],
        options: SegmentOptions,
        shard: Shard | None,
        warn: Callable[[str], None],
    ) -> None:
        self.path = output / ("run.json" if shard is None else f"run-{shard.number}-of-{shard.count}.json")
        self._head = {
            "format": FORMAT,
            "version": 1,
            "tool": f"avis-cli {__version__}",
            "shard": None if shard is None else str(shard),
            "settings": options.understood(),
        }
        self._weights: dict[str, str] | None = None
        self._entries = {job.target: _entry(job, output) for job in jobs}
        self._next = 0.0
        self._failed = False
        self._warn = warn
        _refuse_foreign(self.path)

    def put(self, outcome: Outcome) -> None:
        """What became of a job."""
        entry = self._entries[outcome.job.target]
        entry.update(size=outcome.size, sha256=outcome.sha256)
        if outcome.failure is not None:
            entry.update(status="failed", error=outcome.failure.cause)
        else:
            entry.update(status="complete", tracks=outcome.tracks)
        if outcome.weights is not None:
            name, sha256 = outcome.weights
            self._weights = {"name": name, "sha256": sha256}
        if time.monotonic() >= self._next:
            self.write()

    def write(self) -> None:
        """Replace the file. Where it cannot be written that is told once, and the run goes on without it."""
        began = time.monotonic()
        document = {**self._head, "weights": self._weights, "inputs": list(self._entries.values())}
        try:
            write_document(self.path, document)
        except (OutputError, OSError) as error:
            if not self._failed:
                self._warn(f"the run is not recorded: {error}")
            self._failed = True
        now = time.monotonic()
        least = _INTERVAL if isinstance(self.path, Path) else _STORE_INTERVAL
        self._next = now + max(least, (now - began) / _SHARE)


def write_document(path: Location, document: Mapping[str, Any]) -> None:
    """Replace a record as a whole. Raises OutputError."""
    text = json.dumps(document, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
    if isinstance(path, StorePath):
        stores.write(path, text.encode("ascii"))
        return
    with output_file(path, overwrite=True) as part:
        part.write_text(text, encoding="ascii", newline="\n")


def _entry(job: Job, output: Location) -> dict[str, Any]:
    return {
        "input": job.name,
        "output": job.place(output),
        "status": "pending",
        "size": None,
        "sha256": None,
        "tracks": None,
        "error": None,
    }


def _refuse_foreign(path: Location) -> None:
    if isinstance(path, StorePath):
        with suppress(FileNotFoundError):
            if not stores.read(path).startswith(_HEAD.encode("ascii")):
                raise OutputError(_FOREIGN, hint="move it away", file=str(path))
        return
    refuse_link(path)
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            ours = file.read(len(_HEAD)) == _HEAD
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError:
        ours = False
    if not ours:
        raise OutputError(_FOREIGN, hint="move it away", file=path)


MOST_COPIED = 2000
_NAME = "index.html"
_MARK = b"<title>What sounds in "  # near the beginning of every index that avis wrote


def write_run_index(output: Location, targets: Sequence[Location], warn: Callable[[str], None]) -> None:
    """List every report that the folders of results have by now, whichever run or shard made it; with none, no page.
    The reports of a store are copied for that, which of more than ``MOST_COPIED`` takes too long.

    Where the page cannot be written ``warn`` is told: the results themselves are complete.
    """
    if isinstance(output, Path):
        _write_index(output, [target for target in targets if isinstance(target, Path)], warn)
        return
    if len(targets) > MOST_COPIED:
        warn(f"there is no index of the run: {len(targets)} reports are too many to be copied from the store")
        return
    with tempfile.TemporaryDirectory(prefix="avis-", ignore_cleanup_errors=True) as folder:
        try:
            copies = _copied_reports(output, targets, Path(folder))
            _write_index(Path(folder), copies, warn)
            if Path(folder, _NAME).exists():
                stores.write(output / _NAME, Path(folder, _NAME).read_bytes())
        except AvisError as error:
            warn(f"there is no index of the run: {error}")


def _copied_reports(output: StorePath, targets: Iterable[Location], folder: Path) -> list[Path]:
    """The reports of results in a store, copied to the same places below ``folder``."""
    copies = []
    for target in targets:
        if isinstance(target, StorePath):
            copy = folder.joinpath(*target.relative_to(output).parts)
            with suppress(FileNotFoundError):
                data = stores.read(target / "report.html")
                copy.mkdir(parents=True, exist_ok=True)
                (copy / "report.html").write_bytes(data)
                copies.append(copy)
    return copies


def _write_index(output: Path, targets: Iterable[Path], warn: Callable[[str], None]) -> None:
    from avis_cli.writers.report import read_summary, write_index

    entries = []
    for target in targets:
        report = target / "report.html"
        if not os.path.isfile(report):  # False for a name that is too long, too
            continue
        try:
            entries.append((report, read_summary(report)))
        except OutputError as error:
            warn(str(error))
    if not entries:
        return
    page = output / _NAME
    try:
        if page.is_file() and _MARK not in page.read_bytes()[:2000]:
            raise OutputError("is no index of avis and would be lost", hint="move it away", file=page)
        with output_file(page, overwrite=True) as part:
            write_index(part, entries)
    except (OutputError, OSError) as error:
        warn(f"there is no index of the run: {error}")
