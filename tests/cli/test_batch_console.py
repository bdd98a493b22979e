"""What the console says of an input that is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avis_cli.batch.job import FoundTrack, Job, Outcome
from avis_cli.cli import console
from avis_cli.cli.batch_console import ConsoleEvents

JOB = Job(Path("clip.mp4"), Path("out/clip.mp4"))
CAR = FoundTrack(1, "car", 0.984, ((2.0, 4.04),))
BELL = FoundTrack(2, "bell", 0.97, tuple((float(n), n + 0.5) for n in range(5)))


def said(outcome: Outcome, capsys: pytest.CaptureFixture[str], *, as_json: bool = False, many: bool = False) -> str:
    console.reset()
    with ConsoleEvents(as_json=as_json, many=many) as events:
        events.started(1)
        events.outcome(outcome)
    out, err = capsys.readouterr()
    assert out.strip() == str(JOB.target) or json.loads(out)["output"] == str(JOB.target)
    return err


def test_a_line_says_what_was_found_and_when_it_sounds(capsys: pytest.CaptureFixture[str]) -> None:
    err = said(Outcome(JOB, "done", 2, (CAR, BELL)), capsys)
    assert err == "avis: 2 objects: car 98 %, 2.0-4.0 s; bell 97 %, 0.0-0.5, 1.0-1.5, 2.0-2.5, ... s\n"
    assert said(Outcome(JOB, "done", 1, (CAR,)), capsys) == "avis: 1 object: car 98 %, 2.0-4.0 s\n"


def test_many_objects_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    err = said(Outcome(JOB, "done", 9, (CAR,) * 9), capsys)
    assert err.startswith("avis: 9 objects: car")
    assert err.endswith("; and 3 more\n")
    assert err.count("car") == 6


def test_nothing_found_says_what_may_help(capsys: pytest.CaptureFixture[str]) -> None:
    bundled = said(Outcome(JOB, "done", 0, weights=("avism-tiny", "0" * 64)), capsys)
    assert "nothing found that sounds; avism-tiny was trained on synthetic clips" in bundled
    assert "avis weights list" in bundled
    assert "--threshold" not in bundled
    other = said(Outcome(JOB, "done", 0, weights=("avism-r50-coco", "0" * 64)), capsys)
    assert other == "avis: nothing found that sounds; a lower --threshold finds less certain objects\n"


def test_a_run_over_many_inputs_has_its_table_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(Outcome(JOB, "done", 1, (CAR,)), capsys, many=True) == ""
    assert said(Outcome(JOB, "skipped", 1), capsys) == "avis: clip.mp4: done before, skipped\n"
