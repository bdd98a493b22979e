"""Losses of a set of queries against a set of objects: class, mask and dice losses of matched pairs.

Mask2Former's losses (Cheng et al., CVPR 2022, section 3.3) for masks of one frame or of a clip, and a penalty for a
mask that spills onto another object of the same category. Masks are compared at every pixel, or at points sampled
where the prediction is unsure: PointRend (Kirillov et al., CVPR 2020, section 3.1), as Mask2Former uses it.

Letters: M predictions (frames or clips), Q queries, O object slots, S frames a mask spans, R matched pairs, P points.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.distributed as dist
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from avis_cli.nn.clip_batch import LevelTargets

OVERSAMPLING = 3  # candidates drawn per point kept
UNSURE_SHARE = 0.75  # of the points are the most unsure candidates, the rest uniform


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts. ``no_object``: of an unmatched query's class; ``rival``: of a mask on another object
    of the same category."""

    category: float = 2.0
    mask: float = 5.0
    dice: float = 5.0
    no_object: float = 0.1
    rival: float = 0.0


@dataclass(frozen=True, eq=False)
class LevelLoss:
    """``total``: the weighted sum (scalar); ``category``, ``mask``, ``dice``, ``rival``: its parts unweighted;
    ``assigned`` (M, O): the query of each object."""

    total: Tensor
    category: Tensor
    mask: Tensor
    dice: Tensor
    rival: Tensor
    assigned: Tensor


def level_loss(
    class_logits: Tensor,
    mask_logits: Tensor,
    targets: LevelTargets,
    weights: LossWeights,
    *,
    points: int | None = None,
    objects: Tensor | float | None = None,
) -> LevelLoss:
    """The loss of one prediction of one level.

    ``class_logits`` (M, Q, K+1); ``mask_logits`` (M, Q, S, h, w); ``points``: how many to compare masks at, None for
    every pixel; ``objects``: what the sums over matched pairs are divided by, the number of objects if None (across
    processes, their average).
    """
    matching = MatchWeights(weights.category, weights.mask, weights.dice)
    assigned = _match(class_logits, mask_logits, targets, matching, points)
    category = class_loss(class_logits, targets.categories, assigned, weights.no_object)
    m, o = (assigned >= 0).nonzero(as_tuple=True)
    count = torch.as_tensor(float(len(m)) if objects is None else objects, device=category.device).clamp(min=1.0)
    nothing = mask_logits.sum() * 0.0  # keeps every parameter in the graph of a batch without objects
    mask = dice = rival = nothing
    if len(m):
        picked = mask_logits[m, assigned[m, o]]  # (R, S, h, w)
        truth, rivals, counted = targets.masks[m, o], targets.rivals[m, o], targets.counted[m, o]
        logits, truth_at, rival_at = _compared(picked, truth, rivals if weights.rival else None, points)
        judged = counted.unsqueeze(-1).float().expand_as(logits)  # (R, S, P)
        mask = mask_loss(logits.flatten(1), truth_at.flatten(1), judged.flatten(1)).sum() / count
        dice = dice_loss(logits.flatten(1), truth_at.flatten(1), judged.flatten(1)).sum() / count
        if rival_at is not None:
            spill = judged * rival_at * (1.0 - truth_at)
            rival = rival_loss(logits.flatten(1), spill.flatten(1)).sum() / count
    total = weights.category * category + weights.mask * mask + weights.dice * dice + weights.rival * rival
    return LevelLoss(total, category, mask, dice, rival, assigned)


