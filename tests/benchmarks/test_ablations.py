"""The ablation table: how its networks are trained, how it is scored, how it is printed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import ablations
import numpy as np
import pytest
import torch
from baselines import ablation_scores, trained_rows
from baselines.ablation_scores import ROWS, score_rows
from baselines.ablation_table import table
from baselines.bootstrap import interval, resampled
from baselines.trained_rows import SEES, TRAINED_ROWS, Runs, row_request, write_initial_weights
from paths import ROOT
from pycocotools import mask as coco
from train_examples import SMALL, small_dataset

from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.datasets.tracks import Category, Dataset, Mask, PredictedTrack, TruthTrack, Video
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.inference.loading import load_model
from avis_cli.models.avism.recipe import TINY, AvismRecipe

BUNDLED = ROOT / "weights" / "avism-tiny.safetensors"
SHARED = Runs(Path("world"), Path("runs"), BUNDLED, 7)


def recipe_of(name: str) -> AvismRecipe:
    recipe = row_request(SHARED, name).recipe
    assert isinstance(recipe, AvismRecipe)
    return recipe


@pytest.mark.parametrize("name", TRAINED_ROWS)
def test_rows_differ_in_what_their_name_says_alone(name: str) -> None:
    part, _, seed = name.rpartition("-")
    request, recipe = row_request(SHARED, name), recipe_of(name)
    assert request.seed == int(seed)
    assert (recipe.hears, recipe.fuses) == {
        "full": (True, True),
        "no-audio": (False, True),
        "no-fusion": (True, False),
    }[part]
    assert request.init == str(Path(f"runs/start-{seed}.safetensors")), "the same start for all of a seed"
    assert request.budget.steps == 7
    assert recipe.pretraining == 0.0
    same = replace(recipe, hears=True, fuses=True, tagging=TINY.tagging, pretraining=TINY.pretraining)
    assert same == TINY, "the rest is the recipe of the bundled model"


def test_rows_begin_with_the_maps_of_the_bundled_model_and_nothing_else_of_it(tmp_path: Path) -> None:
    starts = [load_model(str(write_initial_weights(BUNDLED, tmp_path, seed))) for seed in (0, 1)]
    bundled = load_model(str(BUNDLED)).network.state_dict()
    first, second = (start.network.state_dict() for start in starts)
    for name, value in bundled.items():
        same = torch.equal(first[name].float(), value.float())
        if name.startswith(SEES):
            assert same, name
        elif value.is_floating_point() and value.numel() > 200 and value.std() > 0:
            assert not same, f"{name} was learnt by what the row is to be compared with"
            assert name.endswith(("position", "bias")) or not torch.equal(first[name], second[name]), name
    assert starts[0].config.categories == load_model(str(BUNDLED)).config.categories


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of the rows, trained for two steps on a tiny world."""
    folder = tmp_path_factory.mktemp("ablations")
    small_dataset(folder / "world", videos=4, frames=4, val=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trained_rows, "chosen_recipe", small_recipe)
        for name in ("full-0", "no-audio-0"):
            Runs(folder / "world", folder / "runs", BUNDLED, 2).train(name, on_note=lambda line: None)
    write_split(folder / "test", SplitRequest("test", 3, seed=9, frames=3, size=(96, 64)))
    return folder


def small_recipe(preset: str, *, without: str | None = None, given: bool = False) -> AvismRecipe:
    """The recipe of tests in place of the preset's."""
    changed = replace(SMALL, pretraining=0.0) if given else SMALL
    return replace(changed, hears=False, tagging=0.0) if without == "audio" else changed


def test_a_row_is_trained_as_its_request_says(trained: Path) -> None:
    record = json.loads((trained / "runs" / "no-audio-0" / "run.json").read_text())
    assert record["recipe"]["hears"] is False
    assert record["steps"] == 2
    assert (trained / "runs" / "full-0" / "cache").is_symlink(), "clips are packed once"


def test_a_row_that_is_trained_is_left_alone(trained: Path) -> None:
    weights = trained / "runs" / "full-0" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    assert Runs(trained / "world", trained / "runs", BUNDLED, 2).train("full-0") == weights
    assert weights.stat().st_mtime_ns == before


