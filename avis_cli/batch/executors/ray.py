"""Workers on a Ray cluster, one actor each: what the scheduler of a run needs to know of Ray, and nothing else does.

Ray is an extra. No pictures travel through it: an actor is told which input to work on and says what came of it.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from avis_cli.batch.scheduler import Event, Finished, Lost, Raised, Ready
from avis_cli.batch.worker import MakeWorker, Place, Worker
from avis_cli.errors import ClusterError, UsageError
from avis_cli.files.numbers import whole_number
from avis_cli.version import __version__

_AGAIN, _LONGEST = 0.2, 10.0  # seconds before a worker that died is started again, doubled up to
_WORTH_A_WORD = 30.0  # seconds without any worker
_LISTENS = 10.0  # seconds for the head of a cluster to answer


@dataclass(frozen=True)
class ClusterOptions:
    """``address``: of a Ray cluster, "auto" for the one that this machine belongs to, "local" for one of this machine
    alone that ends with the run. ``workers``: how many at most, None for as many as there is room for now; ``cpus`` and
    ``gpus``: that each of them has, fractions of one too; None: one GPU if the cluster has any."""

    address: str
    workers: int | None = None
    cpus: float = 1.0
    gpus: float | None = None


class _Actor:
    """A worker in a process of its own, which Ray starts again where it dies."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._worker: Worker | None = None

    def start(self, version: str, place: Place) -> str:
        """Get ready; which process of which machine this is. Raises ClusterError for a machine that cannot help."""
        node = f"{socket.gethostname()} (process {os.getpid()})"
        if version != __version__:
            raise ClusterError(
                f"{node} has avis-cli {__version__}, the driver {version}", hint="install the same on every machine"
            )
        place.check(node)
        self._worker = self._make()
        self._worker.start()
        return node

    def run(self, task: Any) -> Any:
        assert self._worker is not None
        return self._worker.run(task)


@dataclass
class _Slot:
    """A worker: its actor, what it is doing (a reference of Ray), and when it is to be started again."""

    actor: Any
    doing: Any = None
    is_starting: bool = True
    due: float | None = None
    pause: float = _AGAIN


class RayPool:
    """A ``WorkerPool`` of Ray actors. ``make``: makes a worker, in its process; has to be picklable.

    ``warn`` is told once where no worker comes for a while.
    """

    def __init__(
        self,
        options: ClusterOptions,
        workers: int,
        make: Callable[[], Worker],
        place: Place,
        warn: Callable[[str], None],
    ) -> None:
        self._ray, self._options, self._make, self._place, self._warn = import_ray(), options, make, place, warn
        self._slots = {number: _Slot(None) for number in range(workers)}
        self._doing: dict[Any, int] = {}
        self._began = time.monotonic()
        self._is_waiting = True
        for number in self._slots:
            self._start(number)

    def submit(self, worker: int, task: Any) -> None:
        self._do(worker, self._slots[worker].actor.run.remote(task), is_starting=False)

    def wait(self, seconds: float) -> Sequence[Event]:
        self._start_due()
        dues = [slot.due for slot in self._slots.values() if slot.due is not None]
        if dues:
            seconds = min(seconds, max(0.0, min(dues) - time.monotonic()))
        if not self._doing:
            time.sleep(seconds)
            return []
        found, _ = self._ray.wait(list(self._doing), num_returns=1, timeout=seconds)
        if found:  # and whatever else is there by now
            found, _ = self._ray.wait(list(self._doing), num_returns=len(self._doing), timeout=0)
        elif self._is_waiting and time.monotonic() - self._began > _WORTH_A_WORD:
            self._is_waiting = False
            self._warn(f"no worker has come yet, each wants {self._wanted()}; the cluster has {self._had()}")
        return [self._event(reference) for reference in found]

    def kill(self, worker: int) -> None:
        self._ray.kill(self._slots[worker].actor, no_restart=False)

    def give_up(self, worker: int) -> None:
        self._end(self._slots.pop(worker))

    def close(self) -> None:
        for slot in self._slots.values():
            self._end(slot)
        self._slots, self._doing = {}, {}

    def _end(self, slot: _Slot) -> None:
        self._doing.pop(slot.doing, None)
        with suppress(Exception):  # whatever Ray says of an actor that is gone
            self._ray.kill(slot.actor)

    def _start(self, number: int) -> None:
        slot = self._slots[number]
        slot.due = None
        if slot.actor is None:
            settings = {"num_cpus": self._options.cpus, "num_gpus": self._options.gpus}
            actor = self._ray.remote(max_restarts=-1, max_task_retries=0, **settings)(_Actor)
            slot.actor = actor.remote(self._make)
        self._do(number, slot.actor.start.remote(__version__, self._place), is_starting=True)

    def _start_due(self) -> None:
        now = time.monotonic()
        for number, slot in self._slots.items():
            if slot.due is not None and slot.due <= now:
                self._start(number)

    def _do(self, number: int, reference: Any, *, is_starting: bool) -> None:
        slot = self._slots[number]
        slot.doing, slot.is_starting = reference, is_starting
        self._doing[reference] = number

    def _event(self, reference: Any) -> Event:
        number = self._doing.pop(reference)
        slot, errors = self._slots[number], self._ray.exceptions
        slot.doing = None
        try:
            value = self._ray.get(reference)
        except errors.RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if slot.is_starting:  # it would be so for every worker
                raise cause from None
            return Raised(number, cause)
        except errors.RayError as error:
            return self._lost(number, error)
        if slot.is_starting:
            self._is_waiting = False
            return Ready(number, value)
        slot.pause = _AGAIN
        return Finished(number, value)

    def _lost(self, number: int, error: Exception) -> Lost:
        slot = self._slots[number]
        if isinstance(error, self._ray.exceptions.ActorDiedError):  # for good: Ray starts this one no more
            slot.actor = None
        slot.due, slot.pause = time.monotonic() + slot.pause, min(_LONGEST, 2 * slot.pause)
        text = " ".join(str(error).split())
        with_node = bool(getattr(error, "preempted", False)) or "node has died" in text
        return Lost(number, "its machine is gone" if with_node else _in_short(error), with_node)

    def _wanted(self) -> str:
        return f"{self._options.cpus:g} CPU and {self._options.gpus or 0:g} GPU"

    def _had(self) -> str:
        had = self._ray.cluster_resources()
        return f"{had.get('CPU', 0):g} and {had.get('GPU', 0):g}"


