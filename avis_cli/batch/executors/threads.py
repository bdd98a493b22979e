"""Jobs in threads of this process: the next ones are prepared and earlier ones written while the network computes.

The network runs in one thread for each device, the first of them the thread that called. Whatever fails in any thread
comes back: what concerns one input as its outcome, what concerns all of them as an exception of ``run``. Threads that
are no longer wanted end at their next word about progress.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from avis_cli.batch.cancel import Cancelled, CancelToken
from avis_cli.batch.events import EventSink
from avis_cli.batch.job import Job, Outcome, RunSettings, concerns_all
from avis_cli.batch.steps import JobSteps, PreparedJob

if TYPE_CHECKING:
    from avis_cli.outputs import AnyResult
    from avis_cli.writers.result_folder import ResultFolder


class ThreadExecutor:
    """``at_once``: inputs in the making at once; 1 does everything one after another, with N up to N - 1 results wait
    or are written while the devices compute, which is also what bounds memory. None: one more than there are
    devices."""

    def __init__(self, at_once: int | None = None) -> None:
        self._at_once = at_once

    def run(self, jobs: Sequence[Job], settings: RunSettings, events: EventSink, cancel: CancelToken) -> None:
        """Every job, whatever becomes of the others. Raises what concerns all of them."""
        at_once = len(settings.devices) + 1 if self._at_once is None else self._at_once
        _Threads(settings, events, cancel, writers=at_once - 1).run(jobs)


class _Threads:
    """The threads of one run."""

    def __init__(self, settings: RunSettings, events: EventSink, cancel: CancelToken, writers: int) -> None:
        self._events, self._cancel, self._devices = events, cancel, len(settings.devices)
        self._unwanted = CancelToken(cancel)
        self._steps = JobSteps(settings, events, self._unwanted)
        self._fatal: BaseException | None = None
        self._lock = threading.Lock()
        self._writers = writers
        self._slots = threading.Semaphore(max(1, writers))

    def run(self, jobs: Sequence[Job]) -> None:
        with (
            ThreadPoolExecutor(self._devices, "prepare") as preparers,
            ThreadPoolExecutor(max(1, self._writers), "write") as writers,
        ):
            prefetched = _Prefetched(self._steps, jobs, preparers, depth=self._devices if self._writers else 0)
            others = [
                threading.Thread(target=self._guarded, args=(worker, prefetched, writers), daemon=True)
                for worker in range(1, self._devices)
            ]
            try:
                for thread in others:
                    thread.start()
                self._work(0, prefetched, writers)
                for thread in others:
                    thread.join()
                writers.shutdown()
            except BaseException as error:
                self._give_up(error)
            preparers.shutdown(cancel_futures=True)
            for thread in others:
                thread.join()
        self._steps.close()
        if self._fatal is not None:
            raise self._fatal
        self._cancel.check()

    def _guarded(self, worker: int, prefetched: _Prefetched, writers: ThreadPoolExecutor) -> None:
        try:
            self._work(worker, prefetched, writers)
        except BaseException as error:
            self._give_up(error)

    def _work(self, worker: int, prefetched: _Prefetched, writers: ThreadPoolExecutor) -> None:
        """What one device does: the network for one job after another."""
        for job, preparation in prefetched:
            self._unwanted.check()
            prepared = None
            try:
                prepared = preparation.result()
                if prepared.is_done:
                    self._events.outcome(self._steps.skipped(prepared))
                else:
                    self._compute(prepared, worker, writers)
            except Exception as error:
                self._unwanted.check()  # a preparation that was called off is no failure of its input
                self._failed(job, error, prepared)

    def _compute(self, prepared: PreparedJob, worker: int, writers: ThreadPoolExecutor) -> None:
        folder = self._steps.folder(prepared)
        with ExitStack() as stack:
            partial = stack.enter_context(folder)
            result = self._steps.compute(prepared, worker)
            if not self._writers:
                self._finish(prepared, folder, partial, result, stack.pop_all())
                return
            self._slots.acquire()
            try:
                self._unwanted.check()
                writers.submit(self._finish_behind, prepared, folder, partial, result, stack.pop_all())
            except BaseException:
                self._slots.release()
                raise

    def _finish(
        self, prepared: PreparedJob, folder: ResultFolder, partial: Path, result: AnyResult, stack: ExitStack
    ) -> None:
        with stack:  # ends with the folder complete, or gone
            self._unwanted.check()
            self._steps.write(prepared, folder, partial, result)
        self._events.outcome(self._steps.done(prepared, result))

    def _finish_behind(
        self, prepared: PreparedJob, folder: ResultFolder, partial: Path, result: AnyResult, stack: ExitStack
    ) -> None:
        try:
            try:
                self._finish(prepared, folder, partial, result, stack)
            except Exception as error:
                self._failed(prepared.job, error, prepared)
        except BaseException as error:
            self._give_up(error)
        finally:
            self._slots.release()

    def _failed(self, job: Job, error: Exception, prepared: PreparedJob | None) -> None:
        if isinstance(error, BrokenPipeError) or concerns_all(error):
            raise error
        self._steps.discard(job)
        self._events.outcome(Outcome.failed(job, error, None if prepared is None else prepared.sha256))

    def _give_up(self, error: BaseException) -> None:
        """End the run with ``error``, the first one that was met."""
        with self._lock:
            if self._fatal is None and not isinstance(error, Cancelled):
                self._fatal = error
        self._unwanted.cancel()


class _Prefetched:
    """Jobs with their preparations, taken by any thread; the next ``depth`` are prepared meanwhile."""

    def __init__(self, steps: JobSteps, jobs: Sequence[Job], pool: ThreadPoolExecutor, depth: int) -> None:
        self._steps, self._pool, self._depth = steps, pool, depth
        self._jobs = iter(jobs)
        self._queue: deque[tuple[Job, Future[PreparedJob]]] = deque()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[Job, Future[PreparedJob]]]:
        while True:
            with self._lock:
                while len(self._queue) <= self._depth and (job := next(self._jobs, None)) is not None:
                    self._queue.append((job, self._pool.submit(self._steps.prepare, job)))
                if not self._queue:
                    return
                item = self._queue.popleft()
            yield item
