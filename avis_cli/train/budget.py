"""How long a run lasts: a number of steps, or minutes."""

from __future__ import annotations

from dataclasses import dataclass

from avis_cli.errors import UsageError


@dataclass(frozen=True)
class Budget:
    """Exactly one of ``steps`` and ``minutes``."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("how long to train is not clear", hint="give either --steps or --minutes")
        if (self.steps or self.minutes or 0) <= 0:
            raise UsageError("nothing to train for", hint="give --steps or --minutes above 0")

    def share_done(self, step: int, elapsed: float) -> float:
        """0 at the start, 1 or more when the run is over; ``elapsed`` in seconds."""
        return step / self.steps if self.steps else elapsed / (60.0 * (self.minutes or 1.0))

    def progress(self, step: int, elapsed: float) -> tuple[int, int]:
        """Done and total, in steps or seconds, for the progress display."""
        if self.steps:
            return min(step, self.steps), self.steps
        total = round(60.0 * (self.minutes or 1.0))
        return min(int(elapsed), total), total
