"""Which query answers for which object: the cheapest one-to-one assignment (DETR, Carion et al., ECCV 2020, section
3.1).

Letters: M predictions (frames or clips), Q queries, O object slots, P compared points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

UNMATCHED = -1


@dataclass(frozen=True)
class MatchWeights:
    """What a wrong class, wrong points and a poor overlap cost (Mask2Former's numbers)."""

    category: float = 2.0
    mask: float = 5.0
    dice: float = 5.0


@torch.no_grad()
def pair_costs(
    class_logits: Tensor, categories: Tensor, logits: Tensor, targets: Tensor, counted: Tensor, weights: MatchWeights
) -> Tensor:
    """Cost (M, Q, O) of each query for each object.

    ``class_logits`` (M, Q, K+1); ``categories`` (M, O), negative in empty slots; ``logits`` (M, Q, P), mask logits at
    the compared points; ``targets`` and ``counted`` (M, O, P): the truth there, and 1 where it is judged.
    """
    probability = class_logits.float().softmax(-1)
    wanted = categories.clamp(min=0).unsqueeze(1).expand(-1, probability.shape[1], -1)
    category = -probability.gather(2, wanted)
    logits, counted = logits.float(), counted.float()
    inside = (targets.float() * counted).transpose(1, 2)  # (M, P, O)
    judged = counted.sum(-1).clamp(min=1.0).unsqueeze(1)  # (M, 1, O)
    # softplus(-x) = softplus(x) - x: where the truth is 1, the loss is the one for 0 less the logit
    cross_entropy = (F.softplus(logits) @ counted.transpose(1, 2) - logits @ inside) / judged
    chance = logits.sigmoid()
    overlap = chance @ inside
    sizes = chance @ counted.transpose(1, 2) + inside.sum(1, keepdim=True)
    dice = 1.0 - (2.0 * overlap + 1.0) / (sizes + 1.0)
    return weights.category * category + weights.mask * cross_entropy + weights.dice * dice


@torch.no_grad()
def assign(costs: Tensor, is_object: Tensor) -> Tensor:
    """The query of each object: (M, O) int64, ``UNMATCHED`` in empty slots, from ``costs`` (M, Q, O).

    The sum of the costs is the least possible; no query answers twice. With fewer queries than objects some objects
    stay unmatched.
    """
    assigned = torch.full(is_object.shape, UNMATCHED, dtype=torch.int64)
    # a diverged network must not stop in scipy: what is not finite is merely dear
    table = torch.nan_to_num(costs, nan=1e6, posinf=1e6, neginf=-1e6).cpu().double().numpy()
    present = is_object.cpu().numpy()
    for m in range(len(table)):
        slots = present[m].nonzero()[0]
        if slots.size:
            queries, columns = linear_sum_assignment(table[m][:, slots])
            assigned[m, torch.from_numpy(slots[columns])] = torch.from_numpy(queries)
    return assigned.to(costs.device)
