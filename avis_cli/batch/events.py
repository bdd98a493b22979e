"""What a run tells while it goes on: to a console, to a log, to whoever called it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from avis_cli.batch.job import Job, Outcome
from avis_cli.progress import Progress


class EventSink(Protocol):
    """Told what happens, from any thread. ``started`` comes first and ``outcome`` once for each input, one at a time;
    what it raises ends the run."""

    def started(self, total: int) -> None:
        """There are ``total`` inputs to work on."""

    def progress(self, job: Job | None, phase: str, done: int, total: int | None) -> None:
        """How far a phase of the work on ``job`` is, as ``Progress`` has it; None: work for all of them."""

    def note(self, text: str) -> None:
        """Something worth knowing, in a line."""

    def warn(self, text: str) -> None:
        """Something that may be wrong, in a line."""

    def outcome(self, outcome: Outcome) -> None:
        """An input is through; results that are done are complete on disk."""


class IgnoreEvents:
    """For callers who look at the report alone; also to be extended by those who want some of the events."""

    def started(self, total: int) -> None: ...

    def progress(self, job: Job | None, phase: str, done: int, total: int | None) -> None: ...

    def note(self, text: str) -> None: ...

    def warn(self, text: str) -> None: ...

    def outcome(self, outcome: Outcome) -> None: ...


def progress_of(events: EventSink, job: Job | None) -> Progress:
    """``events.progress`` of one input as library code calls it."""

    def progress(phase: str, done: int, total: int | None) -> None:
        events.progress(job, phase, done, total)

    return progress


def warner(events: EventSink, job: Job) -> Callable[[str], None]:
    """``events.warn`` with the input's name before the text."""
    return lambda text: events.warn(f"{job.name}: {text}")