def _in_short(error: Exception) -> str:
    """What Ray says of a death, which takes it a page, in some words."""
    if "OutOfMemory" in type(error).__name__ or "out of memory" in str(error).lower():
        return "out of memory"
    return "its process ended, as for lack of memory or by a fault of a library"


def import_ray() -> ModuleType:
    """Raises UsageError where Ray is not installed."""
    # it tells its makers of each use unless told not to, and ends in its own way when a signal comes
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
    try:
        import ray
    except ImportError:
        raise UsageError("--cluster needs Ray, which is not installed", hint="pip install 'avis-cli[ray]'") from None
    return ray


@contextmanager
def ray_workers(
    options: ClusterOptions, make: MakeWorker, place: Place, most: int, warn: Callable[[str], None]
) -> Iterator[tuple[RayPool, int]]:
    """Up to ``most`` workers, and how many they are; they end with the block.

    Raises UsageError, ClusterError where they cannot be had.
    """
    with connected(options) as (granted, workers):
        device = "cuda" if granted.gpus else "cpu"
        workers = min(workers, most)
        pool = RayPool(granted, workers, make(device), place, warn)
        try:
            yield pool, workers
        finally:
            pool.close()


@contextmanager
def connected(options: ClusterOptions) -> Iterator[tuple[ClusterOptions, int]]:
    """A connection to the cluster for as long as the block takes: the options with the GPUs that a worker is to have,
    and how many workers there are to be.

    Raises ClusterError where there is no such cluster, UsageError where it is too small for one worker.
    """
    ray = import_ray()
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "CRITICAL"}
    if options.address == "local":
        common["include_dashboard"] = False
    try:
        _require_somebody_at(options.address)
        ray.init(address=options.address, **common)
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        cause = f"no Ray cluster at {options.address!r} ({' '.join(str(error).split())[:200]})"
        hint = "`ray start --head` begins one; RAY_AUTH_MODE=token is for one that wants a token"
        raise ClusterError(cause, hint=hint) from None
    try:
        had = ray.cluster_resources()
        if options.gpus is None:
            options = replace(options, gpus=1.0 if had.get("GPU", 0) >= 1 else 0.0)
        yield options, _workers(had, options)
    finally:
        ray.shutdown()


def _require_somebody_at(address: str) -> None:
    """Raise OSError where nobody listens at HOST:PORT, which Ray finds out after minutes."""
    if address not in ("auto", "local"):
        host, _, port = address.removeprefix("ray://").rpartition(":")
        socket.create_connection((host.strip("[]"), whole_number(port) or 0), _LISTENS).close()


def _workers(had: dict[str, float], options: ClusterOptions) -> int:
    """As many as asked for; else, and on this machine alone, as many as there is room for."""
    gpus = options.gpus or 0.0
    room = [int(had.get(name, 0) / each) for name, each in (("CPU", options.cpus), ("GPU", gpus)) if each]
    if options.workers is not None and options.address != "local":
        return options.workers  # the cluster may grow
    if min(room) < 1:
        asked = f"a worker of {options.cpus:g} CPU and {gpus:g} GPU"
        there = f"the cluster has {had.get('CPU', 0):g} and {had.get('GPU', 0):g}"
        raise UsageError(f"{asked}, but {there}", hint="ask for less, or give --workers for a cluster that grows")
    return min(room) if options.workers is None else min(*room, options.workers)
