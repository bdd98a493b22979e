"""Records of shards put together, and what is missing told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_factory import make_clip

from avis_cli.batch.inputs import Shard
from avis_cli.cli.main import main
from avis_cli.errors import UsageError

NAMES = ("a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4")
ARRAY = ("ID", "COUNT", "MIN", "MAX", "STEP")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for name in NAMES[:-1]:
        make_clip(folder / name, size=(64, 48), fps=5, seconds=1, audio="tone")
    (folder / "e.mp4").write_bytes(b"no video at all")
    return folder


def segment(videos: Path, out: Path, *more: str) -> int:
    return main(["segment", str(videos), "-o", str(out), "--only", "tracks,report", "-q", *more])


def array(monkeypatch: pytest.MonkeyPatch, *values: int) -> None:
    for name, value in zip(ARRAY, values, strict=True):
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", str(value))


@pytest.fixture
def no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ARRAY:
        monkeypatch.delenv(f"SLURM_ARRAY_TASK_{name}", raising=False)


@pytest.mark.usefixtures("no_array")
def test_shards_together_are_the_run_of_one_machine(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    assert segment(videos, one) == 3
    for number in (2, 1, 3):
        segment(videos, many, "--shard", f"{number}/3")
    (many / "index.html").unlink()
    capfd.readouterr()
    assert main(["collect", str(many)]) == 3
    captured = capfd.readouterr()
    assert captured.out == f"{videos / 'e.mp4'}\n"
    assert captured.err.splitlines()[-1] == "avis: 5 inputs: 4 complete, 1 failed, 0 pending, 0 missing"
    assert f"{videos / 'e.mp4'}: looks like text" in captured.err
    for name in ("run.json", "index.html"):
        assert (many / name).read_bytes() == (one / name).read_bytes()


@pytest.mark.usefixtures("no_array")
def test_shards_and_results_that_are_missing_are_counted(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    segment(videos, out, "--shard", "1/4")
    segment(videos, out, "--shard", "3/4")
    (out / "a.mp4" / ".avis.json").unlink()
    capfd.readouterr()
    assert main(["collect", str(out)]) == 3
    captured = capfd.readouterr()
    assert captured.out.splitlines() == [str(videos / "a.mp4"), str(videos / "e.mp4")]
    assert "of 4 shards these have written no record yet: 2, 4" in captured.err
    assert f"{videos / 'a.mp4'}: recorded as complete, but {out / 'a.mp4'} has no results" in captured.err
    assert main(["collect", str(out), "--json"]) == 3
    assert json.loads(capfd.readouterr().out) == {
        "inputs": 3, "complete": 1, "failed": 1, "pending": 0, "missing": 1, "shards": 4, "missing_shards": [2, 4],
    }  # fmt: skip
    index = (out / "index.html").read_text()
    assert "c.mp4" in index
    assert "a.mp4" not in index


@pytest.mark.usefixtures("no_array")
def test_a_run_that_is_complete(videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert (
        main(["segment", str(videos / "a.mp4"), str(videos / "b.mp4"), "-o", str(out), "--only", "tracks", "-q"]) == 0
    )
    before = (out / "run.json").read_bytes()
    capfd.readouterr()
    assert main(["collect", str(out)]) == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == "avis: 2 inputs: 2 complete, 0 failed, 0 pending, 0 missing\n"
    assert (out / "run.json").read_bytes() == before


def test_a_job_of_an_array_does_its_part_and_says_so(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    for number in range(10, 31, 5):  # --array=10-30:5
        array(monkeypatch, number, 5, 10, 30, 5)
        main(["segment", str(videos), "-o", str(tmp_path / "out"), "--only", "tracks"])
        captured = capfd.readouterr()
        part = (number - 5) // 5
        assert f"avis: part {part}/5 of the inputs, as the variables of SLURM's job array say" in captured.err
        done += [Path(line).name for line in captured.out.splitlines()]
        assert (tmp_path / "out" / f"run-{part}-of-5.json").exists()
    assert done == list(NAMES[:-1])


def test_a_job_of_an_array_with_a_file_or_a_part_of_its_own_does_that(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    array(monkeypatch, 2, 2, 1, 2, 1)
    assert main(["segment", str(videos / "a.mp4"), "-o", str(tmp_path / "file"), "--only", "tracks"]) == 0
    assert (tmp_path / "file" / "a.mp4").exists()
    segment(videos, tmp_path / "all", "--shard", "1/1")
    assert sorted(path.name for path in (tmp_path / "all").iterdir() if path.is_dir()) == list(NAMES[:-1])
    assert "job array" not in capfd.readouterr().err


def test_a_shard_to_which_nothing_falls_is_no_missing_one(
    videos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for number in range(1, 8):
        segment(videos, out, "--shard", f"{number}/7")
    capfd.readouterr()
    assert main(["collect", str(out), "--json", "-q"]) == 3  # e.mp4 is no video
    found = json.loads(capfd.readouterr().out)
    assert (found["inputs"], found["shards"], found["missing_shards"]) == (5, 7, [])
    assert [entry["output"] for entry in json.loads((out / "run.json").read_text())["inputs"]] == list(NAMES)


@given(st.integers(1, 20), st.integers(0, 50), st.integers(1, 7))
def test_every_job_of_an_array_has_a_part_of_its_own(count: int, low: int, step: int) -> None:
    high = low + (count - 1) * step
    parts = []
    for id in range(low, high + 1, step):
        values = dict(zip(ARRAY, (id, count, low, high, step), strict=True))
        parts.append(Shard.of_array({f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in values.items()}))
    assert parts == [Shard(number, count) for number in range(1, count + 1)]


@pytest.mark.parametrize(
    "values",
    [
        (1, 3, 1, 7, 1), (7, 3, 1, 7, 1), (3, 2, 1, 4, 3), (5, 3, 1, 3, 1), (0, 3, 1, 3, 1), (1, 0, 1, 3, 1),
        (1, 3, 1, 3, 0), ("x", 3, 1, 3, 1), (1, None, 1, 3, 1),
    ],
)  # fmt: skip
def test_an_array_with_gaps_is_refused(values: tuple[Any, ...]) -> None:
    environment = {
        f"SLURM_ARRAY_TASK_{name}": str(value) for name, value in zip(ARRAY, values, strict=True) if value is not None
    }
    with pytest.raises(UsageError, match=r"have gaps .*--shard I/N"):
        Shard.of_array(environment)


def test_outside_of_an_array_there_is_no_part() -> None:
    assert Shard.of_array({"SLURM_JOB_ID": "7"}) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": [{"output": "../x"}]}, "inputs[0].output"),
        ({"inputs": [{"output": "/x"}]}, "inputs[0].output"),
        ({"inputs": [{"output": ""}]}, "inputs[0].output"),
        ({"inputs": [{"status": "fine"}]}, "inputs[0].status"),
        ({"inputs": [{"input": 3}]}, "inputs[0].input"),
        ({"inputs": 3}, "inputs"),
        ({"format": "other"}, "format"),
    ],
)
def test_a_record_that_was_edited_is_refused(
    tmp_path: Path, change: dict[str, Any], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    entry = {"input": "a.mp4", "output": "a.mp4", "status": "complete", "error": None}
    document = {"format": "avis-run", "version": 1, "tool": "x", "shard": "1/1", "settings": {}, "weights": None}
    edited = {**document, "inputs": [entry], **change}
    if isinstance(edited["inputs"], list):
        edited["inputs"] = [{**entry, **one} for one in edited["inputs"]]
    (tmp_path / "run-1-of-1.json").write_text(json.dumps(edited))
    assert main(["collect", str(tmp_path)]) == 1
    err = capfd.readouterr().err
    assert err.count("\n") == 1
    assert f"run-1-of-1.json: {said} is " in err
    assert not (tmp_path / "run.json").exists()


def test_folders_without_a_record_or_with_two_kinds(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["collect", str(tmp_path)]) == 1
    assert "holds no record of a run" in capfd.readouterr().err
    assert main(["collect", str(tmp_path / "none")]) == 1
    assert "cannot be read: No such file" in capfd.readouterr().err
    for name in ("run-1-of-2.json", "run-1-of-3.json"):
        (tmp_path / name).write_text("{}")
    assert main(["collect", str(tmp_path)]) == 1
    assert "holds records of runs in 2 and 3 shards" in capfd.readouterr().err


def test_shards_with_other_settings_or_the_same_inputs_are_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    document = {"format": "avis-run", "version": 1, "tool": "x", "settings": {}, "weights": None}
    entry = {"input": "a.mp4", "output": "a.mp4", "status": "pending", "error": None}
    for number in (1, 2):
        other = {**document, "shard": f"{number}/2", "settings": {"fps": number}}
        other |= {"weights": {"sha256": number}, "inputs": [{**entry, "output": f"{number}"}]}
        (tmp_path / f"run-{number}-of-2.json").write_text(json.dumps(other))
    assert main(["collect", str(tmp_path)]) == 1
    err = capfd.readouterr().err
    assert "not all shards had the same settings" in err
    assert "not all shards had the same weights" in err
    for number in (1, 2):
        (tmp_path / f"run-{number}-of-2.json").write_text(json.dumps({**document, "shard": None, "inputs": [entry]}))
    assert main(["collect", str(tmp_path)]) == 1
    assert "two shards have a.mp4" in capfd.readouterr().err
