"""How parameters move: an optimizer over groups, warm-up and schedule, clipped gradients, and a moving average of the
weights."""

from __future__ import annotations

import copy
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from avis_cli.models.training import ParameterGroup

MOMENTUM = 0.9  # of SGD
_POWER = 0.9
_LEAST = 1e-8  # that a rate falling by a power comes to


def optimizer_of(groups: Sequence[ParameterGroup], rate: float) -> torch.optim.Optimizer:
    """AdamW over ``groups``, fused where the device allows it, or of each group what it says. ``factor`` in each of the
    optimizer's groups is what `set_rate` multiplies by; one with a ``constant`` rate keeps it."""
    kinds = sorted({group.optimizer for group in groups})
    made = [_optimizer(kind, [g for g in groups if g.optimizer == kind], rate) for kind in kinds]
    return made[0] if len(made) == 1 else Several(made)


def _optimizer(kind: str, groups: Sequence[ParameterGroup], rate: float) -> torch.optim.Optimizer:
    as_dicts = [
        {"params": g.parameters, "factor": g.factor, "weight_decay": g.weight_decay, "constant": g.constant}
        for g in groups
    ]
    if kind == "sgd":
        return torch.optim.SGD(as_dicts, lr=rate, momentum=MOMENTUM)
    return torch.optim.Adam(as_dicts, lr=rate) if kind == "adam" else torch.optim.AdamW(as_dicts, lr=rate, fused=True)


class Several(torch.optim.Optimizer):
    """Several optimizers, each of parameters of its own, as one."""

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        self.optimizers = list(optimizers)
        self.defaults = {}
        self.state = defaultdict(dict)
        # the same lists: a rate that is set here is set there
        self.param_groups = [group for one in self.optimizers for group in one.param_groups]

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Of each."""
        for one in self.optimizers:
            one.step()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Of each."""
        for one in self.optimizers:
            one.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Those of each, by number."""
        return {str(number): one.state_dict() for number, one in enumerate(self.optimizers)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Inverse of ``state_dict``."""
        for number, one in enumerate(self.optimizers):
            one.load_state_dict(state_dict[str(number)])
        self.param_groups = [group for one in self.optimizers for group in one.param_groups]


def rate_at(
    step: int, done: float, *, highest: float, warmup_steps: int, final: float, schedule: str = "cosine"
) -> float:
    """Learning rate at ``step`` (from 0) after the share ``done`` (0..1) of the phase: linear warm-up, then half a
    cosine from ``highest`` down to ``final`` times it, or the power 0.9 of what is left."""
    warm, left = min((step + 1) / (warmup_steps + 1), 1.0), 1.0 - min(max(done, 0.0), 1.0)
    if schedule == "power":
        return max(highest * warm * left**_POWER, _LEAST)
    cosine = 0.5 * (1.0 + math.cos(math.pi * (1.0 - left)))
    return highest * warm * (final + (1.0 - final) * cosine)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group ``rate`` times its factor, but for those whose rate is constant."""
    for group in optimizer.param_groups:
        if not group.get("constant", False):
            group["lr"] = rate * group.get("factor", 1.0)


def clip_gradients(parameters: Iterable[nn.Parameter], norm: float) -> Tensor:
    """Scale all gradients together so that their norm is at most ``norm``; the norm before (scalar)."""
    return nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], norm, foreach=True)


class MovingAverage:
    """Exponential moving average of a network's weights, which starts as their plain mean.

    ``network``: holds the averaged weights, never trained itself. Buffers are copied.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network: nn.Module = copy.deepcopy(source).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, source: nn.Module) -> None:
        """Take in the weights of ``source`` after a step."""
        self.updates += 1
        # a mean over the steps so far until that is as long as the average remembers
        decay = min(self.decay, 1.0 - 1.0 / self.updates)
        mine, theirs = [[p.detach() for p in one.parameters()] for one in (self.network, source)]
        torch._foreach_lerp_(mine, theirs, 1.0 - decay)
        for kept, now in zip(self.network.buffers(), source.buffers(), strict=True):
            kept.copy_(now)
