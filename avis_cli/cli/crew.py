"""Several inputs at once: the next ones are looked at and earlier ones written while the network computes.

The network runs in one thread for each device, the first of them the thread that called. Whatever fails in any thread
comes back: what concerns one input as a line about it, what concerns all of them as an exception of ``run``. Threads
that are no longer wanted end at their next word about progress.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from avis_cli.cli import stoppable
from avis_cli.cli.batch import Batch, Plan, concerns_all
from avis_cli.cli.run_bar import progress_of
from avis_cli.cli.stoppable import CalledOff
from avis_cli.cli.tally import Tally
from avis_cli.progress import Progress

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Job
    from avis_cli.files.output_folder import OutputFolder
    from avis_cli.results.clip import ClipResult


class Crew:
    """Takes jobs through every step of ``batch`` and tells ``tally`` about each.

    ``jobs``: inputs in the making at once; 1 does everything one after another, with N up to N - 1 results wait or
    are written while the devices compute, which is also what bounds memory.
    """

    def __init__(self, batch: Batch, tally: Tally, jobs: int) -> None:
        self._batch, self._tally = batch, tally
        self._stop = threading.Event()
        self._fatal: BaseException | None = None
        self._lock = threading.Lock()
        self._writers = jobs - 1
        self._slots = threading.Semaphore(max(1, self._writers))

    def run(self, jobs: Sequence[Job]) -> None:
        """Every job, whatever becomes of the others. Raises what concerns all of them."""
        devices = len(self._batch.devices)
        with (
            ThreadPoolExecutor(devices, "look") as lookers,
            ThreadPoolExecutor(max(1, self._writers), "write") as writers,
        ):
            plans = _Ahead(self, jobs, lookers, depth=devices if self._writers else 0)
            others = [
                threading.Thread(target=self._guarded, args=(worker, plans, writers), daemon=True)
                for worker in range(1, devices)
            ]
            try:
                for thread in others:
                    thread.start()
                self._work(0, plans, writers)
                for thread in others:
                    thread.join()
                writers.shutdown()
            except BaseException as error:
                self._give_up(error)
            lookers.shutdown(cancel_futures=True)
            for thread in others:
                thread.join()
        if self._fatal is not None:
            raise self._fatal

    def plan(self, job: Job) -> Plan:
        return self._batch.plan(job, self._progress(job))

    def _guarded(self, worker: int, plans: _Ahead, writers: ThreadPoolExecutor) -> None:
        try:
            self._work(worker, plans, writers)
        except BaseException as error:
            self._give_up(error)

    def _work(self, worker: int, plans: _Ahead, writers: ThreadPoolExecutor) -> None:
        """What one device does: the network for one job after another."""
        for job, looked_at in plans:
            self._go_on()
            plan = None
            try:
                plan = looked_at.result()
                if plan.done:
                    self._tally.skipped(plan)
                else:
                    self._compute(plan, worker, writers)
            except Exception as error:
                self._go_on()  # a plan that was called off is no failure of its input
                self._failed(job, error, plan)

    def _compute(self, plan: Plan, worker: int, writers: ThreadPoolExecutor) -> None:
        folder = self._batch.folder(plan)
        with ExitStack() as stack:
            part = stack.enter_context(folder)
            result = self._batch.compute(plan, worker, self._progress(plan.job))
            if not self._writers:
                self._finish(plan, folder, part, result, stack.pop_all())
                return
            self._slots.acquire()
            try:
                self._go_on()
                writers.submit(self._finish_behind, plan, folder, part, result, stack.pop_all())
            except BaseException:
                self._slots.release()
                raise

    def _finish(self, plan: Plan, folder: OutputFolder, part: Path, result: ClipResult, stack: ExitStack) -> None:
        with stack:  # ends with the folder complete, or gone
            self._go_on()
            self._batch.write(plan, folder, part, result, self._progress(plan.job))
        self._tally.done(plan, result)

    def _finish_behind(
        self, plan: Plan, folder: OutputFolder, part: Path, result: ClipResult, stack: ExitStack
    ) -> None:
        try:
            try:
                self._finish(plan, folder, part, result, stack)
            except Exception as error:
                self._failed(plan.job, error, plan)
        except BaseException as error:
            self._give_up(error)
        finally:
            self._slots.release()

    def _failed(self, job: Job, error: Exception, plan: Plan | None) -> None:
        if isinstance(error, BrokenPipeError) or concerns_all(error):
            raise error
        self._tally.failed(job, error, plan)

    def _give_up(self, error: BaseException) -> None:
        """End the run with ``error``, the first one that was met."""
        with self._lock:
            if self._fatal is None and not isinstance(error, CalledOff):
                self._fatal = error
        self._stop.set()

    def _go_on(self) -> None:
        stoppable.go_on()
        if self._stop.is_set():
            raise CalledOff

    def _progress(self, job: Job) -> Progress:
        shown = progress_of(self._tally.bar, job.source)

        def progress(phase: str, done: int, total: int | None) -> None:
            self._go_on()
            shown(phase, done, total)

        return progress


class _Ahead:
    """Jobs with their plans, taken by any thread; the plans of the next ``depth`` are made meanwhile."""

    def __init__(self, crew: Crew, jobs: Sequence[Job], pool: ThreadPoolExecutor, depth: int) -> None:
        self._crew, self._pool, self._depth = crew, pool, depth
        self._jobs = iter(jobs)
        self._queue: deque[tuple[Job, Future[Plan]]] = deque()
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[tuple[Job, Future[Plan]]]:
        while True:
            with self._lock:
                while len(self._queue) <= self._depth and (job := next(self._jobs, None)) is not None:
                    self._queue.append((job, self._pool.submit(self._crew.plan, job)))
                if not self._queue:
                    return
                item = self._queue.popleft()
            yield item
