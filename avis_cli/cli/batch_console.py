"""A run on the console: results on stdout as they are complete, failures and notes on stderr, a bar on a terminal."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from avis_cli.batch.job import FoundTrack, Job, Outcome
from avis_cli.cli import console
from avis_cli.cli.progress_bars import Bars, BatchProgress

SHOWN_TRACKS, SHOWN_INTERVALS = 6, 3  # in the line that says what was found


class ConsoleEvents:
    """``with ConsoleEvents(...) as events:`` shows progress until the block ends.

    ``as_json``: a line of JSON for each input in place of its results' folder; ``many``: one bar that counts inputs in
    place of one for each phase.
    """

    def __init__(self, *, as_json: bool, many: bool) -> None:
        self._as_json, self._many = as_json, many
        self._bars: Bars | BatchProgress | None = None

    def __enter__(self) -> ConsoleEvents:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        console.show(None)
        if self._bars is not None:
            self._bars.close()

    def started(self, total: int) -> None:
        if console.draws():
            self._bars = BatchProgress(total) if self._many else Bars()
            console.show(self._bars)

    def progress(self, job: Job | None, phase: str, done: int, total: int | None) -> None:
        if isinstance(self._bars, BatchProgress):
            self._bars.progress(job, phase, done, total)
        elif self._bars is not None:
            self._bars(phase, done, total)

    def note(self, text: str) -> None:
        console.note(text)

    def warn(self, text: str) -> None:
        console.warn(text)

    def outcome(self, outcome: Outcome) -> None:
        job = outcome.job
        if outcome.failure is not None:
            console.report(outcome.failure, job.name)
            self._step()
            return
        if outcome.status == "skipped":
            console.note(f"{job.name}: done before, skipped")
        elif not self._many:
            console.note(_in_words(outcome))
        self._step()
        console.result(json.dumps(_summary(outcome)) if self._as_json else str(job.target))

    def _step(self) -> None:
        if isinstance(self._bars, BatchProgress):
            self._bars.step()


def _in_words(outcome: Outcome) -> str:
    """One line on what was found: ``2 objects: car 98 %, 2.0-4.0 s; bell 97 %, 0.0-1.0 s``."""
    if not outcome.found:
        return f"nothing found that sounds; {_what_to_try(outcome)}"
    one, several = ("class", "classes") if outcome.of_classes else ("object", "objects")
    objects = f"1 {one}" if len(outcome.found) == 1 else f"{len(outcome.found)} {several}"
    shown = "; ".join(map(_track_in_words, outcome.found[:SHOWN_TRACKS]))
    more = len(outcome.found) - SHOWN_TRACKS
    return f"{objects}: {shown}{f'; and {more} more' if more > 0 else ''}"


def _track_in_words(track: FoundTrack) -> str:
    intervals = ", ".join(f"{start:.1f}-{end:.1f}" for start, end in track.sounding[:SHOWN_INTERVALS])
    more = ", ..." if len(track.sounding) > SHOWN_INTERVALS else ""
    return f"{track.category} {100 * track.score:.0f} %, {intervals}{more} s"


def _what_to_try(outcome: Outcome) -> str:
    """A lower threshold helps a model that knows what the clip shows; the bundled one rather does not."""
    from avis_cli.hub.manifest import load_manifest

    entry = None if outcome.weights is None else load_manifest().models.get(outcome.weights[0])
    if entry is not None and entry.bundled:
        return f"{entry.name} was trained on {entry.trained_on}; `avis weights list` shows models for real videos"
    if outcome.of_classes:
        return "`avis weights list` shows what other models know"
    return "a lower --threshold finds less certain objects"


def _summary(outcome: Outcome) -> dict[str, Any]:
    job = outcome.job
    summary = {"input": job.name, "output": str(job.target), "skipped": outcome.status == "skipped"}
    if outcome.status == "skipped":
        return summary
    return {
        **summary,
        "tracks": [
            {"id": track.id, "category": track.category, "score": track.score, "sounding": track.sounding}
            for track in outcome.found
        ],
    }
