"""What a run is made of while it trains, and the same as a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avis_cli.errors import UsageError
from avis_cli.train import checkpointing
from avis_cli.train.learner import Learner
from avis_cli.train.optimizer import MovingAverage, adamw, parameter_groups


@dataclass
class RunState:
    """``step``: steps done; ``elapsed``: seconds of training behind them; ``pretrained``: whether the auxiliary-only
    phase is over, and at which step and share of the budget it ended."""

    learner: Learner
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    step: int = 0
    elapsed: float = 0.0
    pretrained: bool = False
    pretrained_at: int = 0
    pretrained_share: float = 0.0

    @classmethod
    def fresh(cls, learner: Learner) -> RunState:
        """The state before the first step."""
        recipe = learner.recipe
        groups = parameter_groups([learner], learner.network.backbone, recipe)
        average = MovingAverage(learner.network, recipe.ema) if recipe.ema else None
        return cls(learner, adamw(groups, recipe.learning_rate), average)

    def begin_training(self, share: float) -> None:
        """The auxiliary-only phase is over: the moving average starts from what it taught."""
        self.pretrained, self.pretrained_at, self.pretrained_share = True, self.step, share
        if self.average is not None:
            self.average = MovingAverage(self.learner.network, self.average.decay)

    def save(self, out: Path, settings: dict[str, Any]) -> None:
        """Write the checkpoint; ``settings`` are what the run must be resumed with."""
        average = self.average
        checkpointing.save(
            out / checkpointing.NAME,
            {
                "settings": settings,
                "learner": self.learner.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "average": None if average is None else average.network.state_dict(),
                "averaged": 0 if average is None else average.updates,
                "counters": {name: getattr(self, name) for name in _COUNTERS},
            },
        )

    def restore(self, out: Path, settings: dict[str, Any]) -> None:
        """Take up where the checkpoint in ``out`` left off. Raises WeightsError without one, UsageError if it was
        another
        run's."""
        path = out / checkpointing.NAME
        state = checkpointing.load(path)
        changed = [name for name, value in settings.items() if state["settings"].get(name) != value]
        if changed:
            raise UsageError(
                f"the run was started with other settings ({', '.join(changed)})",
                hint="resume with the same ones, or start another run",
                file=path,
            )
        self.learner.load_state_dict(state["learner"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.network.load_state_dict(state["average"])
            self.average.updates = state["averaged"]
        for name, value in state["counters"].items():
            setattr(self, name, value)


_COUNTERS = ("step", "elapsed", "pretrained", "pretrained_at", "pretrained_share")
