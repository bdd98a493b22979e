"""Every benchmark starts, and what it measures is the code as it is: each script says how it is called."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import busy_machine
import pytest
from paths import ROOT
from seams import weights_without

SCRIPTS = sorted(path.name for path in (ROOT / "benchmarks").glob("*.py"))


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "random_model.py"])
def test_it_imports_and_says_how_it_is_called(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0, done.stderr
    assert script in done.stdout


def test_speed_is_measured_of_every_step(tmp_path: Path) -> None:
    done = run("segment_speed.py", "--preset", "avism-tiny", "--frames", "2", "--runs", "1", "--tracks", "3")
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| 0 |")]
    steps = [float(cell) for cell in row.split("|")[3:7]]
    assert all(seconds >= 0 for seconds in steps)
    assert steps[3] == pytest.approx(sum(steps[:3]), abs=0.003)


def test_a_term_that_is_left_out_weighs_nothing_and_the_others_as_before() -> None:
    assert weights_without("audio") == (0.65, 0.2, 0.0)
    assert weights_without("overlap") == (0.65, 0.0, 0.15)


def test_any_command_is_timed_with_the_settings_of_its_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    code = f"import os, sys; open({str(seen)!r}, 'w').write(repr((dict(os.environ), os.listdir(sys.argv[1]))))"
    taken = busy_machine.seconds([sys.executable, "-c", code, "{out}"], {"OMP_WAIT_POLICY": "passive"}, 60.0)
    environment, files = ast.literal_eval(seen.read_text())
    assert 0 < taken < 60
    assert files == []
    assert environment["OMP_WAIT_POLICY"] == "passive"
    assert "OMP_NUM_THREADS" not in environment, "what the shell had set is no part of a row"
    assert busy_machine.seconds([sys.executable, "-c", "while True: pass"], {}, 0.2) == 0.2


@pytest.mark.slow
def test_every_part_of_a_run_is_clocked(tmp_path: Path) -> None:
    """A second of video through the whole pipeline: no part may be missing from the table."""
    import media_factory

    clip = tmp_path / "clip.mp4"
    media_factory.make_clip(clip, size=(96, 64), fps=4, seconds=2, audio="tone")
    done = run("where_time_goes.py", "--clip", str(clip), "--preset", "avism-tiny")
    assert done.returncode == 0, done.stderr
    for part in ("decode", "network: localize", "network: track", "network: masks", "run lengths", "overlay"):
        assert part in done.stdout


@pytest.mark.slow
def test_precision_is_measured_on_a_network_trained_for_it(tmp_path: Path) -> None:
    options = ("--train", "avism-tiny", "--steps", "1", "--out", str(tmp_path / "run"))
    done = run("precision.py", *options)
    assert done.returncode == 0, done.stderr
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("| avism-tiny, 1 steps")]
    tracks, overlap = row.split("|")[2:4]
    assert tracks.split(",")[0].strip() != "0"
    assert 0.9 < float(overlap) < 1.0
    again = run("precision.py", *options)
    assert "training step" not in again.stderr
    assert row in again.stdout
