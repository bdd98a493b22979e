"""``avis evaluate --data`` as it is called: a model over a dataset, its results list and its scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from evaluate_command import refused, run

from avis_cli.datasets.synth.layout import SplitRequest, write_split


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("dataset") / "small set"
    write_split(out, SplitRequest("val", 2, seed=3, frames=2, size=(64, 48)))
    return str(out)


@pytest.fixture(autouse=True)
def _elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_runs_scores_and_does_it_once(data: str, tiny_weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["--data", data, "--split", "val", "--model", str(tiny_weights), "--device", "cpu", "--threshold", "0.02"]
    ask += ["--no-gate", "--format", "json"]
    code, out, err = run(capsys, *ask)
    assert code == 0, err
    results = Path("avis_out") / "small_set-val-tiny" / "results.json"
    assert f"predictions in {results}" in err
    scores = json.loads(out)
    assert scores["counts"]["videos"] == 2
    assert scores["counts"]["predicted_tracks"] == len(json.loads(results.read_text())) > 0
    code, again, err = run(capsys, *ask, "--quiet")
    assert (code, again, err) == (0, out, "")
    code, alone, _ = run(capsys, "--gt", f"{data}/val.json", "--pred", str(results), "--format", "json")
    assert (code, alone) == (0, out)

    assert "another null-empty" in refused(capsys, 1, *ask, "--null-empty")
    assert "another refine" in refused(capsys, 1, *ask, "--refine", "aurora")
    code, nulls, _ = run(capsys, *ask, "--null-empty", "--mute", "--pred", "other.json")
    assert code == 0
    assert nulls != out
    assert Path("other.json").is_file()
    code, nulls, _ = run(capsys, *ask, "--null-empty", "--overwrite")
    assert code == 0
    assert json.loads(nulls)["corrected"] == scores["corrected"]


def test_usage_is_checked_before_anything_is_run(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--data and --gt" in refused(capsys, 2, "--data", data, "--gt", f"{data}/val.json")
    assert "--model without --data" in refused(capsys, 2, "--model", "avism-tiny")
    assert "--no-gate without --data" in refused(capsys, 2, "--no-gate", "--gt", "a", "--pred", "b")
    assert "no such folder" in refused(capsys, 2, "--data", "nowhere")
    assert "no such file" in refused(capsys, 1, "--data", data, "--split", "test", "--pred", "r.json")
    err = refused(capsys, 2, "--data", data, "--split", "val", "--pred", "same.json", "--output", "same.json")
    assert "--output is the file of --pred" in err
    assert list(Path().iterdir()) == []


def test_a_model_for_other_things_is_refused(
    data: str, tiny_weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads((Path(data) / "val.json").read_text())
    for number, category in enumerate(document["categories"]):
        category["name"] = f"thing {number}"
    (tmp_path / "val.json").write_text(json.dumps(document))
    err = refused(capsys, 1, "--data", ".", "--split", "val", "--model", str(tiny_weights), "--pred", "r.json")
    assert "no category named bell, drum, bird, car, phone and 5 more" in err
    assert not Path("r.json").exists()
