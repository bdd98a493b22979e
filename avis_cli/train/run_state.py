"""What a run is made of while it trains, and its checkpoint: written whole or not at all, so that a killed run goes on
from the last one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import torch

from avis_cli.errors import UsageError, WeightsError
from avis_cli.files.atomic import output_file
from avis_cli.files.checksum import HashedWriter, sha256_of_rest
from avis_cli.models.training import Learner, Recipe, Training
from avis_cli.train.optimizer import MovingAverage, optimizer_of

CHECKPOINT = "checkpoint.pt"
_MAGIC = b"avis train checkpoint 2\n"  # then the payload's SHA-256 in hexadecimal, a line's end, and the payload
_HEADER = len(_MAGIC) + 65
_COUNTERS = ("step", "elapsed", "pretrained", "pretrained_at", "pretrained_share")
_AGAIN = "delete it and start again without --resume"


@dataclass
class RunState:
    """``step``: steps done; ``elapsed``: seconds of training behind them; ``pretrained``: whether the pre-training
    phase is over, and at which step and share of the budget it ended."""

    learner: Learner
    recipe: Recipe
    optimizer: torch.optim.Optimizer
    average: MovingAverage | None
    step: int = 0
    elapsed: float = 0.0
    pretrained: bool = False
    pretrained_at: int = 0
    pretrained_share: float = 0.0

    @classmethod
    def fresh(cls, training: Training, learner: Learner, recipe: Recipe) -> RunState:
        """The state before the first step."""
        groups = training.parameter_groups(learner, recipe)
        average = MovingAverage(learner.network, recipe.ema) if recipe.ema else None
        return cls(learner, recipe, optimizer_of(groups, recipe.learning_rate), average)

    @property
    def network(self) -> Any:
        """The network with the weights that count: their moving average, if one is kept."""
        return self.learner.network if self.average is None else self.average.network

    def begin_training(self, share: float) -> None:
        """Pre-training is over: the moving average starts from what it taught."""
        self.pretrained, self.pretrained_at, self.pretrained_share = True, self.step, share
        if self.average is not None:
            self.average = MovingAverage(self.learner.network, self.average.decay)

    def save(self, out: Path, settings: dict[str, Any]) -> None:
        """Write the checkpoint; ``settings`` are what the run must be resumed with."""
        average = self.average
        write_checkpoint(
            out / CHECKPOINT,
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
        another run's."""
        path = out / CHECKPOINT
        state = read_checkpoint(path)
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


def write_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors and plain values) to ``path``; a reader sees the old file or the new one, never half.
    Raises OutputError."""
    with (
        output_file(path, overwrite=True, durable=True, remedy="choose another --out") as part,
        open(part, "wb") as file,
    ):
        file.write(bytes(_HEADER))
        payload = HashedWriter(file)
        try:
            torch.save(state, cast("IO[bytes]", payload))
        except RuntimeError as error:  # what PyTorch makes of a full disk
            if payload.failure is None:
                raise
            raise payload.failure from error
        file.seek(0)
        file.write(_MAGIC + payload.sha256.encode() + b"\n")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What ``write_checkpoint`` wrote, on the CPU; nothing in the file is executed. Raises WeightsError for a file that
    is missing, damaged, or something else."""
    try:
        with open(path, "rb") as file:
            header = file.read(_HEADER)
            if not header.startswith(_MAGIC):
                raise WeightsError("not a checkpoint of this version of avis train", hint=_AGAIN, file=path)
            if header[len(_MAGIC) :] != sha256_of_rest(file).encode() + b"\n":
                raise WeightsError(
                    "the checkpoint is damaged: its content does not have the checksum it was written with",
                    hint=_AGAIN,
                    file=path,
                )
            file.seek(_HEADER)
            return dict(torch.load(file, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise WeightsError("no checkpoint to resume from", hint="start the run without --resume", file=path) from None
    except OSError as error:
        raise WeightsError(f"the checkpoint cannot be read: {error.strerror or error}", file=path) from None
