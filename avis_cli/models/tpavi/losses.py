"""The losses of TPAVI (Zhou et al., ECCV 2022, section 3.3; with semantics, IJCV 2024): of the maps themselves, and of
how alike sound and the picture under the map are.

Letters: F frames, C channels, H, W pixels, h, w positions of a stage's map, K outputs. Where the released code means
something else than the paper, ``released`` says which of the two is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from avis_cli.nn.map_batch import IGNORED

Task = Literal["s4", "ms3", "avss"]

_SMALL = 1e-6
_SELF = 10.0  # what the release adds to a frame's distance from itself; not always enough


@dataclass(frozen=True)
class Matching:
    """The loss of sound and picture. ``weight``: its factor, 0 for none; ``stages``: from 1; ``pooling``: how the map
    comes to a stage's size; ``normalised``: vectors of unit length; ``threshold``: the map as 0 or 1; ``partner``: what
    a frame's picture is to be like, its "sound", or the "picture" of the frame whose sound is nearest; ``distance``:
    between them; ``released``: as the released code computes it."""

    weight: float = 0.5
    stages: tuple[int, ...] = (1, 2, 3, 4)
    pooling: Literal["avg", "max"] = "avg"
    normalised: bool = False
    threshold: bool = False
    partner: Literal["sound", "picture"] = "sound"
    distance: Literal["kl", "euclidean"] = "kl"
    released: bool = False


def binary_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean binary cross entropy of logits (F, 1, H, W) and truth (F, H, W) in 0 and 1, over pixels that are known."""
    known = truth != IGNORED
    probability = logits[:, 0].sigmoid()
    # as the release: of probabilities, with logarithms from -100 on
    each = F.binary_cross_entropy(probability, (truth == 1).to(probability.dtype), reduction="none")
    return (each * known).sum() / known.sum().clamp(min=1)


def class_loss(logits: Tensor, truth: Tensor, labelled: Tensor) -> Tensor:
    """Cross entropy of logits (F, K, H, W) and classes (F, H, W): the mean over the pixels of a frame, then over the
    frames that are ``labelled`` (F,)."""
    each = F.cross_entropy(logits, truth, ignore_index=IGNORED, reduction="none")
    known = (truth != IGNORED).flatten(1).sum(1).clamp(min=1)
    by_frame = each.flatten(1).sum(1) / known
    weight = labelled.to(by_frame.dtype)
    return (by_frame * weight).sum() / weight.sum().clamp(min=1)


def matching_loss(
    task: Task, how: Matching, logits: Tensor, maps: Sequence[Tensor], sound: Sequence[Tensor | None], valid: Tensor
) -> Tensor:
    """The mean over ``how.stages``, without the factor. ``maps``: of each stage (F, C, h, w); ``sound``: (F, C);
    ``valid`` (F,) bool: which frames are no padding. Raises ValueError for a stage without sound."""
    losses = []
    for stage in how.stages:
        heard = sound[stage - 1]
        if heard is None:
            raise ValueError(f"stage {stage} hears nothing, so that nothing can be matched")
        seen = maps[stage - 1]
        if task == "s4":
            losses.append(_cosine(how, logits, seen, heard))
        else:
            losses.append(_distances(task, how, _under_map(task, how, logits, seen), heard, valid))
    return torch.stack(losses).mean()


def _pooled(x: Tensor, size: torch.Size, how: Literal["avg", "max"]) -> Tensor:
    pool = F.adaptive_avg_pool2d if how == "avg" else F.adaptive_max_pool2d
    return pool(x, (size[-2], size[-1]))


def _cosine(how: Matching, logits: Tensor, seen: Tensor, heard: Tensor) -> Tensor:
    """How far the picture under the map points away from the sound. A frame with an empty map says nothing; the release
    counts a constant for it."""
    with torch.no_grad():
        mask = (_pooled(logits.sigmoid(), seen.shape, how.pooling) > 0.5).to(seen.dtype)
    area = mask.sum((1, 2, 3))
    picture = (seen * mask).sum((2, 3)) / (area + _SMALL)[:, None]
    alike = F.cosine_similarity(F.normalize(picture, dim=1), F.normalize(heard, dim=1), dim=1)
    each = -torch.log(alike.relu() + _SMALL)
    if how.released:
        return each.mean()
    there = (area > 0).to(each.dtype)
    return (each * there).sum() / there.sum().clamp(min=1)


def _under_map(task: Task, how: Matching, logits: Tensor, seen: Tensor) -> Tensor:
    """The picture under the map, (F, C)."""
    if task == "avss":
        with torch.no_grad():
            drawn = (logits.argmax(1, keepdim=True) != 0).to(seen.dtype)
            mask = _pooled(drawn, seen.shape, how.pooling)
    else:
        mask = _pooled(logits, seen.shape, how.pooling).sigmoid()
    if not how.threshold or how.partner == "picture":
        return (seen * mask).mean((2, 3))
    with torch.no_grad():
        mask = (mask > 0.5).to(seen.dtype)
    return (seen * mask).sum((2, 3)) / (mask.sum((2, 3)) + _SMALL)


def _distances(task: Task, how: Matching, picture: Tensor, heard: Tensor, valid: Tensor) -> Tensor:
    if how.normalised:
        picture, heard = F.normalize(picture, dim=1), F.normalize(heard, dim=1)
    partner = heard
    if how.partner == "picture":
        partner = picture[_nearest(heard, valid, released=how.released)]
        if how.distance == "kl" and task == "avss" and how.released:
            partner = heard  # the release computes this in place of that
    weight = valid.to(picture.dtype)
    if how.distance == "euclidean":
        each = (partner - picture + _SMALL).norm(dim=1)
    else:
        each = (partner.softmax(1) * (partner.log_softmax(1) - picture.log_softmax(1))).sum(1)
        if task == "ms3" and how.released:
            return each.sum()
    return (each * weight).sum() / weight.sum().clamp(min=1)


def _nearest(heard: Tensor, valid: Tensor, *, released: bool) -> Tensor:
    """Of each frame the other one whose sound is nearest. The release may pair a frame with itself or with padding."""
    with torch.no_grad():
        distances = torch.cdist(heard, heard)
        own = torch.eye(len(heard), device=heard.device)
        if released:
            return (distances + _SELF * own).argmin(0)
        distances = distances.masked_fill(own.bool() | ~valid[:, None], torch.inf)
        return distances.argmin(0)
