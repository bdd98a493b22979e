"""Jobs on a cluster whose workers are made and run in this process: what is done, told, recorded, and gone on with."""

from __future__ import annotations

import json
import os
import pickle
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_factory import make_clip

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.dataset_run import DatasetOptions, DatasetWorker, Elsewhere, run_dataset
from avis_cli.batch.events import IgnoreEvents
from avis_cli.batch.executors.cluster import ClusterClips, ClusterExecutor
from avis_cli.batch.inputs import Shard, collect
from avis_cli.batch.job import Job, Outcome, RunSettings
from avis_cli.batch.journal import Journal
from avis_cli.batch.report import BatchReport
from avis_cli.batch.runner import BatchRunner
from avis_cli.batch.scheduler import Event, Finished, Limits, Lost, Raised, Ready, WorkerPool
from avis_cli.batch.worker import MakeWorker, Place, Worker
from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.errors import ClusterError, MediaError, OutputError, WeightsError
from avis_cli.inference.loading import load_model
from avis_cli.options import SegmentOptions

NAMES = ("a.mp4", "b.mp4", "c.mp4")


class HerePool:
    """Workers of this process, one task at a time; what they are given and give back is pickled, as on a network.

    ``deaths``: names of inputs under which a worker dies, once for each time they are in the list."""

    def __init__(self, make: Callable[[], Worker], place: Place, workers: int, deaths: Sequence[str] = ()) -> None:
        self._make, self._place, self._deaths = make, place, list(deaths)
        self._workers: dict[int, Worker] = {}
        self._events: deque[Event] = deque()
        self.submitted: list[str] = []
        self.is_closed = False
        for number in range(workers):
            self._start(number)

    def _start(self, number: int) -> None:
        self._place.check("here")
        self._workers[number] = pickle.loads(pickle.dumps(self._make))()
        self._workers[number].start()
        self._events.append(Ready(number, "here"))

    def submit(self, worker: int, task: Any) -> None:
        name = task.source.name if isinstance(task, Job) else str(task)
        self.submitted.append(name)
        if name in self._deaths:
            self._deaths.remove(name)
            self._events.append(Lost(worker, "out of memory"))
            self._start(worker)
            return
        try:
            value = self._workers[worker].run(pickle.loads(pickle.dumps(task)))
            self._events.append(Finished(worker, pickle.loads(pickle.dumps(value))))
        except Exception as error:
            self._events.append(Raised(worker, pickle.loads(pickle.dumps(error))))

    def wait(self, seconds: float) -> list[Event]:
        assert self._events, "nothing is left to happen"
        return [self._events.popleft()]

    def kill(self, worker: int) -> None:
        raise AssertionError("no task takes long here")

    def give_up(self, worker: int) -> None: ...

    def close(self) -> None:
        self.is_closed = True


class Cluster:
    """Opens pools of two workers and remembers them."""

    def __init__(self, deaths: Sequence[str] = (), make: Callable[[], Worker] | None = None) -> None:
        self.deaths, self.make = deaths, make
        self.pools: list[HerePool] = []

    @contextmanager
    def open(
        self, make: MakeWorker, place: Place, most: int, warn: Callable[[str], None]
    ) -> Iterator[tuple[WorkerPool, int]]:
        pool = HerePool(self.make or make("cpu"), place, min(2, most), self.deaths)
        self.pools.append(pool)
        yield pool, min(2, most)
        pool.close()

    @property
    def submitted(self) -> list[str]:
        return [name for pool in self.pools for name in pool.submitted]


class Events(IgnoreEvents):
    def __init__(self) -> None:
        self.outcomes: dict[str, Outcome] = {}
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def outcome(self, outcome: Outcome) -> None:
        assert outcome.job.source.name not in self.outcomes
        self.outcomes[outcome.job.source.name] = outcome


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, name in enumerate(NAMES, start=1):
        make_clip(folder / name, size=(64, 48), fps=5, seconds=number, audio="tone")
    return folder


@pytest.fixture
def settings(tiny_weights: Path) -> RunSettings:
    options = SegmentOptions(threshold=0.05, gate=False, mask_fps=Fraction(1), only=("tracks", "masks"))
    return RunSettings(options, str(tiny_weights), ("cpu",))


