"""A run over very many inputs on very many workers, with everything but the workers as it is: the driver's scheduling,
journal and record, and a clock that the workers advance.

    python benchmarks/cluster_simulation.py --jobs 100000 --workers 500

What is drawn, from one seed: the seconds of each job (log-normal); machines, a twentieth of them a third as fast;
workers that die in the middle of a job, machines that are taken away and come back; jobs that kill each worker and jobs
that hang. Printed: the time until all was done that can be, on the workers' clock, against the least that is possible
(all seconds of work spread evenly over the speeds, and the start of a worker); what was lost to deaths; what became of
the jobs that can never be done; the driver's processor time for each job, and its memory as the run goes on.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.events import IgnoreEvents
from avis_cli.batch.executors.cluster import ClusterExecutor
from avis_cli.batch.job import Job, Outcome, RunSettings
from avis_cli.batch.journal import Journal
from avis_cli.batch.runner import BatchRunner
from avis_cli.batch.scheduler import Event, Finished, Limits, Lost, Ready, WorkerPool
from avis_cli.batch.worker import JobReport, MakeWorker, Place
from avis_cli.version import __version__

RESULTS = Path(__file__).parent / "results" / "cluster_simulation.json"
START = 20.0  # seconds in which a worker loads its network
BACK = 120.0  # seconds until a machine that was taken away is there again
MACHINE = 8  # workers on one


@dataclass(frozen=True)
class World:
    """What happens to a run. ``deaths``: share of attempts in whose middle a worker dies; ``days_up``: of a machine
    until it is taken away, on average; ``poison``, ``hanging``: how many jobs kill or hang each worker."""

    jobs: int = 100_000
    workers: int = 500
    seconds: float = 30.0  # median of a job
    spread: float = 1.0  # standard deviation of its logarithm
    deaths: float = 0.002
    days_up: float = 0.25
    poison: int = 10
    hanging: int = 10
    retries: int = 2
    timeout: float = 7200.0
    seed: int = 0


class SimulatedPool:
    """A ``WorkerPool`` whose workers only spend time, on a clock of their own. ``seconds``: of each job, by its place;
    ``poison`` and ``hanging``: places of jobs that no worker survives, or ends."""

    def __init__(self, world: World, seconds: Sequence[float], poison: set[int], hanging: set[int]) -> None:
        self.now = 0.0
        self.lost = 0.0  # seconds of work
        self._world, self._seconds, self._poison, self._hanging = world, seconds, poison, hanging
        self._random = np.random.default_rng(world.seed + 1)
        machines = -(-world.workers // MACHINE)
        self.speeds = np.where(np.arange(machines) % 20 == 19, 1 / 3, 1.0).repeat(MACHINE)[: world.workers]
        self._events: list[tuple[float, int, int, int, Event | None]] = []  # when, order, worker, its life, what
        self._order = itertools.count()
        self._lives = [0] * world.workers
        self._busy: dict[int, float] = {}
        for worker in range(world.workers):
            self._later(START, worker, Ready(worker, f"m{worker // MACHINE}"))
        for machine in range(machines):
            self._take_away(machine)

    def _later(self, seconds: float, worker: int, event: Event | None) -> None:
        life = self._lives[worker] if event is not None else 0
        heapq.heappush(self._events, (self.now + seconds, next(self._order), worker, life, event))

    def _take_away(self, machine: int) -> None:
        self._later(self._random.exponential(self._world.days_up * 86_400), machine, None)

    def submit(self, worker: int, task: Job) -> None:
        place = int(task.target.name)
        seconds = self._seconds[place] / self.speeds[worker]
        self._busy[worker] = self.now
        if place in self._poison or self._random.random() < self._world.deaths:
            self._later(seconds * self._random.random(), worker, Lost(worker, "died"))
        elif place not in self._hanging:
            outcome = Outcome(task, "done", 1, seconds=1.0, size=os.stat(str(task.source)).st_size, sha256="0" * 64)
            self._later(seconds, worker, Finished(worker, JobReport(outcome)))

    def wait(self, seconds: float) -> list[Event]:
        until = self.now + seconds
        if not self._events or self._events[0][0] > until:
            self.now = until
            return []
        self.now = self._events[0][0]
        found: list[Event] = []
        while self._events and self._events[0][0] <= self.now:
            _, _, worker, life, event = heapq.heappop(self._events)
            if event is None:
                found += self._without_machine(worker)
            elif life == self._lives[worker]:
                found.append(event)
                self._happened(event)
        return found

    def _happened(self, event: Event) -> None:
        began = self._busy.pop(event.worker, None)
        if isinstance(event, Lost):
            self.lost += 0.0 if began is None else self.now - began
            self._lives[event.worker] += 1
            self._later(START, event.worker, Ready(event.worker, f"m{event.worker // MACHINE}"))

    def _without_machine(self, machine: int) -> list[Event]:
        self._take_away(machine)
        gone: list[Event] = []
        for worker in range(machine * MACHINE, min((machine + 1) * MACHINE, self._world.workers)):
            began = self._busy.pop(worker, None)
            self.lost += 0.0 if began is None else self.now - began
            self._lives[worker] += 1
            gone.append(Lost(worker, "its machine is gone", with_node=True))
            self._later(BACK + START, worker, Ready(worker, f"m{machine}"))
        return gone

    def kill(self, worker: int) -> None:
        self._lives[worker] += 1  # what it was about to say it says no more
        self._later(0.0, worker, Lost(worker, "killed"))

    def give_up(self, worker: int) -> None:
        self._lives[worker] += 1

    def close(self) -> None: ...


class _Counts(IgnoreEvents):
    """What became of the jobs, when the last one was done, and the memory of this process as it went."""

    def __init__(self, every: int, clock: Callable[[], float]) -> None:
        self.outcomes, self.last_done, self._clock = 0, 0.0, clock
        self.failures: list[Outcome] = []
        self.megabytes: list[float] = []
        self._every = every

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes += 1
        if outcome.failure is not None:
            self.failures.append(outcome)
        else:
            self.last_done = self._clock()
        if self.outcomes % self._every == 0:
            self.megabytes.append(_memory())
            print(f"\r{self.outcomes} jobs", end="", file=sys.stderr, flush=True)


def _memory() -> float:
    """MB of this process now; where the system does not say, the most it ever had."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def simulate(world: World, folder: Path) -> dict[str, Any]:
    """One run in ``folder``, which holds its inputs, journal and record. The figures that are printed."""
    random = np.random.default_rng(world.seed)
    seconds = random.lognormal(np.log(world.seconds), world.spread, world.jobs)
    odd = random.permutation(world.jobs)[: world.poison + world.hanging].tolist()
    pool = SimulatedPool(world, seconds.tolist(), set(odd[: world.poison]), set(odd[world.poison :]))
    jobs = _inputs(folder, seconds)

    @contextmanager
    def open_pool(
        make: MakeWorker, place: Place, most: int, warn: Callable[[str], None]
    ) -> Iterator[tuple[WorkerPool, int]]:
        yield pool, min(world.workers, most)

    out, events = folder / "out", _Counts(max(1, world.jobs // 10), lambda: pool.now)
    settings, limits = RunSettings(), Limits(world.retries, world.timeout)
    executor = ClusterExecutor(open_pool, limits, Journal(out, settings), CancelToken(), lambda: pool.now)
    began = time.process_time()
    report = BatchRunner(settings, out, executor=executor).run(jobs, events, CancelToken())
    spent = time.process_time() - began
    print(file=sys.stderr)
    able = np.delete(seconds, odd)
    least = START + max(able.sum() / pool.speeds.sum(), able.max() / pool.speeds.max())
    never = {str(place) for place in odd}
    return {
        "done": report.done,
        "failed": report.failed,
        "failed without being at fault": sum(outcome.job.target.name not in never for outcome in events.failures),
        "least hours": least / 3600,
        "hours until the last was done": events.last_done / 3600,
        "times the least": events.last_done / least,
        "hours until the last was given up": pool.now / 3600,
        "lost hours of work": pool.lost / 3600,
        "hours of work": able.sum() / 3600,
        "driver ms a job": 1000 * spent / world.jobs,
        "MB after each tenth": [round(value, 1) for value in events.megabytes],
    }


def _inputs(folder: Path, seconds: Any) -> list[Job]:
    """An empty file for each job, as long as the job takes: the driver goes by that."""
    (folder / "in").mkdir()
    jobs = []
    for place, value in enumerate(seconds):
        source = folder / "in" / str(place)
        with open(source, "wb") as file:
            file.truncate(int(1000 * value))
        jobs.append(Job(source, folder / "out" / str(place)))
    return jobs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in asdict(World()).items():
        parser.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = vars(parser.parse_args())
    out = chosen.pop("out")
    world = World(**chosen)
    with tempfile.TemporaryDirectory() as folder:
        found = simulate(world, Path(folder))
    about = {"tool": f"avis-cli {__version__}", "machine": platform.machine(), "world": asdict(world)}
    out.write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")
    for name, value in found.items():
        print(f"{name}: {value if not isinstance(value, float) else round(value, 3)}")


if __name__ == "__main__":
    main()
