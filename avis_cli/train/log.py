"""What a run writes about itself: a CSV table, and event files for TensorBoard where that is installed."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avis_cli.files.atomic import cannot_write, output_file
from avis_cli.files.numbers import whole_number

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_REMEDY = "choose another --out"

FIELDS = ("step", "phase", "name", "value")


class RunLog:
    """Numbers by step under ``folder``: ``log.csv`` with one row a number (step, phase, name, value) and, with the
    extra ``tensorboard``, ``events.*``.

    ``after``: the step that a run is resumed after; rows of later ones, written by a run that was killed after its last
    checkpoint, are dropped.
    """

    def __init__(self, folder: Path, *, after: int = 0) -> None:
        path = self._path = folder / "log.csv"
        kept = [row for row in read_log(path) if _is_up_to(row.get("step"), after)] if after else []
        with (
            output_file(path, overwrite=True, remedy=_REMEDY) as part,
            open(part, "w", newline="", encoding="utf-8") as file,
        ):
            table = csv.DictWriter(file, FIELDS)
            table.writeheader()
            table.writerows(kept)
        with self._refusals_told():
            self._file = open(path, "a", newline="", encoding="utf-8")  # noqa: SIM115
            self._table = csv.writer(self._file)
            self._events = _event_writer(folder, after)
        self._hook = threading.excepthook
        threading.excepthook = _without_writers(self._hook)

    def write(self, step: int, phase: str, values: Mapping[str, float]) -> None:
        """One row for each of ``values``. Raises OutputError where the system refuses, on a full disk for one."""
        with self._refusals_told():
            self._table.writerows((step, phase, name, f"{value:.6g}") for name, value in values.items())
            self._file.flush()
            if self._events is not None:
                for name, value in values.items():
                    self._events.add_scalar(f"{phase}/{name}", value, step)
                self._events.flush()

    def close(self) -> None:
        """Finish both files. Raises OutputError where the system refuses what was left to write."""
        with self._refusals_told():
            try:
                self._file.close()
            finally:
                try:
                    if self._events is not None:
                        self._events.close()
                finally:
                    threading.excepthook = self._hook

    @contextmanager
    def _refusals_told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(error, self._path, _REMEDY) from error


def _is_up_to(step: str | None, last: int) -> bool:
    """Whether a row that says ``step`` is of a step up to ``last``; damaged ones are of none."""
    number = whole_number(step or "")
    return number is not None and number <= last


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``log.csv``, none if there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        # a killed run may leave half a row
        return [row for row in csv.DictReader(file) if all(row.get(field) for field in FIELDS)]


def _without_writers(hook: Callable[[threading.ExceptHookArgs], object]) -> Callable[[threading.ExceptHookArgs], None]:
    """``hook`` that prints no traceback where TensorBoard's thread cannot write: ``RunLog.write`` raises that."""

    def told(failure: threading.ExceptHookArgs) -> None:
        is_writer = failure.thread is not None and type(failure.thread).__module__.startswith("tensorboard.")
        if not (is_writer and issubclass(failure.exc_type, OSError)):
            hook(failure)

    return told


def _event_writer(folder: Path, after: int) -> SummaryWriter | None:
    """None without TensorBoard. What earlier runs in ``folder`` wrote of later steps than ``after`` is not shown."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=after + 1 if after else None)