def run(
    cluster: Cluster,
    settings: RunSettings,
    folder: Path,
    out: Path,
    events: Events | None = None,
    drain: CancelToken | None = None,
    shard: Shard | None = None,
) -> BatchReport:
    journal = Journal(out, settings, shard)
    executor = ClusterExecutor(cluster.open, Limits(), journal, drain or CancelToken())
    jobs = collect([folder], out).jobs
    jobs = jobs if shard is None else shard.of(jobs)
    return BatchRunner(settings, out, executor=executor, shard=shard).run(jobs, events or Events(), CancelToken())


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jsonl")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def states(path: Path) -> list[tuple[str, str]]:
    return [(line["output"], line["state"]) for line in lines(path)[1:] if "output" in line]


def test_a_cluster_writes_what_one_machine_writes_byte_for_byte(
    settings: RunSettings, videos: Path, tmp_path: Path
) -> None:
    BatchRunner(settings, tmp_path / "one").run(collect([videos], tmp_path / "one").jobs, Events(), CancelToken())
    cluster, events = Cluster(), Events()
    report = run(cluster, settings, videos, tmp_path / "many", events)
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert (report.done, report.failed) == (3, 0)
    assert cluster.submitted == ["c.mp4", "b.mp4", "a.mp4"]  # the longest first
    assert cluster.pools[0].is_closed
    assert all(outcome.found for outcome in events.outcomes.values())


def test_what_a_worker_tells_comes_to_whoever_watches(videos: Path, tmp_path: Path) -> None:
    events = Events()
    settings = RunSettings(SegmentOptions(only=("tracks",)), None, ("cpu",))
    run(Cluster(), settings, videos, tmp_path / "out", events)
    assert sum("trained on" in note for note in events.notes) == 1  # though two workers say so
    assert sorted(text.split(": ")[0] for text in events.warnings) == [str(videos / name) for name in NAMES]


