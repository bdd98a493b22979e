"""Jobs on the workers of a cluster: the longest first, what is lost with a worker again, all of it in the journal."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.events import EventSink
from avis_cli.batch.job import Job, Outcome, RunSettings, concerns_all
from avis_cli.batch.journal import Journal
from avis_cli.batch.scheduler import Limits, Scheduler, Settled, WorkerPool
from avis_cli.batch.worker import JobReport, MakeWorker, Place, SegmentWorker, Worker
from avis_cli.errors import ClusterError
from avis_cli.files import partial

_DYING = 3.0  # seconds that killed workers have for it


class OpenPool(Protocol):
    """Starts workers for a run."""

    def __call__(
        self, make: MakeWorker, place: Place, most: int, warn: Callable[[str], None]
    ) -> AbstractContextManager[tuple[WorkerPool, int]]:
        """Up to ``most`` workers, each of which checks that it sees ``place``; and how many there are."""


@dataclass(frozen=True)
class ClusterExecutor:
    """``drain``: when it is cancelled no other job is begun, and ``run`` returns when those that were are through.
    ``clock``: seconds, as the pool's workers live them."""

    open_pool: OpenPool
    limits: Limits
    journal: Journal
    drain: CancelToken
    clock: Callable[[], float] = time.monotonic

    def run(self, jobs: Sequence[Job], settings: RunSettings, events: EventSink, cancel: CancelToken) -> None:
        """Every job that the journal does not say is done. Raises what concerns all of them, OutputError for the
        journal, ClusterError, and Cancelled."""
        with self.journal:
            left = []
            for job in jobs:
                outcome = self.journal.done_before(job)
                if outcome is None:
                    left.append(job)
                else:
                    events.outcome(outcome)
            if left and not self.drain.is_cancelled:
                # what is complete without the journal knowing was made when the driver was killed
                self._run(left, replace(settings, skip_existing=not settings.overwrite), events, cancel)

    def _run(self, jobs: list[Job], settings: RunSettings, events: EventSink, cancel: CancelToken) -> None:
        watcher = _Recorded(self.journal, events)
        place = place_of(jobs, settings, self.journal)

        def make(device: str) -> Callable[[], Worker]:
            return functools.partial(SegmentWorker, replace(settings, devices=(device,)))

        with self.open_pool(make, place, len(jobs), events.warn) as (pool, workers):
            scheduler = Scheduler(pool, workers, self.limits, watcher, self.clock)
            try:
                scheduler.run(sorted(jobs, key=_size, reverse=True), cancel, self.drain)
            finally:
                pool.close()
                _tidy(watcher.unfinished)


@dataclass(frozen=True)
class ClusterClips:
    """The videos of a dataset on the workers of a cluster, each a number; what is finished stays if one fails."""

    open_pool: OpenPool
    limits: Limits
    make: MakeWorker
    warn: Callable[[str], None]

    def __call__(self, places: Sequence[int], done: Callable[[int, Any], None]) -> None:
        """Work on every place and tell ``done`` what came of it, as it comes. Raises what any of them raises,
        ClusterError for one whose workers die."""
        place = Place(os.getcwd())
        with self.open_pool(self.make, place, len(places), self.warn) as (pool, workers):
            try:
                Scheduler(pool, workers, self.limits, _Told(done, self.warn)).run(places, CancelToken(), CancelToken())
            finally:
                pool.close()


@dataclass(frozen=True)
class _Told:
    done: Callable[[int, Any], None]
    warn: Callable[[str], None]

    def began(self, task: int, attempt: int, node: str) -> None: ...

    def lost(self, task: int, attempt: int, node: str, cause: str) -> None:
        self.warn(f"a worker on {node} died ({cause}); its video is done again")

    def settled(self, settled: Settled) -> None:
        if settled.error is not None:
            raise settled.error
        if settled.end != "done":
            raise _given_up(settled, f"video {settled.task + 1}")
        self.done(settled.task, settled.value)


def place_of(jobs: Sequence[Job], settings: RunSettings, journal: Journal) -> Place:
    """What the workers of a run have to see."""
    paths = [path for job in jobs for path in (job.source, job.target) if isinstance(path, Path)]
    named = settings.model is not None and os.path.exists(settings.model)
    is_relative = any(not path.is_absolute() for path in paths) or (named and not os.path.isabs(settings.model or ""))
    shared = os.path.abspath(journal.path) if isinstance(journal.path, Path) else None
    return Place(os.getcwd() if is_relative else None, shared, journal.token)


def _tidy(jobs: Iterable[Job]) -> None:
    """Remove what workers were writing that had no time to clean up. They keep it until they are gone, which takes a
    moment; those of other machines keep it until the next run."""
    until = time.monotonic() + _DYING
    for target in (job.target for job in jobs if isinstance(job.target, Path)):
        partial.remove_leftovers(target)
        while partial.has_leftovers(target) and time.monotonic() < until:
            time.sleep(0.05)
            partial.remove_leftovers(target)


def _size(job: Job) -> int:
    """Bytes of an input: what there is to know of its length without opening it."""
    try:
        if isinstance(job.source, Path):
            return os.stat(job.source).st_size
        return job.size or 0
    except (OSError, ValueError):
        return 0


class _Recorded:
    """What becomes of each job, into the journal and then to whoever watches the run."""

    def __init__(self, journal: Journal, events: EventSink) -> None:
        self._journal, self._events = journal, events
        self._told: set[str] = set()
        self.unfinished: set[Job] = set()

    def began(self, task: Job, attempt: int, node: str) -> None:
        self.unfinished.add(task)
        self._journal.began(task, attempt, node)

    def lost(self, task: Job, attempt: int, node: str, cause: str) -> None:
        self._journal.lost(task, attempt, node, cause)
        self._events.warn(f"{task.name}: its worker on {node} died ({cause}); it is done again")

    def settled(self, settled: Settled) -> None:
        job: Job = settled.task
        if settled.error is not None and concerns_all(settled.error):
            raise settled.error
        state = settled.end
        if state == "done":
            report: JobReport = settled.value
            outcome = report.outcome
            self.unfinished.discard(job)
            self._tell(report)
            state = "failed" if outcome.failure is not None else "done"
        else:
            outcome = Outcome.failed(job, settled.error or _given_up(settled, job.name))
        self._journal.settled(outcome, state, settled.attempts, settled.seconds, settled.node)
        self._events.outcome(outcome)

    def _tell(self, report: JobReport) -> None:
        for text in report.warnings:
            self._events.warn(text)
        for text in report.notes:
            if text not in self._told:  # every worker says the same of its model
                self._told.add(text)
                self._events.note(text)


def _given_up(settled: Settled, name: str) -> ClusterError:
    if settled.end == "timed out":
        return ClusterError(settled.cause or "", hint="a larger --timeout gives it more time", file=name)
    times = "once" if settled.attempts == 1 else f"{settled.attempts} times"
    cause = f"its worker died {times}, the last time: {settled.cause}"
    return ClusterError(cause, hint="try it by itself, without a cluster", file=name)