def _match(
    class_logits: Tensor, mask_logits: Tensor, targets: LevelTargets, weights: MatchWeights, points: int | None
) -> Tensor:
    M, Q, S, _, _ = mask_logits.shape
    detached = mask_logits.detach().flatten(1, 2)
    truth = targets.masks.flatten(1, 2)
    if points is None:
        # a quarter of the pixels tells as well which query is whose
        logits_at, truth_at = detached[..., ::2, ::2].flatten(2), truth[..., ::2, ::2].flatten(2)
    else:
        where = uniform_points(M, points, mask_logits.device)
        logits_at, truth_at = sample(detached, where), sample(truth, where)
    logits_at, truth_at = logits_at.view(M, Q, S, -1), truth_at.view(M, truth.shape[1] // S, S, -1)
    counted = targets.counted.unsqueeze(-1).expand_as(truth_at)
    costs = pair_costs(
        class_logits.detach(),
        targets.categories,
        logits_at.flatten(2),
        truth_at.flatten(2),
        counted.flatten(2),
        weights,
    )
    return assign(costs, targets.is_object)


def _compared(
    logits: Tensor, truth: Tensor, rivals: Tensor | None, points: int | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Logits, truth and rivals (R, S, P) where masks are compared, from maps (R, S, h, w)."""
    if points is None:
        return logits.flatten(2).float(), truth.flatten(2), None if rivals is None else rivals.flatten(2)
    where = unsure_points(logits.detach(), points)
    rival_at = None if rivals is None else sample(rivals, where)
    return sample(logits, where), sample(truth, where), rival_at


def class_loss(class_logits: Tensor, categories: Tensor, assigned: Tensor, no_object: float) -> Tensor:
    """Weighted cross-entropy of the class of every query: its object's, or no object (the last) with a small weight."""
    M, Q, classes = class_logits.shape
    wanted = torch.full((M, Q), classes - 1, dtype=torch.int64, device=class_logits.device)
    m, o = (assigned >= 0).nonzero(as_tuple=True)
    wanted[m, assigned[m, o]] = categories[m, o]
    balance = torch.ones(classes, device=class_logits.device)
    balance[-1] = no_object
    return F.cross_entropy(class_logits.float().flatten(0, 1), wanted.flatten(), balance)


def mask_loss(logits: Tensor, targets: Tensor, judged: Tensor) -> Tensor:
    """Mean binary cross-entropy over the judged points of each pair: (R, P) each -> (R,)."""
    each = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (each * judged).sum(1) / judged.sum(1).clamp(min=1.0)


def dice_loss(logits: Tensor, targets: Tensor, judged: Tensor) -> Tensor:
    """One minus the soft overlap of each pair, smoothed by one point: (R, P) each -> (R,)."""
    chance = logits.sigmoid() * judged
    targets = targets * judged
    return 1.0 - (2.0 * (chance * targets).sum(1) + 1.0) / (chance.sum(1) + targets.sum(1) + 1.0)


def rival_loss(logits: Tensor, spill: Tensor) -> Tensor:
    """Mean loss of claiming points of another object of the same category; 0 where there is none: (R, P) -> (R,)."""
    return (F.softplus(logits) * spill).sum(1) / spill.sum(1).clamp(min=1.0)


def sample(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear values (R, S, P) of ``maps`` (R, S, h, w) at ``points`` (R, P, 2): x, y in 0..1, pixel edges
    outermost."""
    grid = 2.0 * points.unsqueeze(1) - 1.0  # (R, 1, P, 2)
    return F.grid_sample(maps.float(), grid, padding_mode="border", align_corners=False).squeeze(2)


def uniform_points(rows: int, points: int, device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """(rows, points, 2), uniform in the unit square."""
    return torch.rand(rows, points, 2, device=device, generator=generator)


@torch.no_grad()
def unsure_points(logits: Tensor, points: int, generator: torch.Generator | None = None) -> Tensor:
    """Points (R, P, 2) for mask ``logits`` (R, S, h, w): three quarters where some frame is least sure."""
    rows = logits.shape[0]
    kept = int(UNSURE_SHARE * points)
    candidates = uniform_points(rows, OVERSAMPLING * points, logits.device, generator)
    doubt = -sample(logits, candidates).abs().amin(dim=1)  # (R, 3P)
    order = doubt.topk(kept, dim=1).indices
    chosen = candidates.gather(1, order.unsqueeze(-1).expand(-1, -1, 2))
    return torch.cat([chosen, uniform_points(rows, points - kept, logits.device, generator)], dim=1)


def count_objects(targets: LevelTargets) -> Tensor:
    """How many objects are to be found (scalar): what sums over matched pairs are divided by. With several processes
    their mean, the same on each."""
    count = targets.is_object.sum().float()
    if not dist.is_initialized():
        return count
    total = count.detach().clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()


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
