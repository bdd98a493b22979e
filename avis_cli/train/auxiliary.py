"""Heads that exist in training only: what is where, sounding or not, and what is heard.

They teach the backbone, the pixel decoder and the audio encoder directly, before the queries have learned to ask.

Letters: F frames (clips times token frames), O object slots, K categories, C channels, h, w cells of the fine map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.train.targets import ClipTargets

IGNORED = -1  # cells that nobody knows the category of
CENTRE_WEIGHT = 1.0
CUE_WEIGHT = 0.5


@dataclass(frozen=True, eq=False)
class AuxiliaryLoss:
    """``category``, ``centre``, ``cue``: of the dense map; ``tagging``: of the sound; ``accuracy``: mean over
    categories of the share of object cells named right; ``heard``: the mean over categories of the share of sounding
    frames tagged."""

    category: Tensor
    centre: Tensor
    cue: Tensor
    tagging: Tensor
    accuracy: Tensor
    heard: Tensor

    @property
    def dense(self) -> Tensor:
        """The dense map's losses together."""
        return self.category + CENTRE_WEIGHT * self.centre + CUE_WEIGHT * self.cue


class AuxiliaryHeads(nn.Module):
    """Dense map: category or background of every cell, the way to its object's centre (x, y, as shares of the picture),
    and whether the object sounds, as far as it shows. Tags: the categories heard in a frame's second."""

    def __init__(self, fine_width: int, audio_width: int, categories: int) -> None:
        super().__init__()
        self.categories = categories
        self.cells = nn.Conv2d(fine_width, categories + 1 + 2 + 1, 1)
        self.tags = nn.Linear(audio_width, categories)

    def forward(self, fine: Tensor, embeddings: Tensor, targets: ClipTargets) -> AuxiliaryLoss:
        """``fine`` (F, C, h, w), ``embeddings`` (F, C'), ``targets`` of the same F frames with masks of size h x w."""
        K = self.categories
        cells: Tensor = self.cells(fine).float()
        owner = _owners(targets).flatten(0, 1)  # (F, h, w)
        wanted = _categories(targets, owner, K)
        category, accuracy = balanced_cross_entropy(cells[:, : K + 1], wanted)
        centre = _centre_loss(cells[:, K + 1 : K + 3], targets, owner)
        cue = _cue_loss(cells[:, K + 3], targets, owner)
        heard: Tensor = self.tags(embeddings).float()
        tags = targets.tags.flatten(0, 1)
        tagging = F.binary_cross_entropy_with_logits(heard, tags.float(), pos_weight=heard.new_tensor(3.0))
        return AuxiliaryLoss(category, centre, cue, tagging, accuracy, _recall(heard.detach(), tags))


def balanced_cross_entropy(logits: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over the classes that are there of their cells' mean cross-entropy, and the accuracy over all but the last
    class.

    ``logits`` (F, K+1, h, w), background last; ``wanted`` (F, h, w), 0..K or ``IGNORED``.
    """
    classes = logits.shape[1]
    each = F.cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="none").flatten()
    flat = wanted.flatten()
    known = flat != IGNORED
    slot = flat.clamp(min=0)
    zeros = each.new_zeros(classes)
    counts = zeros.scatter_add(0, slot, known.float())
    sums = zeros.scatter_add(0, slot, each)
    loss = (sums / counts.clamp(min=1.0)).sum() / (counts > 0).sum().clamp(min=1)
    with torch.no_grad():
        right = (logits.argmax(1).flatten() == flat).float()
        hits = zeros.scatter_add(0, slot, right * known)[:-1] / counts[:-1].clamp(min=1.0)
        accuracy = hits.sum() / (counts[:-1] > 0).sum().clamp(min=1)
    return loss, accuracy


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
    """Cross-entropy over object cells of whether their object sounds, in clips where the silent ones are known."""
    sounding = targets.sounding.flatten(0, 1)
    wanted = sounding.gather(1, owner.clamp(min=0).flatten(1)).view_as(owner).float()
    T = targets.sounding.shape[1]
    judged = (owner >= 0) & targets.complete.repeat_interleave(T)[:, None, None]
    each = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * judged).sum() / judged.sum().clamp(min=1)


def _recall(logits: Tensor, tags: Tensor) -> Tensor:
    found = ((logits > 0) & tags).sum(0).float() / tags.sum(0).clamp(min=1)
    return found.sum() / tags.any(0).sum().clamp(min=1)
