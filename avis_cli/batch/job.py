"""What is asked of a run, and what becomes of each of its inputs: plain values that travel between processes."""

from __future__ import annotations

import os
import traceback
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from avis_cli.errors import AvisError, UsageError, WeightsError
from avis_cli.files.stores import Location, StorePath
from avis_cli.options import SegmentOptions

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class Job:
    """One input and the folder its results go to, each on this machine or in a store. ``called``: what to call it,
    where its path would say nothing; ``size``: bytes of an input in a store, as the store has listed it."""

    source: Location
    target: Location
    called: str | None = None
    size: int | None = None

    @property
    def name(self) -> str:
        """What the user calls the input."""
        return str(self.source) if self.called is None else self.called

    def place(self, output: Location) -> str:
        """Where its results are below the folder of all results, parts divided by slashes."""
        if isinstance(self.target, StorePath):
            assert isinstance(output, StorePath)
            return self.target.relative_to(output).as_posix()
        return self.target.relative_to(str(output)).as_posix()


@dataclass(frozen=True)
class RunSettings:
    """What is asked of every input. ``model``: a name or file, None for the default; ``devices``: as ``--device`` names
    them, one network on each; ``overwrite``, ``skip_existing``: what to do with results that are there already."""

    options: SegmentOptions = field(default_factory=SegmentOptions)
    model: str | None = None
    devices: tuple[str, ...] = ("auto",)
    offline: bool = False
    overwrite: bool = False
    skip_existing: bool = False


@dataclass(frozen=True)
class Failure:
    """An exception as plain data.

    ``kind``: name of its class; ``text``: what it says, of an AvisError the whole line; ``is_expected``: an AvisError,
    not a fault of the program; ``names_file``: the text begins with the file at fault; ``traceback``: as Python
    prints it; ``headline`` and ``steps``: of an AvisError, the line and what to do by hand below it.
    """

    kind: str
    text: str
    is_expected: bool
    names_file: bool
    traceback: str
    headline: str = ""
    steps: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        expected = isinstance(error, AvisError)
        lines = traceback.format_exception(type(error), error, error.__traceback__)
        names_file = isinstance(error, AvisError) and error.file is not None
        headline, steps = (error.headline, error.steps) if isinstance(error, AvisError) else ("", ())
        return cls(type(error).__name__, str(error), expected, names_file, "".join(lines), headline, steps)

    @property
    def cause(self) -> str:
        """One line for a record."""
        return self.text if self.is_expected else f"{self.kind}: {self.text}"


@dataclass(frozen=True)
class FoundTrack:
    """A track of an input: id, category, score 0 to 1, and the (start, end) in seconds in which it sounds."""

    id: int
    category: str
    score: float
    sounding: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    ``tracks``: how many were found, None where that is not known; ``found``: the tracks themselves, where they were
    computed now; ``seconds``: of the clip that were asked for; ``size``, ``sha256``: bytes and checksum of the input as
    far as they are known; ``weights``: name and SHA-256 of the weights; ``failure``: why it ``failed``; ``of_classes``:
    whether the tracks are class maps.
    """

    job: Job
    status: Status
    tracks: int | None = None
    found: tuple[FoundTrack, ...] = ()
    seconds: float = 0.0
    size: int | None = None
    sha256: str | None = None
    weights: tuple[str, str] | None = None
    failure: Failure | None = None
    of_classes: bool = False

    @classmethod
    def failed(cls, job: Job, error: BaseException, sha256: str | None = None) -> Outcome:
        """The outcome of an input that ``error`` ended."""
        size = None
        if isinstance(job.source, Path):
            with suppress(OSError, ValueError):
                size = os.stat(job.source).st_size if os.path.isfile(job.source) else None
        return cls(job, "failed", size=size, sha256=sha256, failure=Failure.of(error))


def concerns_all(error: BaseException) -> bool:
    """Whether every other input would meet the same: the model, or a setting, is at fault."""
    return isinstance(error, WeightsError) or (isinstance(error, UsageError) and error.file is None)
