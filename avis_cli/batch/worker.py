"""What does one job after another for a driver in another process: all that goes to and fro is plain data."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.events import IgnoreEvents
from avis_cli.batch.job import Job, Outcome, RunSettings, concerns_all
from avis_cli.batch.steps import JobSteps
from avis_cli.errors import ClusterError


class Worker(Protocol):
    """Does tasks, one at a time. Made anew where its process dies."""

    def start(self) -> None:
        """Get ready for the first task. Raises what would end every task."""

    def run(self, task: Any) -> Any:
        """Do a task. Raises what concerns all tasks; what is wrong with this one alone may be in what it returns."""


MakeWorker = Callable[[str], Callable[[], Worker]]
"""A device -> what makes a worker for it, in the worker's process: plain data."""


@dataclass(frozen=True)
class Place:
    """What every worker has to see. ``folder``: where relative paths begin, None if there are none; ``file`` and
    ``mark``: a file of the results' folder and what stands in its first line, None for results that are elsewhere."""

    folder: str | None = None
    file: str | None = None
    mark: str = ""

    def check(self, node: str) -> None:
        """Go to the folder. Raises ClusterError where a machine sees other disks than the driver."""
        hint = "every machine needs the same disk; or give URLs"
        if self.folder is not None:
            try:
                os.chdir(self.folder)
            except OSError as error:
                raise ClusterError(f"{node} has no folder {self.folder} ({error.strerror})", hint=hint) from None
        if self.file is not None:
            try:
                is_same = self.mark in Path(self.file).read_text(encoding="utf-8", errors="replace")
            except OSError:
                is_same = False
            if not is_same:
                raise ClusterError(f"{node} does not see what is written to {self.file}", hint=hint)


@dataclass(frozen=True)
class JobReport:
    """The outcome of a job, and what was told on the way, a line each."""

    outcome: Outcome
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class SegmentWorker:
    """Does the jobs of a run with one network, loaded once."""

    def __init__(self, settings: RunSettings) -> None:
        self._told = _Told()
        self._steps = JobSteps(settings, self._told, CancelToken())

    def start(self) -> None:
        """Find and load the weights. Raises WeightsError, UsageError."""
        self._steps.load()

    def run(self, task: Job) -> JobReport:
        """All steps of a job; its failure is its outcome. Raises what concerns all jobs."""
        try:
            outcome = self._steps.run(task)
        except Exception as error:
            if concerns_all(error):
                raise
            self._steps.discard(task)
            outcome = Outcome.failed(task, error)
        return JobReport(outcome, *self._told.taken())


class _Told(IgnoreEvents):
    """Keeps notes and warnings until they are taken."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._warnings: list[str] = []

    def note(self, text: str) -> None:
        self._notes.append(text)

    def warn(self, text: str) -> None:
        self._warnings.append(text)

    def taken(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Notes, warnings; both are empty then."""
        taken = tuple(self._notes), tuple(self._warnings)
        self._notes.clear()
        self._warnings.clear()
        return taken
