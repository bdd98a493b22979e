"""What became of each input of a run: said at once, recorded, and summed up at the end."""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from avis_cli.cli import console
from avis_cli.cli.batch import Batch, Plan
from avis_cli.errors import AvisError, MediaError

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Job
    from avis_cli.cli.run_bar import RunBar
    from avis_cli.cli.run_record import RunRecord
    from avis_cli.results.clip import ClipResult


class Tally:
    """Told about every input once, by whichever thread ended its work; results go to stdout as they are complete."""

    def __init__(self, batch: Batch, *, as_json: bool, record: RunRecord | None = None) -> None:
        self._batch, self._as_json, self._record = batch, as_json, record
        self._lock = threading.RLock()
        self._counts: Counter[str] = Counter()
        self._tracks, self._seconds = 0, 0.0
        self._began = time.monotonic()
        self.bar: RunBar | None = None

    def done(self, plan: Plan, result: ClipResult) -> None:
        """The results of an input are complete."""
        with self._lock:
            self._complete("done", plan, len(result.tracks))
            self._say(plan.job, {"skipped": False, "tracks": _tracks(result)})

    def skipped(self, plan: Plan) -> None:
        """The results of an input were there before."""
        from avis_cli.files.output_folder import read_about

        tracks = read_about(plan.job.target).get("tracks")
        with self._lock:
            self._complete("skipped", plan, tracks if isinstance(tracks, int) else None)
            console.note(f"{plan.job.source}: done before, skipped")
            self._say(plan.job, {"skipped": True})

    def failed(self, job: Job, error: BaseException, plan: Plan | None = None) -> None:
        """An input gives no results."""
        with self._lock:
            self._counts["failed"] += 1
            if self._record is not None:
                cause = str(error) if isinstance(error, AvisError) else f"{type(error).__name__}: {error}"
                checksum = None if plan is None else plan.checksum
                self._record.put(job, status="failed", size=_size(job), sha256=checksum, error=cause)
            console.report(error, job.source)
            self._step()

    def refused(self, error: MediaError) -> None:
        """A folder gives no inputs."""
        with self._lock:
            self._counts["failed"] += 1
            console.report(error)

    @property
    def failures(self) -> int:
        return self._counts["failed"]

    @property
    def total(self) -> int:
        return self._counts.total()

    def summary(self) -> list[str]:
        """The table that ends a run: a line of headings and one of figures."""
        figures = {
            "files": str(self.total),
            "done": str(self._counts["done"]),
            "skipped": str(self._counts["skipped"]),
            "failed": str(self._counts["failed"]),
            "tracks": str(self._tracks),
            "video": _clock(self._seconds),
            "time": _clock(time.monotonic() - self._began),
        }
        widths = {name: max(len(name), len(value)) for name, value in figures.items()}
        return [
            "  ".join(name.rjust(widths[name]) for name in figures),
            "  ".join(value.rjust(widths[name]) for name, value in figures.items()),
        ]

    def _complete(self, kind: str, plan: Plan, tracks: int | None) -> None:
        self._counts[kind] += 1
        self._tracks += tracks or 0
        self._seconds += self._batch.seconds(plan.clip)
        if self._record is not None:
            self._record.model(plan.weights)
            size = None if plan.clip.identity is None else plan.clip.identity[0]
            self._record.put(plan.job, status="complete", size=size, sha256=plan.checksum, tracks=tracks)

    def _say(self, job: Job, about: dict[str, Any]) -> None:
        self._step()
        summary = {"input": str(job.source), "output": str(job.target), **about}
        console.result(json.dumps(summary) if self._as_json else str(job.target))

    def _step(self) -> None:
        if self.bar is not None:
            self.bar.step()


def _tracks(result: ClipResult) -> list[dict[str, Any]]:
    return [
        {"id": track.id, "category": track.label, "score": track.score, "sounding": track.sounding}
        for track in result.tracks
    ]


def _size(job: Job) -> int | None:
    try:
        return os.stat(job.source).st_size
    except (OSError, ValueError):
        return None


def _clock(seconds: float) -> str:
    """H:MM:SS.s"""
    tenths = round(seconds * 10)
    return f"{tenths // 36000}:{tenths // 600 % 60:02d}:{tenths // 10 % 60:02d}.{tenths % 10}"
