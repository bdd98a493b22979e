"""Whole runs of the tiny network: pre-training, training, resuming, several processes, and overfitting."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from paths import TESTS
from train_examples import SMALL, small_dataset

from avis_cli.errors import AnnotationError, OutputError, UsageError, WeightsError
from avis_cli.hub import weights_file
from avis_cli.inference.loading import load_model
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.training import BatchShape
from avis_cli.train.initial_weights import start
from avis_cli.train.log import read_log
from avis_cli.train.run import train
from avis_cli.train.run_state import CHECKPOINT, read_checkpoint
from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("data"), val=2)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # sums in one order: runs that shall agree do


def request(data: Path, out: Path, steps: int) -> TrainRequest:
    return TrainRequest(
        data, "avism-tiny", out, SMALL, Budget(steps=steps), device="cpu", precision="fp32", pace=Pace(1, 2, 0)
    )


ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "OMP_NUM_THREADS": "1"}


class Killed(BaseException):
    """What a run in a test is stopped by."""


def losses(out: Path) -> dict[tuple[str, str], str]:
    rows = read_log(out / "log.csv")
    return {(row["step"], row["name"]): row["value"] for row in rows if row["name"] not in ("seconds", "loader_share")}


def test_a_killed_run_goes_on_with_the_same_losses(data: Path, tmp_path: Path) -> None:
    whole = train(request(data, tmp_path / "whole", 6))

    def kill(phase: str, done: int, total: int | None) -> None:
        if phase == "training" and done == 5:  # the last checkpoint is of step 4
            raise Killed

    with pytest.raises(Killed):
        train(request(data, tmp_path / "killed", 6), on_progress=kill)
    resumed = train(replace(request(data, tmp_path / "killed", 6), resume=True))
    assert losses(tmp_path / "killed") == losses(tmp_path / "whole")
    assert {int(step) for step, _ in losses(tmp_path / "whole")} == set(range(1, 7))
    assert resumed.read_bytes() == whole.read_bytes()


def test_a_run_leaves_a_model_that_can_be_used_and_says_how_it_came_about(data: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    path = train(request(data, tmp_path / "run", 2), on_note=notes.append)
    model = load_model(path)
    assert model.config.name == "avism-tiny"
    assert path.stat().st_size < 20_000_000
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert {"FSLA", "HOTA", "mAP"} <= set(scores["corrected"])
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["steps"] == 2
    assert record["gate_threshold"] == model.config.gate_threshold
    assert any("loading" in note for note in notes)
    assert load_model(tmp_path / "run" / "pretrained.safetensors").config == replace(
        model.config, gate_threshold=PRESETS["avism-tiny"].gate_threshold
    )
    assert list((tmp_path / "run").glob("events.*"))


def test_the_file_holds_the_average_of_the_weights_which_follows_them(data: Path, tmp_path: Path) -> None:
    recipe = replace(SMALL, pretraining=0.0, saved_half=False, learning_rate=1e-2)
    base = replace(request(data, tmp_path / "run", 3), recipe=recipe, val_split="none")
    saved = weights_file.read(train(base))[0]
    state = read_checkpoint(tmp_path / "run" / CHECKPOINT)
    assert state["averaged"] == 3
    trained = {name.removeprefix("network."): tensor for name, tensor in state["learner"].items()}
    begun = start(base, load_model(tmp_path / "run" / "model.safetensors").config.categories).network.state_dict()
    for name in ("tracker.query_feature", "localizer.class_head.weight"):
        assert torch.equal(saved[name], state["average"][name])
        assert not torch.equal(saved[name], trained[name])
        assert not torch.equal(saved[name], begun[name])


def test_more_than_the_budget_is_not_trained_and_said_so(data: Path, tmp_path: Path) -> None:
    first = train(request(data, tmp_path / "run", 2)).read_bytes()
    notes: list[str] = []
    again = train(replace(request(data, tmp_path / "run", 2), resume=True), on_note=notes.append)
    assert notes[0] == "the run has already had its 2 steps; give more with --steps"
    assert again.read_bytes() == first


def test_what_killed_runs_left_half_written_is_swept(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    out.mkdir()
    code = (
        "import os, sys; from pathlib import Path; from avis_cli.files.atomic import output_file\n"
        "writer = output_file(Path(sys.argv[1]), overwrite=True)\n"
        "writer.__enter__().write_bytes(b'half'); os._exit(0)"
    )
    for name in (CHECKPOINT, "model.safetensors"):
        subprocess.run([sys.executable, "-c", code, str(out / name)], check=True, env=ENVIRONMENT)
    assert len(list(out.glob(".avis-part-*"))) == 4  # each with its lock
    with pytest.raises(AnnotationError):
        train(replace(request(data, out, 1), split="nothing"))
    assert list(out.iterdir()) == []


def test_given_weights_are_fitted_to_the_categories_of_the_data(data: Path, tmp_path: Path) -> None:
    first = train(replace(request(data, tmp_path / "first", 1), val_split="none"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "train").symlink_to(data / "train")
    content = json.loads((data / "train.json").read_text())
    for category in content["categories"]:
        category["name"] = {"bell": "gong"}.get(category["name"], category["name"])
    (other / "train.json").write_text(json.dumps(content))
    still = replace(SMALL, learning_rate=0.0, pretraining=0.0, ema=0.0)
    second = train(replace(request(other, tmp_path / "second", 1), recipe=still, init=str(first), seed=9))
    before, after = load_model(first), load_model(second)
    assert after.config.categories == ("gong", *before.config.categories[1:])
    head = "tracker.class_head.weight"
    same = (before.network.state_dict()[head] == after.network.state_dict()[head]).all(dim=1)
    assert same.tolist() == [False, *[True] * 10]


def test_what_cannot_be_is_refused_before_anything_is_trained(data: Path, tmp_path: Path) -> None:
    base = request(data, tmp_path / "run", 1)
    with pytest.raises(AnnotationError, match="no such annotations"):
        train(replace(base, split="nothing"))
    with pytest.raises(UsageError, match="VGGish"):
        train(replace(base, preset="avism-r50-in"))
    with pytest.raises(UsageError, match="no preset"):
        train(replace(base, preset="avism-huge"))
    with pytest.raises(WeightsError, match="no checkpoint"):
        train(replace(base, resume=True))
    with pytest.raises(UsageError, match="either"):
        Budget(steps=1, minutes=1.0)
    train(base)
    with pytest.raises(OutputError, match="holds a run already"):
        train(base)
    with pytest.raises(UsageError, match="other settings"):
        train(replace(base, resume=True, seed=3))


def test_two_processes_train_one_network(data: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from dataclasses import replace; from pathlib import Path; import torch; torch.set_num_threads(1);"
        f"sys.path.insert(0, {str(TESTS / 'train')!r}); from test_run import request, train;"
        f"train(replace(request(Path({str(data)!r}), Path({str(tmp_path / 'run')!r}), 3), val_split='none'))"
    )
    script = tmp_path / "run.py"
    script.write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = read_log(tmp_path / "run" / "log.csv")
    assert {row["step"] for row in rows} == {"1", "2", "3"}
    assert load_model(tmp_path / "run" / "model.safetensors").config.name == "avism-tiny"


@pytest.mark.train
@pytest.mark.timeout(3600)
def test_twenty_clips_are_learnt_by_heart(tmp_path: Path) -> None:
    """Takes ten minutes on one core: run with ``-m train``."""
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    folder = small_dataset(tmp_path / "data", videos=20, frames=5, size=(160, 96))
    recipe = replace(chosen_recipe("avism-tiny"), shapes=(BatchShape(8, 5),))
    asked = TrainRequest(
        folder, "avism-tiny", tmp_path / "run", recipe, Budget(steps=600), val_split="train", pace=Pace(20, 200, 0)
    )
    train(asked)
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["corrected"]["FSLA"] > 80
