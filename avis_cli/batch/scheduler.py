"""Which worker of a cluster does which task when, and what is done about those that fail or die.

Knows nothing of videos, of Ray and of time itself: a ``WorkerPool`` starts workers and runs tasks on them, ``clock``
says how late it is. A worker has one task at a time, and gets one as soon as it is ready: a cluster that grows is used
as it grows.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from avis_cli.batch.cancel import CancelToken
from avis_cli.errors import ClusterError

LOST_STARTS = 5
"""How often in a row a worker may die before it is ready; after that it is given up."""
LOST_NODES = 10
"""How many machines may go away under one task: no fault of the task, unless it is the reason each time."""
_TO_DO = "look into memory and the logs of the machines, or run without a cluster to see the reason"
_PATIENCE = 0.5  # seconds between two looks at whether the work is still wanted

End = Literal["done", "failed", "quarantined", "timed out"]


@dataclass(frozen=True)
class Ready:
    """A worker can take a task. ``node``: the machine it is on."""

    worker: int
    node: str = ""


@dataclass(frozen=True)
class Finished:
    """A worker has done its task; ``value``: what came of it."""

    worker: int
    value: Any


@dataclass(frozen=True)
class Raised:
    """A worker's task ended with an exception, and the worker can take another one."""

    worker: int
    error: Exception


@dataclass(frozen=True)
class Lost:
    """A worker died, or ``with_node`` its machine is gone. The pool starts it anew; it says Ready when it is back."""

    worker: int
    cause: str
    with_node: bool = False


Event = Ready | Finished | Raised | Lost


class WorkerPool(Protocol):
    """Workers numbered from 0. Each is started by the pool, and started anew where it dies."""

    def submit(self, worker: int, task: Any) -> None:
        """Give a ready worker a task."""

    def wait(self, seconds: float) -> Sequence[Event]:
        """What has happened, in order; waits up to ``seconds`` for something to. Raises what makes all work useless."""

    def kill(self, worker: int) -> None:
        """End a worker in the middle of its task; Lost follows."""

    def give_up(self, worker: int) -> None:
        """Do not start a worker again."""

    def close(self) -> None:
        """End all workers, at once where they are at work."""


@dataclass(frozen=True)
class Limits:
    """``retries``: how often a task is done again whose worker died, not counting what was lost with its machine;
    ``timeout``: seconds that a task may take, None for any number. A task that takes longer is not done again: it would
    take as long."""

    retries: int = 2
    timeout: float | None = None


@dataclass(frozen=True)
class Settled:
    """What became of a task.

    ``value``: of one that is done; ``error``: what it raised; ``cause``: in a line, why there is no value;
    ``attempts``: how often it was begun; ``seconds``: that the last attempt took; ``node``: where that was.
    """

    task: Any
    end: End
    value: Any = None
    error: Exception | None = None
    cause: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    node: str = ""


class Watcher(Protocol):
    """Is told of every task, one at a time. What it raises ends the run."""

    def began(self, task: Any, attempt: int, node: str) -> None:
        """A worker has it now; ``attempt`` counts from 1."""

    def lost(self, task: Any, attempt: int, node: str, cause: str) -> None:
        """Its worker died; it will be done again."""

    def settled(self, settled: Settled) -> None:
        """It is through, whatever became of it."""


@dataclass
class _Attempt:
    """A task on a worker since ``began``, the ``serial``-th of the run; ``deaths`` and ``lost_nodes``: what earlier
    attempts at it ended with; ``is_late``: it is being ended because it took too long."""

    task: Any
    serial: int
    began: float
    deaths: int = 0
    lost_nodes: int = 0
    is_late: bool = False

    @property
    def number(self) -> int:
        """Counted from 1."""
        return self.deaths + self.lost_nodes + 1