def test_an_input_that_is_no_video_fails_alone(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.mp4").write_bytes((videos / "a.mp4").read_bytes())
    (folder / "bad.mp4").write_bytes(b"no video at all")
    events = Events()
    report = run(Cluster(), settings, folder, tmp_path / "out", events)
    assert (report.done, report.failed) == (1, 1)
    failure = events.outcomes["bad.mp4"].failure
    assert failure is not None
    assert failure.is_expected
    assert failure.names_file
    assert lines(tmp_path / "out" / "run.jsonl")[-1]["error"] == failure.cause
    assert json.loads((tmp_path / "out" / "run.json").read_text())["inputs"][1]["status"] == "failed"


def test_what_dies_once_is_done_again_and_what_dies_always_is_named(
    settings: RunSettings, videos: Path, tmp_path: Path
) -> None:
    cluster, events, out = Cluster(["b.mp4", "c.mp4", "c.mp4", "c.mp4"]), Events(), tmp_path / "out"
    report = run(cluster, settings, videos, out, events)
    assert (report.done, report.failed) == (2, 1)
    failure = events.outcomes["c.mp4"].failure
    assert failure is not None
    hint = "try it by itself, without a cluster"
    assert failure.cause == f"{videos / 'c.mp4'}: its worker died 3 times, the last time: out of memory; {hint}"
    assert sum("it is done again" in text for text in events.warnings) == 3
    told = [state for name, state in states(out / "run.jsonl") if name == "c.mp4"]
    assert told == ["running", "lost", "running", "lost", "running", "quarantined"]
    assert not (out / "c.mp4").exists()
    # another run tries what was given up, and that alone
    again = Cluster()
    report = run(again, settings, videos, out)
    assert again.submitted == ["c.mp4"]
    assert (report.done, report.skipped) == (1, 2)


def test_a_driver_that_is_killed_goes_on_where_it_was(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    run(Cluster(), settings, videos, whole)
    run(Cluster(), settings, videos, out)
    first = {name: (out / name / "tracks.json").stat().st_mtime_ns for name in NAMES}
    journal = out / "run.jsonl"
    kept = journal.read_bytes().splitlines(keepends=True)
    # killed in the middle of a line, when one input was through, and one complete that the journal does not know
    journal.write_bytes(b"".join(kept[:5]) + kept[5][:20])
    (out / "a.mp4" / ".avis.json").unlink()
    _remove(out / "a.mp4")
    (out / "run.json").unlink()
    cluster = Cluster()
    report = run(cluster, settings, videos, out)
    assert (report.done, report.skipped) == (1, 2)
    assert cluster.submitted == ["b.mp4", "a.mp4"]  # b is looked at and found complete
    assert contents(out) == contents(whole)
    for name in ("b.mp4", "c.mp4"):
        assert (out / name / "tracks.json").stat().st_mtime_ns == first[name]


def _remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def test_with_all_done_no_worker_is_started(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(Cluster(), settings, videos, out)
    cluster, events = Cluster(), Events()
    report = run(cluster, settings, videos, out, events)
    assert (report.skipped, cluster.pools) == (3, [])
    assert [outcome.tracks for outcome in events.outcomes.values()].count(None) == 0


@pytest.mark.parametrize("change", ["input", "results", "settings", "overwrite"])
def test_what_the_journal_says_no_longer_counts_where_something_has_changed(
    settings: RunSettings, videos: Path, tmp_path: Path, change: str
) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for name in NAMES:
        (folder / name).write_bytes((videos / name).read_bytes())
    run(Cluster(), settings, folder, out)
    cluster, events = Cluster(), Events()
    if change == "input":
        (folder / "a.mp4").write_bytes((videos / "b.mp4").read_bytes())
    elif change == "results":
        _remove(out / "a.mp4")
    elif change == "settings":
        settings = RunSettings(SegmentOptions(threshold=0.5, only=("tracks",)), settings.model, ("cpu",))
    else:
        settings = RunSettings(settings.options, settings.model, ("cpu",), overwrite=True)
    report = run(cluster, settings, folder, out, events)
    if change in ("settings", "overwrite"):
        assert sorted(cluster.submitted) == list(NAMES)
    else:
        assert cluster.submitted == ["a.mp4"]
    expected = {"input": (0, 1), "results": (1, 0), "settings": (0, 3), "overwrite": (3, 0)}
    assert (report.done, report.failed) == expected[change]
    if report.failed:
        failure = events.outcomes["a.mp4"].failure
        assert failure is not None
        assert "results are already there" in failure.cause


def test_draining_leaves_the_rest_for_the_next_run(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    out, drain = tmp_path / "out", CancelToken()

    class Draining(Events):
        def outcome(self, outcome: Outcome) -> None:
            super().outcome(outcome)
            drain.cancel()

    cluster = Cluster()
    report = run(cluster, settings, videos, out, Draining(), drain)
    assert report.total == 2  # one was through, the other had begun
    record = json.loads((out / "run.json").read_text())
    assert [entry["status"] for entry in record["inputs"]] == ["pending", "complete", "complete"]
    assert run(Cluster(), settings, videos, out).skipped == 2


def test_weights_that_are_not_there_end_the_run(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    settings = RunSettings(settings.options, str(tmp_path / "none.safetensors"), ("cpu",))
    with pytest.raises(WeightsError, match=r"none\.safetensors"):
        run(Cluster(), settings, videos, tmp_path / "out")


class _Fatal:
    def start(self) -> None: ...

    def run(self, task: Job) -> Any:
        raise WeightsError("broken")


class _Odd(_Fatal):
    def run(self, task: Job) -> Any:
        raise ValueError("odd")


def test_what_concerns_all_inputs_ends_the_run_and_what_is_odd_only_its_input(
    settings: RunSettings, videos: Path, tmp_path: Path
) -> None:
    with pytest.raises(WeightsError, match="broken"):
        run(Cluster(make=_Fatal), settings, videos, tmp_path / "a")
    events = Events()
    assert run(Cluster(make=_Odd), settings, videos, tmp_path / "b", events).failed == 3
    failure = events.outcomes["a.mp4"].failure
    assert failure is not None
    assert (failure.kind, failure.text) == ("ValueError", "odd")


def test_a_shard_has_a_journal_of_its_own(settings: RunSettings, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(Cluster(), settings, videos, out, shard=Shard(1, 2))
    run(Cluster(), settings, videos, out, shard=Shard(2, 2))
    assert {name for name, _ in states(out / "run-1-of-2.jsonl")} == {"a.mp4", "c.mp4"}
    assert {name for name, _ in states(out / "run-2-of-2.jsonl")} == {"b.mp4"}


def test_a_machine_without_the_same_disk_is_refused(tmp_path: Path) -> None:
    here = os.getcwd()
    file = tmp_path / "run.jsonl"
    file.write_text('{"run": "abc"}\n')
    try:
        Place(str(tmp_path), str(file), "abc").check("node")
        assert os.getcwd() == str(tmp_path)
    finally:
        os.chdir(here)
    with pytest.raises(ClusterError, match="node does not see what is written to"):
        Place(None, str(file), "other").check("node")
    with pytest.raises(ClusterError, match="node does not see what is written to"):
        Place(None, str(tmp_path / "none.jsonl"), "abc").check("node")
    with pytest.raises(ClusterError, match=r"node has no folder .*none"):
        Place(str(tmp_path / "none"), None).check("node")


def test_two_runs_into_one_folder_at_once_are_refused(settings: RunSettings, tmp_path: Path) -> None:
    with Journal(tmp_path, settings), pytest.raises(OutputError, match="another run is at work here"):
        Journal(tmp_path, settings).__enter__()
    with Journal(tmp_path, settings):
        pass
    assert not list(tmp_path.iterdir())  # nothing was begun


@pytest.mark.parametrize("text", ['{"format": "avis-run"}\n', "notes of mine\n", "\n", '{"format": "avis-run-logs"}'])
def test_a_file_of_somebody_else_is_kept(settings: RunSettings, tmp_path: Path, text: str) -> None:
    (tmp_path / "run.jsonl").write_text(text)
    with pytest.raises(OutputError, match="no journal of a run"):
        Journal(tmp_path, settings).__enter__()
    assert (tmp_path / "run.jsonl").read_text() == text


def test_a_journal_leaves_no_folder_where_it_cannot_be_written(settings: RunSettings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        Journal(tmp_path / "file" / "out", settings).__enter__()


_ENTRIES = [
    {"output": "a.mp4", "state": "running", "attempt": 1, "node": "n"},
    {"output": "a.mp4", "state": "done", "tracks": 2, "size": 3, "sha256": "00", "video": 1.5, "weights": ["w", "1"]},
]


def _job_with_results(folder: Path) -> Job:
    source, target = folder / "clip.mp4", folder / "a.mp4"
    source.write_bytes(b"abc")
    target.mkdir()
    (target / ".avis.json").write_text("{}")
    return Job(source, target)


@given(st.integers(0, 400))
def test_a_journal_that_is_cut_off_anywhere_is_read_as_far_as_it_goes(tmp_path_factory: Any, cut: int) -> None:
    settings, out = RunSettings(), tmp_path_factory.mktemp("cut")
    job = _job_with_results(out)
    with Journal(out, settings) as journal:
        journal.began(job, 1, "n")
    text = (out / "run.jsonl").read_bytes() + b"".join(json.dumps(entry).encode() + b"\n" for entry in _ENTRIES)
    (out / "run.jsonl").write_bytes(text[: len(text) - cut] if cut < len(text) else b"")
    with Journal(out, settings) as journal:
        outcome = journal.done_before(job)
    assert (outcome is not None) == (cut == 0)
    if outcome is not None:
        assert (outcome.status, outcome.tracks, outcome.seconds) == ("skipped", 2, 1.5)
        assert outcome.weights == ("w", "1")
    if b"\n" in text[: max(0, len(text) - cut)]:  # else nothing was there, and nothing was begun
        assert all(json.loads(line) for line in (out / "run.jsonl").read_bytes().splitlines())
    else:
        assert not (out / "run.jsonl").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"size": "3"},
        {"size": None},
        {"sha256": 1},
        {"video": None},
        {"video": 10**400},
        {"video": float("nan")},
        {"video": float("inf")},
        {"tracks": "2"},
        {"size": 4},
        {"state": "failed"},
    ],
)
def test_a_journal_that_was_edited_is_not_believed(tmp_path: Path, change: dict[str, Any]) -> None:
    settings = RunSettings()
    job = _job_with_results(tmp_path)
    with Journal(tmp_path, settings) as journal:
        journal.began(job, 1, "n")
    with open(tmp_path / "run.jsonl", "a") as file:
        file.write(json.dumps(_ENTRIES[1] | change) + "\n")
    with Journal(tmp_path, settings) as journal:
        assert journal.done_before(job) is None


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_split(tmp_path / "data", SplitRequest("test", 4, seed=5, frames=2, size=(64, 48)))
    return tmp_path / "data"


def elsewhere(
    cluster: Cluster, data: Path, weights: Path, options: DatasetOptions, sha256: str | None = None
) -> Elsewhere:
    known = load_model(str(weights)).weights_sha256 if sha256 is None else sha256

    def make(device: str) -> Callable[[], Worker]:
        return partial(DatasetWorker, (str(weights), known), device, "auto", (data, "test"), options)

    return Elsewhere(ClusterClips(cluster.open, Limits(), make, print), "cpu")


@pytest.mark.parametrize("null_empty", [False, True])
def test_a_dataset_on_a_cluster_has_the_results_of_one_machine(
    data: Path, tiny_weights: Path, tmp_path: Path, null_empty: bool
) -> None:
    model = load_model(str(tiny_weights))
    options = DatasetOptions(0.05, gate=False, null_empty=null_empty)
    one = run_dataset(model, data, "test", tmp_path / "one.json", options)
    cluster, told = Cluster(["1", "2"]), list[tuple[str, int, int | None]]()
    many = run_dataset(
        model, data, "test", tmp_path / "many.json", options, lambda *words: told.append(words),
        elsewhere=elsewhere(cluster, data, tiny_weights, options),
    )  # fmt: skip
    assert cluster.submitted != sorted(cluster.submitted)  # two were done again, after others
    assert many.read_bytes() == one.read_bytes()
    assert len(json.loads(one.read_text())) > 4
    assert told[0] == ("videos", 0, 4)
    assert told[-1] == ("videos", 4, 4)
    again = Cluster()
    run_dataset(model, data, "test", many, options, elsewhere=elsewhere(again, data, tiny_weights, options))
    assert again.pools == []


def test_a_dataset_goes_on_after_what_a_cluster_has_finished(data: Path, tiny_weights: Path, tmp_path: Path) -> None:
    model, options = load_model(str(tiny_weights)), DatasetOptions(0.05, gate=False)
    one = run_dataset(model, data, "test", tmp_path / "one.json", options)
    wave = next((data / "test" / "WAVAudios").iterdir())
    sound = wave.read_bytes()
    cluster = Cluster(["0"] * 3)
    with pytest.raises(ClusterError, match="video 1: its worker died 3 times"):
        run_dataset(
            model, data, "test", tmp_path / "many.json", options,
            elsewhere=elsewhere(cluster, data, tiny_weights, options),
        )  # fmt: skip
    assert cluster.pools[0].is_closed
    again = Cluster()
    many = run_dataset(
        model, data, "test", tmp_path / "many.json", options, elsewhere=elsewhere(again, data, tiny_weights, options)
    )
    assert "0" in again.submitted
    assert len(again.submitted) < 4
    assert many.read_bytes() == one.read_bytes()
    wave.write_bytes(sound[:20])
    with pytest.raises(MediaError, match=wave.name):
        run_dataset(
            model, data, "test", tmp_path / "bad.json", options,
            elsewhere=elsewhere(Cluster(), data, tiny_weights, options),
        )  # fmt: skip


def test_a_machine_with_other_weights_is_refused(data: Path, tiny_weights: Path, tmp_path: Path) -> None:
    model, options = load_model(str(tiny_weights)), DatasetOptions(0.05, gate=False)
    with pytest.raises(ClusterError, match="is another file here than for the driver"):
        run_dataset(
            model, data, "test", tmp_path / "out.json", options,
            elsewhere=elsewhere(Cluster(), data, tiny_weights, options, "0" * 64),
        )  # fmt: skip
