"""What measures clusters: the simulated workers, and what is done to real ones and counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cluster_faults
import cluster_overhead
import pytest
from cluster_simulation import BACK, START, SimulatedPool, World, simulate

from avis_cli.batch.job import Job
from avis_cli.batch.scheduler import Event, Finished, Lost, Ready

CALM = World(jobs=300, workers=16, deaths=0, days_up=1e9, poison=0, hanging=0)


def test_without_faults_a_run_takes_little_more_than_the_least(tmp_path: Path) -> None:
    found = simulate(CALM, tmp_path)
    assert (found["done"], found["failed"], found["lost hours of work"]) == (300, 0, 0)
    assert 1 <= found["times the least"] < 1.2
    assert found["hours until the last was given up"] == found["hours until the last was done"]
    assert len(found["MB after each tenth"]) == 10


def test_with_faults_everything_that_can_be_done_is(tmp_path: Path) -> None:
    world = replace(CALM, deaths=0.05, days_up=0.2, poison=3, hanging=2, retries=4, timeout=4000)
    found = simulate(world, tmp_path)
    assert (found["done"], found["failed"], found["failed without being at fault"]) == (295, 5, 0)
    assert found["lost hours of work"] > 0
    assert found["hours until the last was given up"] > found["hours until the last was done"]
    entries = cluster_faults.entries(tmp_path / "out" / "run.jsonl")
    ends = [entry["state"] for entry in entries if entry.get("state") in ("quarantined", "timed out")]
    assert sorted(ends) == ["quarantined"] * 3 + ["timed out"] * 2


def waited(pool: SimulatedPool, seconds: float) -> list[Event]:
    found, until = [], pool.now + seconds
    while pool.now < until:
        found += pool.wait(until - pool.now)
    return found


def test_simulated_workers_spend_the_time_of_their_jobs(tmp_path: Path) -> None:
    pool = SimulatedPool(replace(CALM, jobs=2, workers=2), [100.0, 50.0], set(), set())
    assert waited(pool, START - 1) == []
    assert waited(pool, 2) == [Ready(0, "m0"), Ready(1, "m0")]
    for place in (0, 1):
        (tmp_path / str(place)).write_bytes(b"abc")
        pool.submit(place, Job(tmp_path / str(place), Path("out") / str(place)))
    assert waited(pool, 49) == []
    (event,) = waited(pool, 2)
    assert isinstance(event, Finished)
    assert event.worker == 1
    assert event.value.outcome.size == 3
    pool.kill(0)
    assert waited(pool, 1) == [Lost(0, "killed")]
    assert pool.lost == pytest.approx(51, abs=2)
    assert waited(pool, 200) == [Ready(0, "m0")]


def test_a_machine_that_is_taken_away_takes_its_workers_along() -> None:
    pool = SimulatedPool(replace(CALM, jobs=1, workers=2, days_up=1e-9), [1e6], set(), set())
    events = waited(pool, BACK + START + 5)
    assert Lost(0, "its machine is gone", with_node=True) in events
    assert Lost(1, "its machine is gone", with_node=True) in events


def test_who_has_which_input_is_read_from_the_journal(tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    assert cluster_faults.entries(journal) == []
    lines = [
        {"format": "avis-run-log"},
        {"output": "a", "state": "running", "node": "vm (process 12)"},
        {"output": "b", "state": "running", "node": "vm (process 13)"},
        {"output": "a", "state": "done", "node": "vm (process 12)"},
    ]
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"output": "c", "sta')
    found = cluster_faults.entries(journal)
    assert len(found) == 4
    assert list(cluster_faults.at_work(found)) == [("b", 13)]


def test_workers_are_killed_once_each_but_for_the_poison(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_faults.time, "sleep", lambda _: None)
    faults = cluster_faults.Faults(kills=1, remove=None, restart=None)
    for name in ("a", "a", "b", cluster_faults.POISON, cluster_faults.POISON):
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        cluster_faults.strike([{"output": name, "state": "running", "node": f"vm (process {process.pid})"}], faults)
        is_struck = len(faults.killed) + faults.poisoned
        if process.poll() is None and (name == "b" or is_struck == 1):
            os.kill(process.pid, signal.SIGTERM)
        process.wait(10)
    assert (faults.killed, faults.poisoned) == ({"a"}, 2)


def test_results_that_differ_are_named(tmp_path: Path) -> None:
    for folder, text in (("one", "x"), ("many", "y")):
        for name in ("a/same", "poison/other", "run.json"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_text("same" if name == "a/same" else text)
    one, many = tmp_path / "one", tmp_path / "many"
    assert cluster_faults.same(one, many, "poison") == []
    (many / "a" / "same").write_text("other")
    (one / "a" / "missing").write_text("x")
    assert cluster_faults.same(one, many, "poison") == ["a/missing", "a/same"]


def test_every_input_is_another_file(tmp_path: Path) -> None:
    folder = cluster_faults.prepare(tmp_path, cluster_faults.SAMPLE, 3)
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["000.mp4", "001.mp4", "002.mp4", "poison.mp4"]
    assert len({file.read_bytes() for file in files}) == 4


def test_the_worker_that_measures_overhead_does_nothing() -> None:
    worker = cluster_overhead.make_idle("cpu")()
    worker.start()
    job = Job(Path("a"), Path("b"))
    assert worker.run(job).outcome.job == job
