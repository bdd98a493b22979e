"""Heads that exist in training only: what is where, sounding or not, and what is heard.

They teach the backbone, the pixel decoder and the audio encoder directly, before the queries have learned to ask.

Letters: F frames (clips times token frames), O object slots, K categories, C channels, h, w cells of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.models.avism.recipe import AvismRecipe
from avis_cli.nn.clip_batch import ClipTargets
from avis_cli.nn.sound_tags import TagLoss

IGNORED = -1  # cells that nobody knows the category of


@dataclass(frozen=True, eq=False)
class MapLoss:
    """Of a map of categories: the ``loss``, the mean over categories of the share of object cells named right, and
    ``cue``, which of several instances sounds."""

    loss: Tensor
    accuracy: Tensor
    cue: Tensor


@dataclass(frozen=True, eq=False)
class FineLoss:
    """Of the fine map: ``category`` of the cells; ``centre``, how far the ways to the objects' centres miss; ``cue``,
    which of several instances sounds."""

    category: Tensor
    centre: Tensor
    cue: Tensor


@dataclass(frozen=True, eq=False)
class AuxiliaryLosses:
    """Of all heads of this file."""

    categories: MapLoss
    fine: FineLoss
    tags: TagLoss

    def total(self, recipe: AvismRecipe) -> Tensor:
        """Their sum as the recipe weighs them."""
        fine = self.fine
        return (
            recipe.category_map * self.categories.loss
            + recipe.fine_map * (fine.category + fine.centre)
            + recipe.cue * (self.categories.cue + fine.cue)
            + recipe.tagging * self.tags.loss
        )

    def parts(self) -> tuple[Tensor, ...]:
        """As the last fields of `AvismLoss`."""
        fine, categories, tags = self.fine, self.categories, self.tags
        cues = (fine.cue, categories.cue)
        return fine.category, fine.centre, *cues, categories.loss, categories.accuracy, tags.loss, tags.recall


class CategoryMap(nn.Module):
    """The category, or background, of every cell from the backbone's maps at strides 8 to 32, at the finest of these,
    and whether the object sounds, where that must be seen.

    ``widths`` of the backbone's maps, finest first.
    """

    LEVELS = 3

    def __init__(self, widths: Sequence[int], categories: int, hidden: int = 64) -> None:
        super().__init__()
        self.categories = categories
        self.inward = nn.ModuleList(nn.Conv2d(width, hidden, 1) for width in widths[-self.LEVELS :])
        self.outward = nn.Conv2d(hidden, categories + 2, 1)

    def forward(self, maps: Sequence[Tensor], targets: ClipTargets) -> MapLoss:
        """``maps`` of F frames, ``targets`` of the same."""
        used = maps[-self.LEVELS :]
        size = used[0].shape[-2:]
        parts = [inward(x.float()) for inward, x in zip(self.inward, used, strict=True)]
        summed = sum(
            (F.interpolate(part, size=size, mode="bilinear", align_corners=False) for part in parts[1:]), parts[0]
        )
        cells = self.outward(F.relu(summed))
        logits, cue = cells[:, :-1], cells[:, -1]
        there = at_size(targets, (size[0], size[1]))
        owner = _owners(there).flatten(0, 1)
        wanted = _categories(there, owner, self.categories)
        accuracy = mean_accuracy(logits.detach(), wanted)
        return MapLoss(balanced_cross_entropy(logits, wanted), accuracy, _cue_loss(cue, there, owner))


class FineMap(nn.Module):
    """For every cell of the fine map its category, the way to its object's centre (x, y, as shares of the picture),
    which tells instances apart, and whether the object sounds, where that must be seen."""

    def __init__(self, fine_width: int, categories: int) -> None:
        super().__init__()
        self.categories = categories
        self.cells = nn.Conv2d(fine_width, 3 + categories + 1, 1)

    def forward(self, fine: Tensor, targets: ClipTargets) -> FineLoss:
        """``fine`` (F, C, h, w), ``targets`` of the same F frames."""
        cells: Tensor = self.cells(fine).float()
        there = at_size(targets, (fine.shape[-2], fine.shape[-1]))
        owner = _owners(there).flatten(0, 1)  # (F, h, w)
        category = balanced_cross_entropy(cells[:, 3:], _categories(there, owner, self.categories))
        return FineLoss(category, _centre_loss(cells[:, :2], there, owner), _cue_loss(cells[:, 2], there, owner))


def at_size(targets: ClipTargets, size: tuple[int, int]) -> ClipTargets:
    """``targets`` with masks of another size."""
    if targets.masks.shape[-2:] == size:
        return targets
    shape = targets.masks.shape[:3]
    small = F.adaptive_avg_pool2d(targets.masks.flatten(0, 2).unsqueeze(1), size)
    return replace(targets, masks=small.squeeze(1).unflatten(0, shape))


def balanced_cross_entropy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Mean over the classes that are there of their cells' mean cross-entropy.

    ``logits`` (F, K+1, h, w), background last; ``wanted`` (F, h, w), 0..K or ``IGNORED``.
    """
    each = F.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="none").flatten()
    sums, counts = _by_class(each, wanted, logits.shape[1])
    return (sums / counts.clamp(min=1.0)).sum() / (counts > 0).sum().clamp(min=1)


