"""The training loop: pre-training, then training, with checkpoints, validation and a log, until the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from avis_cli.errors import AvisError
from avis_cli.models.training import StepLoss
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.progress import Progress, silent
from avis_cli.train.distributed import Processes, agreed
from avis_cli.train.log import RunLog
from avis_cli.train.optimizer import clip_gradients, rate_at, set_rate
from avis_cli.train.run_state import RunState
from avis_cli.train.sampler import LoaderTime, Sampler, batches
from avis_cli.train.train_request import Budget, Pace

NOTE_SECONDS = 60.0  # a line at least this often, however slow the steps are
PRETRAINING_WARMUP = 20  # steps
PRETRAINING_FINAL = 0.1  # of the highest rate


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
class LoopEvents:
    """Called by the first process: ``validate`` when it is time to, for numbers of the log; ``pretrained`` when that
    phase is over; ``on_progress`` after each step; ``on_note`` with a line now and then."""

    validate: Callable[[RunState], dict[str, float]]
    pretrained: Callable[[RunState], None]
    on_progress: Progress = silent
    on_note: Callable[[str], None] = lambda line: None


class TrainingLoop:
    """Trains ``state``. The first process writes log and checkpoints to ``out``."""

    def __init__(
        self, state: RunState, settings: LoopSettings, processes: Processes, out: Path, events: LoopEvents
    ) -> None:
        self._state = state
        self._settings = settings
        self._processes = processes
        self._out = out
        self._events = events
        self._loader = LoaderTime()
        self._means = _Means()
        self._noted: float | None = None  # when the last line was printed
        self._begun = 0.0

    def run(self, sampler: Sampler) -> None:
        """Until the budget is spent. Raises AvisError if the training diverges."""
        state = self._state
        log = RunLog(self._out, after=state.step) if self._processes.is_first else None
        source = batches(sampler, state.step, workers=self._settings.workers, time=self._loader)
        try:
            self._steps(source, log)
        finally:
            source.close()
            if log is not None:
                log.close()
        if self._processes.is_first:
            state.save(self._out, self._settings.resumed)

    def _steps(self, source: Iterator[ClipBatch], log: RunLog | None) -> None:
        state, recipe, budget, processes = self._state, self._state.recipe, self._settings.budget, self._processes
        self._begun = perf_counter() - state.elapsed
        module = self._shared()
        while True:
            state.elapsed = agreed(perf_counter() - self._begun, processes.device)
            share = budget.share_done(state.step, state.elapsed)
            if not state.pretrained and share >= recipe.pretraining:
                if processes.is_first and state.step:
                    self._events.pretrained(state)
                state.begin_training(share)
                module = self._shared()
            if share >= 1.0:
                return
            set_rate(state.optimizer, learning_rate(state, share))
            started = perf_counter()
            loss, norm = self._step(module, next(source).to(processes.device))
            state.step += 1
            numbers = {**loss.numbers(), "gradient_norm": norm, "seconds": perf_counter() - started}
            _check_finite(numbers, state.step)
            self._means.add(numbers)
            phase = "training" if state.pretrained else "pre-training"
            self._events.on_progress(phase, *budget.progress(state.step, state.elapsed))
            if log is not None:
                self._write(log)

    def _shared(self) -> nn.Module:
        """The learner as the module whose gradients all processes share, in the phase the run is in."""
        state, device = self._state, self._processes.device
        if self._processes.count == 1:
            return state.learner
        ids = [device.index] if device.type == "cuda" else None
        # pre-training leaves most of the network out
        return DistributedDataParallel(state.learner, device_ids=ids, find_unused_parameters=not state.pretrained)

    def _step(self, module: nn.Module, batch: ClipBatch) -> tuple[StepLoss, float]:
        """One update; the loss and the norm of the gradients before they were clipped."""
        state, settings, processes = self._state, self._settings, self._processes
        # every step draws from its own seed: nothing about chance has to be kept for a resumed run
        torch.manual_seed((settings.seed * 1_000_003 + state.step) * 1_009 + processes.rank)
        with torch.autocast(processes.device.type, settings.autocast, enabled=settings.autocast is not None):
            loss: StepLoss = module(batch, not state.pretrained, settings.half_convolutions)
        loss.total.backward()
        norm = clip_gradients(state.learner.parameters(), state.recipe.clip_norm)
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        if state.average is not None and state.pretrained:
            state.average.update(state.learner.network)
        return loss, float(norm)

    def _write(self, log: RunLog) -> None:
        """What is due after a step: numbers into the log, a line, a checkpoint, a validation."""
        state, pace = self._state, self._settings.pace
        logged = state.step % pace.log == 0
        if logged or self._noted is None or perf_counter() - self._noted >= NOTE_SECONDS:
            numbers = {**self._means.values(), "rate": state.optimizer.param_groups[0]["lr"]}
            numbers["loader_share"] = self._loader.mean() / max(numbers["seconds"], 1e-9)
            if logged:
                log.write(state.step, "training" if state.pretrained else "pretraining", numbers)
                self._means, self._loader.waited, self._loader.batches = _Means(), 0.0, 0
            self._note(numbers)
        if state.step % pace.checkpoint == 0:
            state.elapsed = perf_counter() - self._begun
            state.save(self._out, self._settings.resumed)
        if pace.validation and state.step % pace.validation == 0 and state.pretrained:
            log.write(state.step, "validation", self._events.validate(state))

    def _note(self, numbers: dict[str, float]) -> None:
        state, now = self._state, perf_counter()
        left = self._settings.budget.seconds_left(state.step, now - self._begun)
        values = ", ".join(f"{name} {numbers[name]:.3f}" for name in state.learner.shown if numbers[name])
        self._events.on_note(
            f"{'training' if state.pretrained else 'pretraining'} step {state.step}: {values}; "
            f"{numbers['seconds']:.2f} s a step, {100 * numbers['loader_share']:.0f} % of it loading; "
            f"{left / 60:.1f} minutes left"
        )
        self._noted = now


class _Means:
    """Means of the numbers of some steps."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, numbers: dict[str, float]) -> None:
        for name, value in numbers.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def values(self) -> dict[str, float]:
        return {name: value / max(self._count, 1) for name, value in self._sums.items()}


def learning_rate(state: RunState, share: float) -> float:
    """Of the phase the run is in, after the ``share`` of its budget."""
    recipe = state.recipe
    if not state.pretrained:
        return rate_at(
            state.step,
            share / recipe.pretraining,
            highest=recipe.pretraining_rate,
            warmup_steps=PRETRAINING_WARMUP,
            final=PRETRAINING_FINAL,
        )
    done = (share - state.pretrained_share) / max(1.0 - state.pretrained_share, 1e-9)
    return rate_at(
        state.step - state.pretrained_at,
        done,
        highest=recipe.learning_rate,
        warmup_steps=recipe.warmup_steps,
        final=recipe.final_rate,
        schedule=recipe.schedule,
    )


def _check_finite(numbers: dict[str, float], step: int) -> None:
    if not all(abs(value) < float("inf") for value in numbers.values()):
        raise AvisError(
            f"training diverged: a loss or gradient is not finite at step {step}",
            hint="resume from the last checkpoint, or start again with another --seed",
        )
