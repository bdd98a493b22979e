"""The training loop: pre-training, then training, with checkpoints, validation and a log, until the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from avis_cli.errors import AvisError
from avis_cli.progress import Progress, silent
from avis_cli.train.budget import Budget
from avis_cli.train.clips import Batch
from avis_cli.train.data import LoaderTime, Sampler, batches
from avis_cli.train.distributed import Processes, agreed
from avis_cli.train.learner import StepLoss
from avis_cli.train.log import RunLog
from avis_cli.train.optimizer import clip_gradients, rate_at, set_rate
from avis_cli.train.recipe import Recipe
from avis_cli.train.run_state import RunState


@dataclass(frozen=True)
class Pace:
    """How often, in steps: numbers into the log, a checkpoint, a validation (0: only at the end)."""

    log: int = 20
    checkpoint: int = 200
    validation: int = 0


@dataclass(frozen=True)
class LoopSettings:
    """``half_convolutions``: bfloat16 inside convolutions; ``autocast``: element type of everything (CUDA), None for
    float32; ``workers``: threads that make batches ahead; ``resumed``: settings a checkpoint must agree on."""

    budget: Budget
    pace: Pace
    seed: int
    half_convolutions: bool
    autocast: torch.dtype | None
    workers: int
    resumed: dict[str, Any]


@dataclass(frozen=True)
class Listeners:
    """Who is told what: ``progress`` of the work, ``note`` a line now and then, ``validate`` when it is time to,
    ``pretrained`` when that phase is over."""

    validate: Callable[[RunState], dict[str, float]]
    pretrained: Callable[[RunState], None]
    progress: Progress = silent
    note: Callable[[str], None] = lambda line: None


class _Means:
    """Means of a step's numbers since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def take(self) -> dict[str, float]:
        means = {name: value / max(self._count, 1) for name, value in self._sums.items()}
        self._sums, self._count = {}, 0
        return means


def run(
    state: RunState, sampler: Sampler, settings: LoopSettings, processes: Processes, out: Path, listeners: Listeners
) -> None:
    """Train ``state`` until the budget is spent; the first process writes log and checkpoints to ``out``."""
    log = RunLog(out, after=state.step) if processes.is_first else None
    loader = LoaderTime()
    source = batches(sampler, state.step, workers=settings.workers, time=loader)
    try:
        _steps(state, source, loader, settings, processes, log, out, listeners)
    finally:
        source.close()
        if log is not None:
            log.close()


def _steps(
    state: RunState,
    source: Generator[Batch, None, None],
    loader: LoaderTime,
    settings: LoopSettings,
    processes: Processes,
    log: RunLog | None,
    out: Path,
    listeners: Listeners,
) -> None:
    recipe, pace, budget = state.learner.recipe, settings.pace, settings.budget
    means = _Means()
    begun = perf_counter() - state.elapsed
    module = _shared(state, processes)
    while True:
        state.elapsed = agreed(perf_counter() - begun, processes.device)
        share = budget.share_done(state.step, state.elapsed)
        if not state.pretrained and share >= recipe.pretraining:
            if processes.is_first and state.step:
                listeners.pretrained(state)
            state.begin_training(share)
            module = _shared(state, processes)
        if share >= 1.0:
            break
        set_rate(state.optimizer, _rate(state, recipe, share))
        started = perf_counter()
        batch = next(source).to(processes.device)
        loss, norm = _step(state, module, batch, settings, processes)
        state.step += 1
        numbers = {**loss.numbers(), "gradient_norm": norm, "seconds": perf_counter() - started}
        _check_finite(numbers, state.step)
        means.add(numbers)
        listeners.progress(
            "pre-training" if not state.pretrained else "training", *budget.progress(state.step, state.elapsed)
        )
        if log is not None and state.step % pace.log == 0:
            _log(state, means, loader, log, listeners, budget)
        if processes.is_first and state.step % pace.checkpoint == 0:
            state.elapsed = perf_counter() - begun
            state.save(out, settings.resumed)
        if log is not None and pace.validation and state.step % pace.validation == 0 and state.pretrained:
            log.write(state.step, "validation", listeners.validate(state))
    if processes.is_first:
        state.save(out, settings.resumed)


def _shared(state: RunState, processes: Processes) -> nn.Module:
    """The learner as the module whose gradients all processes share, in the phase the run is in."""
    if processes.count == 1:
        return state.learner
    ids = [processes.device.index] if processes.device.type == "cuda" else None
    # pre-training leaves most of the network out
    return DistributedDataParallel(state.learner, device_ids=ids, find_unused_parameters=not state.pretrained)


def _step(
    state: RunState, module: nn.Module, batch: Batch, settings: LoopSettings, processes: Processes
) -> tuple[StepLoss, float]:
    """One update; the loss and the norm of the gradients before they were clipped."""
    # every step draws from its own seed: nothing about chance has to be kept for a resumed run
    torch.manual_seed((settings.seed * 1_000_003 + state.step) * 1_009 + processes.rank)
    with torch.autocast(processes.device.type, settings.autocast, enabled=settings.autocast is not None):
        loss: StepLoss = module(batch, not state.pretrained, settings.half_convolutions)
    loss.total.backward()
    norm = clip_gradients(state.learner.parameters(), state.learner.recipe.clip_norm)
    state.optimizer.step()
    state.optimizer.zero_grad(set_to_none=True)
    if state.average is not None and state.pretrained:
        state.average.update(state.learner.network)
    return loss, float(norm)


def _rate(state: RunState, recipe: Recipe, share: float) -> float:
    """Learning rate of the phase the run is in."""
    if not state.pretrained:
        return rate_at(
            state.step, share / recipe.pretraining, highest=recipe.pretraining_rate, warmup_steps=20, final=0.1
        )
    done = (share - state.pretrained_share) / max(1.0 - state.pretrained_share, 1e-9)
    return rate_at(
        state.step - state.pretrained_at,
        done,
        highest=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        final=recipe.final_rate,
    )


def _log(state: RunState, means: _Means, loader: LoaderTime, log: RunLog, listeners: Listeners, budget: Budget) -> None:
    numbers = means.take()
    numbers["rate"] = state.optimizer.param_groups[0]["lr"]
    waited = loader.waited / max(loader.batches, 1)
    numbers["loader_share"] = waited / max(numbers["seconds"], 1e-9)
    loader.waited, loader.batches = 0.0, 0
    phase = "training" if state.pretrained else "pretraining"
    log.write(state.step, phase, numbers)
    share = budget.share_done(state.step, state.elapsed)
    left = state.elapsed * (1.0 - share) / max(share, 1e-9)
    shown = (
        "total",
        "frame_category",
        "video_category",
        "video_dice",
        "similarity",
        "gate",
        "centre",
        "cue",
        "map_cue",
        "map_accuracy",
        "tag_recall",
    )
    values = ", ".join(f"{name} {numbers[name]:.3f}" for name in shown if numbers[name])
    listeners.note(
        f"{phase} step {state.step}: {values}; {numbers['seconds']:.2f} s a step, "
        f"{100 * numbers['loader_share']:.0f} % of it loading; {left / 60:.1f} minutes left"
    )


def _check_finite(numbers: dict[str, float], step: int) -> None:
    if not all(abs(value) < float("inf") for value in numbers.values()):
        raise AvisError(
            f"training diverged: a loss or gradient is not finite at step {step}",
            hint="resume from the last checkpoint, or start again with another --seed",
        )