def mean_accuracy(logits: Tensor, wanted: Tensor) -> Tensor:
    """Mean over the classes that are there, save the background, of the share of their cells that are named right."""
    right = (logits.argmax(1) == wanted).float().flatten()
    hits, counts = _by_class(right, wanted, logits.shape[1])
    shares = hits[:-1] / counts[:-1].clamp(min=1.0)
    return shares.sum() / (counts[:-1] > 0).sum().clamp(min=1)


def _by_class(values: Tensor, wanted: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Sum of ``values`` (cells,) over the cells of each class, and how many they are: (classes,) each."""
    flat = wanted.flatten()
    slot, known = flat.clamp(min=0), (flat != IGNORED).float()
    zeros = values.new_zeros(classes)
    return zeros.scatter_add(0, slot, values * known), zeros.scatter_add(0, slot, known)


def _owners(targets: ClipTargets) -> Tensor:
    """(B, T, h, w): the object slot that covers most of a cell, at least half of it, or -1."""
    share, slot = targets.masks.max(dim=2)
    return torch.where(share >= 0.5, slot, -1)


def _categories(targets: ClipTargets, owner: Tensor, background: int) -> Tensor:
    """(F, h, w): category of every cell, ``background`` where nothing is, ``IGNORED`` where nobody knows."""
    B, T, _ = targets.sounding.shape
    per_frame = targets.categories.unsqueeze(1).expand(B, T, -1).flatten(0, 1)  # (F, O)
    named = per_frame.gather(1, owner.clamp(min=0).flatten(1)).view_as(owner)
    nothing = torch.where(targets.complete, background, IGNORED).unsqueeze(1).expand(B, T).flatten()
    return torch.where(owner >= 0, named, nothing[:, None, None])


def _centre_loss(ways: Tensor, targets: ClipTargets, owner: Tensor) -> Tensor:
    """Mean over object cells of the distance between the predicted and the true way to the object's centre of mass."""
    masks = targets.masks.flatten(0, 1)  # (F, O, h, w)
    h, w = masks.shape[-2:]
    y = (torch.arange(h, device=masks.device) + 0.5) / h
    x = (torch.arange(w, device=masks.device) + 0.5) / w
    mass = masks.sum((2, 3)).clamp(min=1e-6)
    centres = torch.stack([(masks.sum(2) * x).sum(-1) / mass, (masks.sum(3) * y).sum(-1) / mass], dim=-1)  # (F, O, 2)
    index = owner.clamp(min=0).flatten(1).unsqueeze(-1).expand(-1, -1, 2)
    centre = centres.gather(1, index).view(*owner.shape, 2)
    place = torch.stack([x.expand(h, w), y.unsqueeze(1).expand(h, w)], dim=-1)
    missed = (ways.permute(0, 2, 3, 1) - (centre - place) * 4.0).abs().sum(-1)  # objects span about a quarter
    inside = owner >= 0
    return (missed * inside).sum() / inside.sum().clamp(min=1)


def _cue_loss(logits: Tensor, targets: ClipTargets, owner: Tensor) -> Tensor:
    """Cross-entropy over the cells of objects that share their category of whether their object sounds, in clips
    where the silent ones are known. Of any other object sound alone tells that."""
    T = targets.sounding.shape[1]
    index = owner.clamp(min=0).flatten(1)
    wanted = targets.sounding.flatten(0, 1).gather(1, index).view_as(owner).float()
    shared = targets.same_category().any(-1) & targets.complete[:, None]  # (B, O)
    judged = (owner >= 0) & shared.repeat_interleave(T, dim=0).gather(1, index).view_as(owner)
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * judged).sum() / judged.sum().clamp(min=1)
