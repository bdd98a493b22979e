"""A run over inputs: an executor does the work; what became of each is counted, recorded and passed on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.events import EventSink
from avis_cli.batch.executors.base import Executor
from avis_cli.batch.executors.threads import ThreadExecutor
from avis_cli.batch.inputs import Shard
from avis_cli.batch.job import Job, Outcome, RunSettings
from avis_cli.batch.record import RunRecord
from avis_cli.batch.report import BatchReport
from avis_cli.batch.steps import JobSteps
from avis_cli.files import partial
from avis_cli.files.stores import Location


class BatchRunner:
    """Runs jobs whose targets are below ``output``, which gets a record of the run (``run.json``, see ``RunRecord``).

    ``executor``: who does the work; ``shard``: which shard of all inputs the jobs are.
    """

    def __init__(
        self, settings: RunSettings, output: Location, *, executor: Executor | None = None, shard: Shard | None = None
    ) -> None:
        self._settings, self._output, self._shard = settings, output, shard
        self._executor = ThreadExecutor() if executor is None else executor

    def run(self, jobs: Sequence[Job], events: EventSink, cancel: CancelToken, *, refused: int = 0) -> BatchReport:
        """Every job, whatever becomes of the others. ``refused``: inputs that failed before, for the report.

        Raises what concerns all of the jobs, OutputError if something else is in the record's place, what ``events``
        raises, and Cancelled; what was complete by then stays.
        """
        report = BatchReport(refused)
        # a shard that nothing falls to is recorded too, or it would seem to be missing
        is_recorded = bool(jobs) or self._shard is not None
        record = (
            RunRecord(self._output, jobs, self._settings.options, self._shard, events.warn) if is_recorded else None
        )
        parents = {job.target.parent for job in jobs if isinstance(job.target, Path)}
        made = {folder for parent in parents for folder in partial.missing_parents(parent / "x")}
        counted = _Counted(events, report, record)
        try:
            counted.started(len(jobs))
            self._executor.run(jobs, self._settings, counted, cancel)
        finally:
            if record is not None and (report.total or self._shard is not None):
                record.write()
            # of two inputs at once neither knows whether the other still needs the folder
            partial.remove_empty(sorted(made, key=lambda folder: len(folder.parts), reverse=True))
        return report

    def run_one(self, job: Job, events: EventSink, cancel: CancelToken) -> Outcome:
        """One job by itself, in this thread and without a record. Raises what ends it."""
        events.started(1)
        steps = JobSteps(self._settings, events, cancel)
        try:
            outcome = steps.run(job)
        finally:
            steps.close()
        events.outcome(outcome)
        return outcome


class _Counted:
    """Events on their way, with outcomes counted and recorded first, one at a time."""

    def __init__(self, events: EventSink, report: BatchReport, record: RunRecord | None) -> None:
        self.started, self.progress = events.started, events.progress
        self.note, self.warn = events.note, events.warn
        self._events, self._report, self._record = events, report, record
        self._lock = threading.RLock()

    def outcome(self, outcome: Outcome) -> None:
        with self._lock:
            self._report.add(outcome)
            if self._record is not None:
                self._record.put(outcome)
            self._events.outcome(outcome)
