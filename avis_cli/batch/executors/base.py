"""What an executor is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.events import EventSink
from avis_cli.batch.job import Job, RunSettings


class Executor(Protocol):
    """Takes jobs to their outcomes."""

    def run(self, jobs: Sequence[Job], settings: RunSettings, events: EventSink, cancel: CancelToken) -> None:
        """Work on every job, whatever becomes of the others, and tell ``events`` the outcome of each.

        Raises what concerns all jobs (``concerns_all``), what ``events`` raises, and Cancelled; nothing half-written is
        left then, and nothing of the work goes on.
        """
