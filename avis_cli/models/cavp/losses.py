"""The losses of CAVP (Chen et al., CVPR 2024, section 3.3): cross entropy, and the contrast between pixels that sound
and the same pixels with another sound.

Letters: B images, D joint channels, h, w positions, A anchors, V views of a class.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from avis_cli.nn.map_batch import IGNORED

Permute = Callable[[int], Tensor]
"""A number of things -> a random order of them, int64."""

VIEWS = 512
TEMPERATURE = 0.1
_SMALL = 1e-12


def pixel_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross entropy of logits (B, K, H, W) and labels (B, H, W) over pixels that are known."""
    each = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
    return each / (labels != IGNORED).sum().clamp(min=1)


def contrastive_loss(
    matched: Tensor,
    shuffled: Tensor,
    labels: Tensor,
    shuffled_labels: Tensor,
    *,
    views: int = VIEWS,
    temperature: float = TEMPERATURE,
    permute: Permute = torch.randperm,
) -> Tensor:
    """``matched``, ``shuffled``: joint features (B, D, h, w) with an image's own sound, and with another's; ``labels``,
    ``shuffled_labels`` (B, H, W): what sounds then, IGNORED where that is not known. 0 where no class has ``views``
    pixels.

    Random orders are drawn for each class that is kept, then for the background, then for what has fallen silent.
    """
    anchors, classes = _anchors(matched, shuffled, labels, shuffled_labels, views, permute)
    if classes is None:
        return matched.new_zeros(())
    logits = anchors @ anchors.T / temperature
    logits = logits - logits.max(dim=1, keepdim=True).values.detach()
    same = classes[:, None] == classes[None]
    powers = logits.exp()
    negatives = (powers * ~same).sum(1, keepdim=True)
    log_probability = logits - (powers + negatives).log()
    positives = same.fill_diagonal_(False)
    each = (log_probability * positives).sum(1) / (positives.sum(1) + _SMALL)
    return -each.mean()


def _anchors(
    matched: Tensor, shuffled: Tensor, labels: Tensor, shuffled_labels: Tensor, views: int, permute: Permute
) -> tuple[Tensor, Tensor | None]:
    """Anchors of unit length (A, D) and their classes (A,), None if there are none."""
    own, other = (_rows(features) for features in (matched, shuffled))
    size = (matched.shape[-2], matched.shape[-1])
    label, changed = (_small(one, size).flatten() for one in (labels, shuffled_labels))
    sounding = (label != 0) & (label != IGNORED)
    parts, classes = [], []
    for number in torch.unique(label[sounding]).tolist():
        pixels = torch.nonzero(label == number)[:, 0]
        if len(pixels) >= views:
            parts.append(own[pixels[_drawn(len(pixels), views, permute, pixels)]])
            classes.append(torch.full((views,), number, device=label.device))
    if not parts:
        return own[:0], None
    ground, silent = torch.nonzero(label == 0)[:, 0], torch.nonzero(sounding & (changed != IGNORED))[:, 0]
    count = min(views, len(ground), len(silent))
    places = ground[_drawn(len(ground), count, permute, ground)]
    parts.append(own[places])
    classes.append(label[places])
    places = silent[_drawn(len(silent), count, permute, silent)]
    parts.append(other[places])
    classes.append(changed[places])
    return torch.cat(parts), torch.cat(classes)


def _drawn(count: int, wanted: int, permute: Permute, like: Tensor) -> Tensor:
    return permute(count)[:wanted].to(like.device)


def _rows(features: Tensor) -> Tensor:
    """(B, D, h, w) -> (B h w, D), each of unit length."""
    return F.normalize(features, dim=1).permute(0, 2, 3, 1).flatten(0, 2)


def _small(labels: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, H, W) -> (B, h, w), the label at the upper left of each cell."""
    return F.interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].long()


def classes_of(labels: Tensor, count: int) -> Tensor:
    """Which of ``count`` classes stand in each label map (B, H, W), the background among them: (B, count) bool."""
    rows = [torch.bincount(one[one != IGNORED].flatten(), minlength=count)[:count] > 0 for one in labels]
    return torch.stack(rows)


def relabelled(labels: Tensor, match: Sequence[bool] | Tensor, known: Tensor | None = None) -> Tensor:
    """What sounds in images whose sounds were shuffled: as before where the sound still fits, nothing elsewhere;
    IGNORED throughout where it is not ``known``."""
    fits = torch.as_tensor(match, device=labels.device)
    changed = torch.where(fits[:, None, None], labels, torch.zeros_like(labels))
    return changed if known is None else torch.where(known[:, None, None], changed, IGNORED)
