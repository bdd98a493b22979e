"""How parameters move: AdamW over groups, warm-up and cosine, clipped gradients, and a moving average of the
weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from avis_cli.models.training import ParameterGroup


def adamw(groups: Iterable[ParameterGroup], rate: float) -> torch.optim.AdamW:
    """AdamW over ``groups``, fused where the device allows it. ``factor`` in each of the optimizer's groups is what
    `set_rate` multiplies by."""
    as_dicts = [{"params": g.parameters, "factor": g.factor, "weight_decay": g.weight_decay} for g in groups]
    return torch.optim.AdamW(as_dicts, lr=rate, fused=True)


def rate_at(step: int, done: float, *, highest: float, warmup_steps: int, final: float) -> float:
    """Learning rate at ``step`` (from 0) after the share ``done`` (0..1) of the phase: linear warm-up, then half a
    cosine from ``highest`` down to ``final`` times it."""
    warm = min((step + 1) / (warmup_steps + 1), 1.0)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(max(done, 0.0), 1.0)))
    return highest * warm * (final + (1.0 - final) * cosine)


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group ``rate`` times its factor."""
    for group in optimizer.param_groups:
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
