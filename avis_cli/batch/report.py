"""What became of all inputs of a run: counts, and the table that sums them up."""

from __future__ import annotations

import time
from collections import Counter

from avis_cli.batch.job import Outcome


class BatchReport:
    """Counts outcomes. ``refused``: inputs that were refused before the run, as failures of it."""

    def __init__(self, refused: int = 0) -> None:
        self._counts: Counter[str] = Counter(failed=refused)
        self._tracks, self._seconds = 0, 0.0
        self._began = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """One more input is through."""
        self._counts[outcome.status] += 1
        self._tracks += outcome.tracks or 0
        self._seconds += outcome.seconds

    @property
    def done(self) -> int:
        return self._counts["done"]

    @property
    def skipped(self) -> int:
        return self._counts["skipped"]

    @property
    def failed(self) -> int:
        return self._counts["failed"]

    @property
    def total(self) -> int:
        return self._counts.total()

    def summary(self) -> list[str]:
        """The table that ends a run: a line of headings and one of figures."""
        figures = {
            "files": str(self.total),
            "done": str(self.done),
            "skipped": str(self.skipped),
            "failed": str(self.failed),
            "tracks": str(self._tracks),
            "video": _clock(self._seconds),
            "time": _clock(time.monotonic() - self._began),
        }
        widths = {name: max(len(name), len(value)) for name, value in figures.items()}
        return [
            "  ".join(name.rjust(widths[name]) for name in figures),
            "  ".join(value.rjust(widths[name]) for name, value in figures.items()),
        ]


def _clock(seconds: float) -> str:
    """H:MM:SS.s"""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
