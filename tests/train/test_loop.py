"""The loop around a network of two numbers: rates, clipping, the moving average, and when it says what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from avis_cli.errors import AvisError
from avis_cli.models.training import Learner, Recipe
from avis_cli.train import loop
from avis_cli.train.distributed import Processes
from avis_cli.train.log import read_log
from avis_cli.train.loop import LoopEvents, LoopSettings, TrainingLoop
from avis_cli.train.optimizer import MovingAverage
from avis_cli.train.run_state import RunState
from avis_cli.train.train_request import Budget, Pace

SLOPE = (3.0, 4.0)  # the gradient of the loss, of norm 5


@dataclass
class SlopeLoss:
    total: Tensor

    def numbers(self) -> dict[str, float]:
        return {"total": float(self.total.detach())}


class SlopeLearner(Learner):
    """Its loss is linear in the network's weights: every step has the same gradient."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.network = nn.Linear(2, 1, bias=False)
        nn.init.zeros_(self.network.weight)
        self._scale = scale

    def forward(self, batch: Any, pretraining: bool = False, half_convolutions: bool = False) -> SlopeLoss:
        return SlopeLoss((self.network(torch.tensor([SLOPE])) * self._scale).sum())


def weight_of(network: nn.Module) -> Tensor:
    return network.get_parameter("weight")


class NoBatches:
    """A sampler whose batches nobody looks at."""

    def batch(self, step: int) -> NoBatches:
        return self

    def to(self, device: torch.device) -> NoBatches:
        return self


RECIPE = Recipe(learning_rate=1.0, clip_norm=100.0)


def run(
    recipe: Recipe, steps: int, out: Path, *, pace: Pace | None = None, learner: SlopeLearner | None = None
) -> tuple[RunState, list[str], list[float]]:
    """The state after so many steps of plain gradient descent, the lines that were printed, the rates of the steps."""
    learner = learner or SlopeLearner()
    average = MovingAverage(learner.network, recipe.ema) if recipe.ema else None
    state = RunState(learner, recipe, torch.optim.SGD(learner.parameters(), lr=1.0), average)
    notes: list[str] = []
    rates: list[float] = []

    def on_progress(phase: str, done: int, total: int | None) -> None:
        rates.append(state.optimizer.param_groups[0]["lr"])

    settings = LoopSettings(Budget(steps=steps), pace or Pace(1, 1000, 0), 0, False, None, 0, {})
    events = LoopEvents(lambda state: {}, lambda state: None, on_progress, notes.append)
    processes = Processes(0, 1, torch.device("cpu"))
    TrainingLoop(state, settings, processes, out, events).run(NoBatches())  # type: ignore[arg-type]
    return state, notes, rates


def test_the_rate_warms_up_and_falls_along_a_cosine(tmp_path: Path) -> None:
    _, _, rates = run(replace(RECIPE, warmup_steps=4, final_rate=0.1), 40, tmp_path)
    assert rates[:3] == pytest.approx([0.2, 0.4, 0.6], abs=0.02)
    assert max(rates) == pytest.approx(1.0, abs=0.04)
    assert rates[20] == pytest.approx(0.55, abs=0.01)  # half way down
    assert rates[30] == pytest.approx(0.1 + 0.9 * 0.1464, abs=0.01)
    assert rates[-1] == pytest.approx(0.1, abs=0.01)


def test_pretraining_has_a_rate_and_an_end_of_its_own(tmp_path: Path) -> None:
    recipe = replace(RECIPE, pretraining=0.5, pretraining_rate=7.0, learning_rate=1.0)
    _, _, rates = run(recipe, 80, tmp_path)
    assert max(rates[:40]) > 3.0
    assert rates[39] == pytest.approx(0.7, abs=0.05)
    assert rates[40] == pytest.approx(1.0)


def test_gradients_are_clipped_to_the_recipes_norm(tmp_path: Path) -> None:
    state, _, _ = run(replace(RECIPE, clip_norm=0.5, final_rate=1.0), 1, tmp_path)
    moved = weight_of(state.learner.network).detach().flatten()
    assert moved.norm() == pytest.approx(0.5, abs=1e-5)
    assert moved.tolist() == pytest.approx([-0.3, -0.4], abs=1e-5)
    values = {row["name"]: float(row["value"]) for row in read_log(tmp_path / "log.csv")}
    assert values["gradient_norm"] == pytest.approx(5.0)


def test_the_average_of_the_weights_is_kept_and_is_what_counts(tmp_path: Path) -> None:
    state, _, _ = run(replace(RECIPE, ema=0.99, final_rate=1.0), 4, tmp_path)
    last = weight_of(state.learner.network)[0, 0].item()
    assert last == pytest.approx(4 * -SLOPE[0])
    assert weight_of(state.network)[0, 0].item() == pytest.approx(-SLOPE[0] * (1 + 2 + 3 + 4) / 4)
    alone, _, _ = run(RECIPE, 4, tmp_path)
    assert alone.network is alone.learner.network


@pytest.fixture
def slow_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is four seconds after the one before."""
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += 4.0
        return now

    monkeypatch.setattr(loop, "perf_counter", tick)


def test_a_line_comes_after_the_first_step_at_the_log_s_pace_and_once_a_minute(
    tmp_path: Path, slow_steps: None
) -> None:
    _, notes, _ = run(RECIPE, 20, tmp_path, pace=Pace(15, 1000, 0))
    steps = [int(note.split("step ")[1].split(":")[0]) for note in notes]
    assert steps[0] == 1
    assert 15 in steps
    assert 4 <= len(steps) <= 8
    assert all(after - before <= 5 for before, after in pairwise(steps))
    assert "minutes left" in notes[0]
    left = [float(note.split("; ")[-1].split()[0]) for note in notes]
    assert left[0] > 1.0
    assert left == sorted(left, reverse=True)
    assert {row["step"] for row in read_log(tmp_path / "log.csv")} == {"15"}


def test_quick_steps_are_told_at_the_log_s_pace_alone(tmp_path: Path) -> None:
    _, notes, _ = run(RECIPE, 20, tmp_path, pace=Pace(8, 1000, 0))
    assert [note.split(":")[0] for note in notes] == ["training step 1", "training step 8", "training step 16"]


def test_the_means_of_the_log_are_of_the_steps_since_the_row_before(tmp_path: Path) -> None:
    run(replace(RECIPE, final_rate=1.0), 6, tmp_path, pace=Pace(3, 1000, 0))
    totals = [float(row["value"]) for row in read_log(tmp_path / "log.csv") if row["name"] == "total"]
    assert totals == pytest.approx([-25 * (0 + 1 + 2) / 3, -25 * (3 + 4 + 5) / 3])


def test_a_run_that_diverges_stops_and_says_at_which_step(tmp_path: Path) -> None:
    with pytest.raises(AvisError, match="not finite at step 3"):
        run(replace(RECIPE, clip_norm=float("inf")), 9, tmp_path, learner=SlopeLearner(scale=3e18))
