"""The options that spread a run over a cluster, and the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.scheduler import Limits
from avis_cli.cli import console
from avis_cli.errors import UsageError
from avis_cli.files.numbers import whole_number
from avis_cli.options import CLUSTER

if TYPE_CHECKING:
    from avis_cli.batch.executors.cluster import ClusterClips, ClusterExecutor
    from avis_cli.batch.executors.ray import ClusterOptions
    from avis_cli.batch.journal import Journal
    from avis_cli.batch.worker import MakeWorker

CLUSTER_PATIENCE = 10.0
"""Seconds that a run on a cluster has for ending its workers, when it is called off."""

Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="auto|local|ADDRESS",
        help="Spread the work over a Ray cluster: the one that this machine belongs to, one of this machine alone, "
        "or the one at ADDRESS (HOST:PORT, ray://HOST:PORT). Needs the extra avis-cli[ray].",
        rich_help_panel=CLUSTER,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, metavar="N",
        help="Networks at work at once, for a cluster that grows more than it has room for now "
        "[default: as many as there is room for].",
        rich_help_panel=CLUSTER,
    ),
]  # fmt: skip
CpusPerWorker = Annotated[
    float | None,
    typer.Option(
        "--cpus-per-worker", metavar="C", help="Cores that each of them has [default: 1].", rich_help_panel=CLUSTER
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(
        "--gpus-per-worker", metavar="G",
        help="GPUs that each of them has; 0.5: two share one [default: 1 with --device cuda, else 0].",
        rich_help_panel=CLUSTER,
    ),
]  # fmt: skip
Retries = Annotated[
    int | None,
    typer.Option(
        "--retries", min=0, metavar="N",
        help="How often an input is tried again whose worker died; then it is given up [default: 2].",
        rich_help_panel=CLUSTER,
    ),
]  # fmt: skip
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout", metavar="S", help="Give up an input that takes longer than S seconds.", rich_help_panel=CLUSTER
    ),
]


@dataclass(frozen=True)
class ClusterChoice:
    """The options of the same names, as they were given."""

    cluster: str | None
    workers: int | None = None
    cpus_per_worker: float | None = None
    gpus_per_worker: float | None = None
    retries: int | None = None
    timeout: float | None = None

    def __bool__(self) -> bool:
        return self.cluster is not None

    def check(self, device: str, jobs: int | None) -> None:
        """Raise UsageError for values that cannot be, for any of them without a cluster, and for other options that
        have no meaning with one."""
        for name, value in vars(self).items():
            if name != "cluster" and value is not None and not self:
                flag = "--" + name.replace("_", "-")
                raise UsageError(f"{flag} without --cluster", hint="--cluster local takes this machine")
        if self.cluster is not None:
            _check_address(self.cluster)
        for flag, number, may_be_zero in (
            ("--cpus-per-worker", self.cpus_per_worker, False),
            ("--gpus-per-worker", self.gpus_per_worker, True),
            ("--timeout", self.timeout, False),
        ):
            if number is not None and not (0 < number < float("inf") or (may_be_zero and number == 0)):
                least = "0 or more" if may_be_zero else "more than 0"
                raise UsageError(f"{flag} {number:g}, expected a number, {least}")

        if self:
            self.options(device)
            if jobs is not None:
                raise UsageError(f"--jobs {jobs} with --cluster", hint="there it is --workers")

    @property
    def limits(self) -> Limits:
        return Limits(Limits.retries if self.retries is None else self.retries, self.timeout)

    def options(self, device: str) -> ClusterOptions:
        """What a cluster is asked for. Raises UsageError for a device that none has for its workers."""
        from avis_cli.batch.executors.ray import ClusterOptions

        if device not in ("auto", "cpu", "cuda"):
            raise UsageError(f"--device {device} with --cluster", hint="cpu or cuda: each worker has GPUs of its own")
        if device == "cpu" and self.gpus_per_worker:
            raise UsageError(f"--gpus-per-worker {self.gpus_per_worker:g} with --device cpu", hint="leave one out")
        if device == "cuda" and self.gpus_per_worker == 0:
            raise UsageError("--gpus-per-worker 0 with --device cuda", hint="leave one out")
        usual = {"cpu": 0.0, "cuda": 1.0, "auto": None}[device]
        gpus = usual if self.gpus_per_worker is None else self.gpus_per_worker
        assert self.cluster is not None
        return ClusterOptions(self.cluster, self.workers, self.cpus_per_worker or ClusterOptions.cpus, gpus)

    def executor(self, device: str, journal: Journal, drain: CancelToken) -> ClusterExecutor:
        """Does the jobs of a run on the cluster; ``device``: as ``--device`` names it."""
        from avis_cli.batch.executors.cluster import ClusterExecutor
        from avis_cli.batch.executors.ray import ray_workers

        return ClusterExecutor(partial(ray_workers, self.options(device)), self.limits, journal, drain)

    def clips(self, device: str, make: MakeWorker) -> ClusterClips:
        """Does the videos of a dataset on the cluster; ``make``: their workers."""
        from avis_cli.batch.executors.cluster import ClusterClips
        from avis_cli.batch.executors.ray import ray_workers

        return ClusterClips(partial(ray_workers, self.options(device)), self.limits, make, console.warn)

    def given(self) -> Iterator[str]:
        """The flags that were given."""
        for name, value in vars(self).items():
            if value is not None:
                yield "--" + name.replace("_", "-")


def _check_address(text: str) -> None:
    host, _, port = text.removeprefix("ray://").rpartition(":")
    if text not in ("auto", "local") and not (host and 0 < (whole_number(port) or 0) < 65_536):
        raise UsageError(f"--cluster {text!r}, expected auto, local, HOST:PORT or ray://HOST:PORT")