class Scheduler:
    """Takes tasks to their ends on the workers 0 to ``workers`` - 1 of a pool."""

    def __init__(
        self,
        pool: WorkerPool,
        workers: int,
        limits: Limits,
        watcher: Watcher,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool, self._limits, self._watcher, self._clock = pool, limits, watcher, clock
        self._starting = set(range(workers))
        self._idle: deque[int] = deque()
        self._running: dict[int, _Attempt] = {}
        self._nodes: dict[int, str] = {}
        self._deaths: dict[int, int] = {}  # in a row before it was ready
        self._earlier: dict[Hashable, tuple[int, int]] = {}  # of tasks to be done again: deaths, lost machines
        self._again: deque[Any] = deque()
        self._deadlines: list[tuple[float, int, int]] = []  # when, worker, number of its attempt
        self._serial = 0

    @property
    def running(self) -> list[Any]:
        """The tasks that workers have now."""
        return [attempt.task for attempt in self._running.values()]

    def run(self, tasks: Iterable[Any], cancel: CancelToken, drain: CancelToken) -> None:
        """Do every task, in their order as far as workers are free; tasks are hashable and differ from each other.

        When ``drain`` is cancelled no other task is begun, and what runs is waited for. Raises Cancelled, what the
        pool and the watcher raise, and ClusterError where no worker comes to be ready. The pool is not closed.
        """
        left = iter(tasks)
        while True:
            cancel.check()
            if not drain.is_cancelled:
                self._assign(left)
            if not self._running and (drain.is_cancelled or self._is_through(left)):
                return
            for event in self._pool.wait(self._next_look()):
                self._handle(event)
            self._end_late_ones()

    def _assign(self, left: Iterator[Any]) -> None:
        while self._idle:
            task = self._again.popleft() if self._again else next(left, None)
            if task is None:
                return
            worker = self._idle.popleft()
            self._serial += 1
            attempt = _Attempt(task, self._serial, self._clock(), *self._earlier.pop(task, (0, 0)))
            self._running[worker] = attempt
            if self._limits.timeout is not None:
                heapq.heappush(self._deadlines, (attempt.began + self._limits.timeout, worker, attempt.serial))
            self._watcher.began(task, attempt.number, self._nodes[worker])
            self._pool.submit(worker, task)

    def _is_through(self, left: Iterator[Any]) -> bool:
        """Whether nothing is left to begin; a task that is looked at for that is kept."""
        if not self._again:
            task = next(left, None)
            if task is None:
                return True
            self._again.append(task)
        return False

    def _next_look(self) -> float:
        if not self._deadlines:
            return _PATIENCE
        return min(_PATIENCE, max(0.0, self._deadlines[0][0] - self._clock()))

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ready):
            self._starting.discard(event.worker)
            self._deaths.pop(event.worker, None)
            self._nodes[event.worker] = event.node
            self._idle.append(event.worker)
        elif isinstance(event, Lost):
            self._lost(event)
        else:
            attempt = self._running.pop(event.worker)
            if attempt.is_late:  # through just as it was being ended: Lost follows
                self._starting.add(event.worker)
            else:
                self._idle.append(event.worker)
            if isinstance(event, Finished):
                self._settle(attempt, event.worker, "done", value=event.value)
            else:
                self._settle(attempt, event.worker, "failed", error=event.error, cause=str(event.error))

    def _lost(self, event: Lost) -> None:
        worker = event.worker
        attempt = self._running.pop(worker, None)
        if attempt is not None:
            self._starting.add(worker)
            self._interrupted(attempt, event)
        elif worker in self._idle:
            self._idle.remove(worker)
            self._starting.add(worker)
        else:
            self._lost_start(event)

    def _interrupted(self, attempt: _Attempt, event: Lost) -> None:
        """An attempt ended with its worker: the last one, or the task waits to be done again."""
        if attempt.is_late:
            cause = f"took longer than {self._limits.timeout:g} s"
            self._settle(attempt, event.worker, "timed out", cause=cause)
            return
        deaths, lost_nodes = attempt.deaths + (not event.with_node), attempt.lost_nodes + event.with_node
        if deaths > self._limits.retries or lost_nodes > LOST_NODES:
            self._settle(attempt, event.worker, "quarantined", cause=event.cause)
            return
        self._earlier[attempt.task] = deaths, lost_nodes
        self._again.append(attempt.task)
        self._watcher.lost(attempt.task, attempt.number, self._nodes[event.worker], event.cause)

    def _lost_start(self, event: Lost) -> None:
        """A worker died before it was ready."""
        worker = event.worker
        self._deaths[worker] = self._deaths.get(worker, 0) + 1
        if self._deaths[worker] < LOST_STARTS:
            return
        self._pool.give_up(worker)
        self._starting.discard(worker)
        if not (self._starting or self._idle or self._running):
            raise ClusterError(f"every worker died {LOST_STARTS} times before it was ready: {event.cause}", hint=_TO_DO)

    def _settle(self, attempt: _Attempt, worker: int, end: End, **about: Any) -> None:
        seconds, node = self._clock() - attempt.began, self._nodes[worker]
        self._watcher.settled(Settled(attempt.task, end, attempts=attempt.number, seconds=seconds, node=node, **about))

    def _end_late_ones(self) -> None:
        now = self._clock()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, worker, serial = heapq.heappop(self._deadlines)
            attempt = self._running.get(worker)
            if attempt is not None and attempt.serial == serial:
                attempt.is_late = True
                self._pool.kill(worker)