def test_every_row_whose_weights_are_there_is_scored(trained: Path) -> None:
    kept: list[dict[str, Any]] = []
    score_rows(trained / "test", "test", trained / "runs", BUNDLED, lambda document: kept.append(dict(document)), 20)
    rows = kept[-1]["rows"]
    there = [row.name for row in ROWS if row.trained in (None, "full-0", "no-audio-0")]
    assert [row["name"] for row in rows] == there
    by_name = {(row["group"], row["name"]): row for row in rows}
    full, muted = by_name["bundled", "full model"], by_name["bundled", "muted"]
    assert full["weights"] == muted["weights"] != by_name["short", "full model, seed 0"]["weights"]
    assert full["scores"]["FSLA"] > muted["scores"]["FSLA"]
    low, high = muted["differences"]["FSLA"]
    assert low <= muted["scores"]["FSLA"] - full["scores"]["FSLA"] <= high
    assert low < 0 >= high, "silence never gains"
    assert by_name["short", "audio off, seed 0"]["steps"] == 2
    printed = table(kept[-1])
    assert printed.count("\n| ") + 1 >= len(rows)
    assert f"| muted | {muted['scores']['FSLA']:.1f} |" in printed


def test_rows_are_compared_with_the_same_budget_and_seed() -> None:
    names = {(row.group, row.name): row for row in ROWS}
    for row in ROWS:
        if row.against is not None:
            other = names[row.group, row.against]
            assert (row.trained or "x").rsplit("-")[-1] == (other.trained or "x").rsplit("-")[-1]
            assert [r for r in ROWS if r in (row, other)] == [other, row], "the one to subtract comes first"
    deaf = [row for row in ROWS if (row.trained or "").startswith("no-audio")]
    assert all(row.variant.audio == ablation_scores.DEAF for row in deaf)
    (fusion,) = [row for row in ROWS if row.trained == "no-fusion-0"]
    assert fusion.variant.audio == ablation_scores.TRACKER_ONLY


def example_set(right: list[bool]) -> Dataset:
    """A clip of one frame for each flag, found or not."""
    mask: Mask = dict(coco.encode(np.asfortranarray(np.eye(8, dtype=np.uint8))))
    videos = [
        Video(
            number, f"v{number:03d}", 1, 8, 8, ["0.jpg"],
            [TruthTrack(number, 1, False, [8.0], [mask])],
            [PredictedTrack(number, 1, 0.9, [mask])] if found else [],
        )
        for number, found in enumerate(right)
    ]  # fmt: skip
    return Dataset([Category(1, "a")], videos)


def test_an_interval_leaves_out_as_much_at_either_end() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)


def test_the_interval_is_that_of_the_clips() -> None:
    evaluation = evaluate_dataset(example_set([True] * 30 + [False] * 70))
    samples = resampled(evaluation.videos, evaluation.categories, 400, 0)
    assert samples.shape == (400, 3)
    low, high = interval(samples[:, 0])
    spread = 100 * (0.3 * 0.7 / 100) ** 0.5  # of a share of 100 clips
    assert low == pytest.approx(30 - 1.96 * spread, abs=2.5)
    assert high == pytest.approx(30 + 1.96 * spread, abs=2.5)
    again = resampled(evaluation.videos, evaluation.categories, 400, 0)
    assert np.array_equal(samples, again), "the same seed draws the same clips"


def test_where_and_how_rows_are_trained_is_what_was_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Runs] = []
    monkeypatch.setattr(Runs, "train", lambda self, name: asked.append(self))
    options = ["--device", "cuda:1", "--precision", "fp32", "--no-pack", "--workers", "3", "--steps", "9"]
    command = ["ablations.py", "train", "world", str(tmp_path), "full-1", "--full", str(BUNDLED), *options]
    monkeypatch.setattr("sys.argv", command)
    ablations.main()
    assert asked == [Runs(Path("world"), tmp_path, BUNDLED, 9, "cuda:1", "fp32", pack=False, workers=3)]
    request = row_request(asked[0], "full-1")
    assert (request.device, request.precision, request.pack, request.workers) == ("cuda:1", "fp32", False, 3)
    assert request.budget.steps == 9
