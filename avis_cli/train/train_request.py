"""What `avis train` was asked for: data, recipe, budget, and how the run goes about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from avis_cli.errors import UsageError
from avis_cli.models import find_preset
from avis_cli.models.training import Recipe


@dataclass(frozen=True)
class Budget:
    """How long a run lasts: exactly one of ``steps`` and ``minutes``."""

    steps: int | None = None
    minutes: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise UsageError("how long to train is not clear", hint="give either --steps or --minutes")
        given = self.steps if self.minutes is None else self.minutes
        if given is None or not 0 < given < float("inf"):
            raise UsageError(f"{self.option} {given}, expected more than 0")

    def share_done(self, step: int, elapsed: float) -> float:
        """0 at the start, 1 or more when the run is over; ``elapsed`` in seconds."""
        return step / self.steps if self.steps else elapsed / (60.0 * (self.minutes or 1.0))

    def seconds_left(self, step: int, elapsed: float) -> float:
        """An estimate, after some steps."""
        share = self.share_done(step, elapsed)
        return elapsed * (1.0 - share) / max(share, 1e-9)

    def progress(self, step: int, elapsed: float) -> tuple[int, int]:
        """Done and total, in steps or seconds, for the progress display."""
        if self.steps:
            return min(step, self.steps), self.steps
        total = round(60.0 * (self.minutes or 1.0))
        return min(int(elapsed), total), total

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} minutes"

    @property
    def option(self) -> str:
        """The option of `avis train` that gives it."""
        return "--minutes" if self.steps is None else "--steps"


@dataclass(frozen=True)
class Pace:
    """How often, in steps: numbers into the log, a checkpoint, a validation (0: only at the end)."""

    log: int = 20
    checkpoint: int = 200
    validation: int = 0


@dataclass(frozen=True)
class TrainRequest:
    """``data``: a folder in AVISeg's layout. ``split``, ``val_split``: of the data; ``init``: weights to start from;
    ``vggish``: audio network for presets that need one; ``pack``: whether clips are packed first (else files are read
    as they are needed); ``precision``: fp32, bf16, or auto: bfloat16 on CUDA, and in convolutions alone on a processor
    that multiplies it. ``workers``: threads that make batches ahead."""

    data: Path
    preset: str
    out: Path
    recipe: Recipe
    budget: Budget
    init: str | None = None
    vggish: Path | None = None
    resume: bool = False
    split: str = "train"
    val_split: str = "val"
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    pack: bool = True
    workers: int = 0
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        if self.vggish is not None and find_preset(self.preset).config.audio != "vggish":
            raise UsageError(f"--vggish with {self.preset}", hint="it hears through a network of its own")


def chosen_recipe(
    preset: str, *, without: str | None = None, clips: int | None = None, rate: float | None = None, given: bool = False
) -> Recipe:
    """The recipe of a preset, changed: ``without`` a part (an ablation), ``clips`` of the first batch shape in a step
    (the others in proportion), the highest learning ``rate``; no pre-training where weights are ``given``. Raises
    UsageError for a preset that is unknown and for a part that cannot be left out."""
    training = find_preset(preset).system.training()
    recipe = training.recipe(preset)
    if given:
        recipe = replace(recipe, pretraining=0.0)
    if without is not None:
        recipe = training.without(recipe, without)
    if clips is not None:
        recipe = recipe.with_clips(clips)
    if rate is not None and not 0 < rate < float("inf"):
        raise UsageError(f"--rate {rate}, expected a learning rate above 0")
    return recipe if rate is None else replace(recipe, learning_rate=rate)
