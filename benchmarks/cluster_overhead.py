"""What a job costs the driver of a cluster's run: Ray's calls, scheduling, journal and record, with workers that do
nothing, on this machine.

    python benchmarks/cluster_overhead.py --jobs 3000
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.events import IgnoreEvents
from avis_cli.batch.executors.cluster import ClusterExecutor
from avis_cli.batch.executors.ray import ClusterOptions, ray_workers
from avis_cli.batch.job import Job, Outcome, RunSettings
from avis_cli.batch.journal import Journal
from avis_cli.batch.runner import BatchRunner
from avis_cli.batch.scheduler import Limits, WorkerPool
from avis_cli.batch.worker import JobReport, MakeWorker, Place, Worker

_STARTED = 10.0  # seconds in which workers are there


class Idle:
    """A worker that says of every job that it is done."""

    def start(self) -> None: ...

    def run(self, task: Job) -> JobReport:
        return JobReport(Outcome(task, "done", 1, seconds=1.0, size=1, sha256="0" * 64))


def make_idle(device: str) -> Callable[[], Worker]:
    """What makes a worker."""
    return Idle


def measure(folder: Path, jobs: int) -> tuple[int, float, float]:
    """Jobs that were done, and processor and clock time of each for the driver, in milliseconds."""
    (folder / "in").mkdir()
    work = []
    for number in range(jobs):
        source = folder / "in" / str(number)
        source.write_bytes(b"x")
        work.append(Job(source, folder / "out" / str(number)))
    spent: list[float] = []

    @contextmanager
    def open_pool(
        make: MakeWorker, place: Place, most: int, warn: Callable[[str], None]
    ) -> Iterator[tuple[WorkerPool, int]]:
        with ray_workers(ClusterOptions("local", gpus=0.0), make_idle, place, most, warn) as opened:
            time.sleep(_STARTED)
            began = time.process_time(), time.monotonic()
            yield opened
            spent.extend([time.process_time() - began[0], time.monotonic() - began[1]])

    settings, out = RunSettings(), folder / "out"
    executor = ClusterExecutor(open_pool, Limits(), Journal(out, settings), CancelToken())
    report = BatchRunner(settings, out, executor=executor).run(work, IgnoreEvents(), CancelToken())
    processor, clock = (1000 * seconds / jobs for seconds in spent)
    return report.done, processor, clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=3000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done, processor, clock = measure(Path(folder), chosen.jobs)
    print(f"{done} jobs: {processor:.2f} ms of processor time and {clock:.2f} ms for each")


if __name__ == "__main__":
    main()
