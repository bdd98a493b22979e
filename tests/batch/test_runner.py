"""A run from Python: what is told in which order, what is counted and recorded, how it ends."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip

import avis_cli.writers.tracks_json as tracks_writer
from avis_cli.batch.cancel import Cancelled, CancelToken
from avis_cli.batch.events import EventSink, IgnoreEvents
from avis_cli.batch.executors.threads import ThreadExecutor
from avis_cli.batch.inputs import collect
from avis_cli.batch.job import Job, Outcome, RunSettings
from avis_cli.batch.runner import BatchRunner
from avis_cli.errors import AvisError, MediaError, WeightsError
from avis_cli.options import SegmentOptions

pipeline = importlib.import_module("avis_cli.segment")  # the attribute of the package is the function

NAMES = ("a.mp4", "b.mp4", "c.mp4")
WAIT = 20  # seconds until a test that waits for another thread gives up


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in NAMES:
        make_clip(folder / name, size=(64, 48), fps=5, seconds=1, audio="tone")
    return folder


@pytest.fixture
def settings(tiny_weights: Path) -> RunSettings:
    options = SegmentOptions(threshold=0.05, gate=False, mask_fps=Fraction(1), only=("tracks",))
    return RunSettings(options, str(tiny_weights), ("cpu",), skip_existing=True)


class Events(IgnoreEvents):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.outcomes: list[Outcome] = []
        self.warnings: list[str] = []

    def started(self, total: int) -> None:
        self.told.append(f"started {total}")

    def progress(self, job: Job | None, phase: str, done: int, total: int | None) -> None:
        self.told.append(f"{phase} {'all' if job is None else job.source.name}")

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def outcome(self, outcome: Outcome) -> None:
        self.told.append(f"{outcome.status} {outcome.job.source.name}")
        self.outcomes.append(outcome)


def jobs_of(folder: Path, out: Path) -> list[Job]:
    return collect([folder], out).jobs


def test_a_run_without_a_command_line(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    events, out = Events(), tmp_path / "out"
    jobs = jobs_of(videos, out)
    report = BatchRunner(settings, out).run(jobs, events, CancelToken())
    assert (report.done, report.failed, report.total) == (3, 0, 3)
    assert events.told[0] == "started 3"
    for name in NAMES:
        phases = [text.removesuffix(f" {name}") for text in events.told if text.endswith(name)]
        order = list(dict.fromkeys(phases))
        assert order == ["checking", "listening and looking", "drawing masks", "done"]
        assert phases.count("done") == 1
    for outcome in events.outcomes:
        document = json.loads(Path(str(outcome.job.target), "tracks.json").read_text())
        assert outcome.tracks == len(outcome.found) == len(document["tracks"]) > 0
        assert [track.score for track in outcome.found] == [track["score"] for track in document["tracks"]]
        assert outcome.seconds == 1.0
        assert outcome.size == os.stat(str(outcome.job.source)).st_size
        assert outcome.weights is not None
    record = json.loads((out / "run.json").read_text())
    assert [entry["status"] for entry in record["inputs"]] == ["complete"] * 3
    again = Events()
    assert BatchRunner(settings, out).run(jobs, again, CancelToken()).skipped == 3
    assert [text for text in again.told if text.startswith("skipped")] == [f"skipped {name}" for name in NAMES]
    assert [outcome.tracks for outcome in again.outcomes] == [len(outcome.found) for outcome in sorted(
        events.outcomes, key=lambda outcome: outcome.job.source
    )]  # fmt: skip


def test_one_job_needs_no_record(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    job = Job(videos / "a.mp4", tmp_path / "out" / "a.mp4")
    events = Events()
    outcome = BatchRunner(settings, tmp_path / "out").run_one(job, events, CancelToken())
    assert events.outcomes == [outcome]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.mp4"]
    missing = Job(tmp_path / "none.mp4", tmp_path / "out" / "none.mp4")
    with pytest.raises(MediaError, match="no such file"):
        BatchRunner(settings, tmp_path / "out").run_one(missing, events, CancelToken())


class Pretended:
    """An executor that only says what it was told to; one that works elsewhere looks the same."""

    def __init__(self, outcomes: Sequence[Outcome], error: BaseException | None = None) -> None:
        self.outcomes, self.error = outcomes, error

    def run(self, jobs: Sequence[Job], settings: RunSettings, events: EventSink, cancel: CancelToken) -> None:
        for outcome in self.outcomes:
            events.outcome(outcome)
        if self.error is not None:
            raise self.error


def test_any_executor_will_do(settings: RunSettings, tmp_path: Path) -> None:
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in NAMES]
    outcomes = [
        Outcome(jobs[0], "done", 2, seconds=61.5, size=7, sha256="ab", weights=("tiny", "cd")),
        Outcome(jobs[1], "skipped", None, seconds=1.0),
        Outcome.failed(jobs[2], ValueError("a bug")),
    ]
    events = Events()
    runner = BatchRunner(settings, tmp_path / "out", executor=Pretended(outcomes))
    report = runner.run(jobs, events, CancelToken(), refused=1)
    assert events.outcomes == outcomes
    head, figures = report.summary()
    table = dict(zip(head.split(), figures.split(), strict=True))
    assert {**table, "time": ""} == {
        "files": "4", "done": "1", "skipped": "1", "failed": "2", "tracks": "2", "video": "0:01:02.5", "time": "",
    }  # fmt: skip
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert record["weights"] == {"name": "tiny", "sha256": "cd"}
    assert [(entry["status"], entry["error"]) for entry in record["inputs"]] == [
        ("complete", None), ("complete", None), ("failed", "ValueError: a bug"),
    ]  # fmt: skip


@pytest.mark.parametrize("told", [0, 1])
def test_what_concerns_all_is_raised_and_what_was_done_stays_recorded(
    settings: RunSettings, tmp_path: Path, told: int
) -> None:
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in NAMES]
    outcomes = [Outcome(jobs[0], "done", 1)][:told]
    runner = BatchRunner(settings, tmp_path / "out", executor=Pretended(outcomes, WeightsError("do not fit")))
    with pytest.raises(WeightsError):
        runner.run(jobs, IgnoreEvents(), CancelToken())
    assert (tmp_path / "out").exists() == bool(told)
    if told:
        record = json.loads((tmp_path / "out" / "run.json").read_text())
        assert [entry["status"] for entry in record["inputs"]] == ["complete", "pending", "pending"]


def test_a_cancelled_run_ends_and_keeps_what_is_complete(
    settings: RunSettings, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, original, computed = CancelToken(), pipeline.segment, list[str]()

    def segment(path: Path, *arguments: Any, **more: Any) -> Any:
        computed.append(path.name)
        if path.name == "b.mp4":
            token.cancel()
        return original(path, *arguments, **more)

    monkeypatch.setattr(pipeline, "segment", segment)
    out, before = tmp_path / "out", threading.active_count()
    with pytest.raises(Cancelled):
        BatchRunner(settings, out, executor=ThreadExecutor(1)).run(jobs_of(videos, out), IgnoreEvents(), token)
    assert computed == ["a.mp4", "b.mp4"]
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "run.json"]
    assert threading.active_count() == before


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize("place", ["network", "writer", "prepare"])
def test_an_input_that_fails_has_its_outcome_and_the_others_are_done(
    settings: RunSettings, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, place: str
) -> None:
    segment, write = pipeline.segment, tracks_writer.write_tracks

    def fail(where: str, name: str) -> None:
        if (where, name) == (place, "b.mp4"):
            raise AvisError("met in the middle")

    def compute(path: Path, *arguments: Any, **more: Any) -> Any:
        fail("network", path.name)
        return segment(path, *arguments, **more)

    def write_tracks(path: Path, result: Any) -> None:
        fail("writer", result.source.file)
        write(path, result)

    class Failing(Events):
        def progress(self, job: Job | None, phase: str, done: int, total: int | None) -> None:
            if phase == "checking" and job is not None:
                fail("prepare", job.source.name)

    monkeypatch.setattr(pipeline, "segment", compute)
    monkeypatch.setattr(tracks_writer, "write_tracks", write_tracks)
    events, out = Failing(), tmp_path / "out"
    runner = BatchRunner(settings, out, executor=ThreadExecutor(at_once))
    report = runner.run(jobs_of(videos, out), events, CancelToken())
    assert (report.done, report.failed) == (2, 1)
    (failed,) = (outcome for outcome in events.outcomes if outcome.failure is not None)
    assert failed.job.source.name == "b.mp4"
    assert failed.failure is not None
    assert "met in the middle" in failed.failure.text
    assert (failed.sha256 is None) == (place == "prepare")
    assert not (out / "b.mp4").exists()


@pytest.mark.parametrize("at_once", [1, 3])
def test_what_an_event_raises_ends_the_run(settings: RunSettings, videos: Path, tmp_path: Path, at_once: int) -> None:
    class Broken(IgnoreEvents):
        def outcome(self, outcome: Outcome) -> None:
            raise BrokenPipeError

    out, before = tmp_path / "out", threading.active_count()
    with pytest.raises(BrokenPipeError):
        BatchRunner(settings, out, executor=ThreadExecutor(at_once)).run(jobs_of(videos, out), Broken(), CancelToken())
    assert threading.active_count() == before
    assert not list(out.rglob(".avis-part-*"))


def test_a_record_that_cannot_be_written_is_a_warning(
    settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import avis_cli.batch.record as record

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(record, "output_file", full)
    jobs = [Job(tmp_path / name, tmp_path / "out" / name) for name in NAMES]
    outcomes = [Outcome(job, "done", 1) for job in jobs]
    events = Events()
    report = BatchRunner(settings, tmp_path / "out", executor=Pretended(outcomes)).run(jobs, events, CancelToken())
    assert report.done == 3
    assert events.warnings == ["the run is not recorded: [Errno 28] No space left on device"]


def test_nothing_heavy_is_imported_and_no_command_line() -> None:
    code = "import sys, avis_cli.batch.runner, avis_cli.batch.inputs, avis_cli.batch.record; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert not loaded & {"torch", "numpy", "av", "cv2", "typer", "tqdm", "avis_cli.cli"}
