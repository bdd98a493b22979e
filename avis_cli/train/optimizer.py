"""How parameters move: AdamW with groups, warm-up and cosine, clipped gradients, and a moving average of the
weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from avis_cli.models.avism.network import Avism
from avis_cli.train.recipe import Recipe

# modules whose own parameters are not decayed, as in the released training: norms and embeddings
_UNDECAYED = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d, nn.Embedding)


def parameter_groups(modules: Iterable[nn.Module], backbone: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    """Groups for AdamW: the backbone's learning rate times its factor; no decay of norms, embeddings and vectors.

    ``factor`` in each group is what the schedule multiplies by.
    """
    in_backbone = {id(parameter) for parameter in backbone.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter, decayed in _each_parameter(modules):
        groups.setdefault((id(parameter) in in_backbone, decayed), []).append(parameter)
    return [
        {
            "params": parameters,
            "factor": recipe.backbone_factor if backboned else 1.0,
            "weight_decay": recipe.weight_decay if decayed else 0.0,
        }
        for (backboned, decayed), parameters in groups.items()
    ]


def _each_parameter(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Parameter, bool]]:
    seen: set[int] = set()
    for root in modules:
        for module in root.modules():
            for parameter in module.parameters(recurse=False):
                if parameter.requires_grad and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield parameter, not isinstance(module, _UNDECAYED) and parameter.ndim > 1


def adamw(groups: list[dict[str, object]], rate: float) -> torch.optim.AdamW:
    """AdamW over ``groups``, fused where the device allows it."""
    return torch.optim.AdamW(groups, lr=rate, fused=True)


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

    def __init__(self, source: Avism, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.network: Avism = copy.deepcopy(source).eval().requires_grad_(False)

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
