"""Progress on a terminal: a bar for each phase of one piece of work, or one bar for all inputs of a run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from avis_cli.batch.cancel import CancelToken, with_cancellation
from avis_cli.batch.job import Job
from avis_cli.cli import console
from avis_cli.progress import Progress, silent
from avis_cli.text import printable


@contextmanager
def progress_bar(token: CancelToken | None = None) -> Iterator[Progress]:
    """Yields a progress callback that draws one bar a phase on stderr, with rate and time left.

    Nothing is drawn when stderr is no terminal or the user asked for quiet. ``token``: asked at every call.
    """
    bars = Bars() if console.draws() else None
    progress: Progress = silent if bars is None else bars
    console.show(bars)
    try:
        yield progress if token is None else with_cancellation(progress, token)
    finally:
        console.show(None)
        if bars is not None:
            bars.close()


# what a phase counts, where it is not steps or seconds as the user chose
_UNITS = {
    "downloading": "B",
    "checking": "B",
    "listening and looking": " frames",
    "drawing masks": " frames",
    "masks": " frames",
    "cutting out": " frames",
    "pictures": " frames",
    "drawing the overlay": " frames",
    "videos": " videos",
    "clips": " clips",
    "packing clips": " clips",
    "validation": " clips",
}


# as tqdm draws it, but always so many a second: by itself it turns to seconds for each where work is slow
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


class Bars:
    """One tqdm bar at a time; a new phase closes the bar of the one before."""

    def __init__(self) -> None:
        self._phase: str | None = None
        self._bar: Any = None

    def __call__(self, phase: str, done: int, total: int | None) -> None:
        from tqdm import tqdm

        if phase != self._phase:
            self.close()
            self._phase = phase
            unit = _UNITS.get(phase, "")
            self._bar = tqdm(
                desc=phase, total=total, initial=done, file=sys.stderr, dynamic_ncols=True, leave=False,
                unit=unit, unit_scale=unit == "B", bar_format=None if total is None else _BAR,
            )  # fmt: skip
        if total is not None and self._bar.total != total:
            self._bar.total = total
        self._bar.update(done - self._bar.n)

    def hide(self) -> None:
        """Make room for a line of text; the next call draws the bar again below it."""
        if self._bar is not None:
            self._bar.clear()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = None
        self._phase = None


_FILES = "{desc} |{bar}| {n_fmt}/{total_fmt} files [{elapsed}<{remaining}]"
_NAME = 24  # characters of a file's name that are shown


class BatchProgress:
    """A bar that counts inputs; the phase of the one that reported last is its description. For any thread."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._lock = threading.RLock()
        self._bar: Any = tqdm(
            total=total, file=sys.stderr, dynamic_ncols=True, leave=False, bar_format=_FILES, miniters=0, desc="files"
        )

    def progress(self, job: Job | None, phase: str, done: int, total: int | None) -> None:
        """What is done right now; ``job`` None: for all inputs."""
        name = "" if job is None else f"{_shortened(job.source.name)}: "
        share = "" if not total else f" {min(100, 100 * done // total)}%"
        with self._lock:
            if self._bar is not None:
                self._bar.set_description_str(f"{name}{phase}{share}", refresh=False)
                self._bar.update(0)

    def step(self) -> None:
        """One more input is through, whatever became of it."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(1)

    def hide(self) -> None:
        """Make room for a line of text; the next call draws the bar again below it."""
        with self._lock:
            if self._bar is not None:
                self._bar.clear()

    def close(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.close()
            self._bar = None


def _shortened(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _NAME else f"{name[: _NAME - 1]}\u2026"
