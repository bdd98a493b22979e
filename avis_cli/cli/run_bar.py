"""One progress bar for a run over several inputs: how many are through, of how many, and what is done right now."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from avis_cli.cli import console
from avis_cli.progress import Progress, silent
from avis_cli.text import printable

_FORMAT = "{desc} |{bar}| {n_fmt}/{total_fmt} files [{elapsed}<{remaining}]"
_NAME = 24  # characters of a file's name that are shown


class RunBar(console._Bars):
    """A bar that counts inputs; the phase of the one that reported last is its description."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        super().__init__()
        self._lock = threading.RLock()
        self._bar = tqdm(
            total=total, file=sys.stderr, dynamic_ncols=True, leave=False, bar_format=_FORMAT, miniters=0, desc="files"
        )

    def of(self, source: Path) -> Progress:
        """The progress callback of one input's work."""
        name = printable(source.name)
        name = name if len(name) <= _NAME else f"{name[: _NAME - 1]}\u2026"

        def progress(phase: str, done: int, total: int | None) -> None:
            share = "" if not total else f" {min(100, 100 * done // total)}%"
            self._show(f"{name}: {phase}{share}")

        return progress

    def step(self) -> None:
        """One more input is through, whatever became of it."""
        with self._lock:
            if self._bar is not None:
                self._bar.update(1)

    def _show(self, text: str) -> None:
        with self._lock:
            if self._bar is None:
                return
            console._state.bars = self  # looking for weights draws a bar of its own
            self._bar.set_description_str(text, refresh=False)
            self._bar.update(0)


@contextmanager
def run_bar(total: int) -> Iterator[RunBar | None]:
    """The bar of a run over ``total`` inputs; None where stderr is no terminal or the user asked for quiet."""
    if console._state.quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    bar = RunBar(total)
    console._state.bars = bar
    try:
        yield bar
    finally:
        console._state.bars = None
        bar.close()


def progress_of(bar: Any, source: Path) -> Progress:
    """The callback for one input: the bar's, or that of nobody."""
    return bar.of(source) if isinstance(bar, RunBar) else silent
