"""One training clip as numbers, and batches of them as tensors.

Letters: B clips, T token frames, O objects, K categories, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.train.targets import NO_OBJECT, ClipTargets


@dataclass(frozen=True, eq=False)
class RawClip:
    """T token frames of a clip with their sound and truth.

    ``frames`` uint8 RGB (T, H, W, 3); ``patches`` float32 (T, 96, 64), log-mel; ``categories`` (O,), 0..K-1;
    ``masks`` bool (O, T, H, W), visible pixels; ``sounding`` bool (O, T), heard and seen; ``tags`` bool (T, K), the
    categories that are heard, on screen or not; ``complete``: whether silent objects are marked too.
    """

    frames: NDArray[np.uint8]
    patches: NDArray[np.float32]
    categories: NDArray[np.int64]
    masks: NDArray[np.bool_]
    sounding: NDArray[np.bool_]
    tags: NDArray[np.bool_]
    complete: bool


@dataclass(frozen=True, eq=False)
class Batch:
    """``frames`` uint8 (B, T, 3, H, W), padded right and bottom; ``patches`` float32 (B, T, 96, 64); and what to
    find."""

    frames: Tensor
    patches: Tensor
    targets: ClipTargets

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(
            self.frames.to(device, non_blocking=True),
            self.patches.to(device, non_blocking=True),
            self.targets.to(device),
        )


def collate(clips: Sequence[RawClip], *, divisor: int, stride: int = 1) -> Batch:
    """Clips of equal length -> a batch, its pictures padded to a common size that ``divisor`` divides.

    ``stride``: pixels of a frame along one side of a target mask's cell; a cell holds the share that is covered.
    """
    height, width = (-(-max(clip.frames.shape[axis] for clip in clips) // divisor) * divisor for axis in (1, 2))
    B, T = len(clips), len(clips[0].frames)
    slots = max(1, max(len(clip.categories) for clip in clips))
    frames = np.zeros((B, T, 3, height, width), dtype=np.uint8)
    masks = np.zeros((B, T, slots, height, width), dtype=np.uint8)
    categories = torch.full((B, slots), NO_OBJECT, dtype=torch.int64)
    sounding = torch.zeros(B, T, slots, dtype=torch.bool)
    for b, clip in enumerate(clips):
        h, w = clip.frames.shape[1:3]
        n = len(clip.categories)
        frames[b, :, :, :h, :w] = clip.frames.transpose(0, 3, 1, 2)
        masks[b, :, :n, :h, :w] = clip.masks.transpose(1, 0, 2, 3)
        categories[b, :n] = torch.from_numpy(clip.categories)
        sounding[b, :, :n] = torch.from_numpy(np.ascontiguousarray(clip.sounding.T))
    targets = ClipTargets(
        categories=categories,
        masks=_covered(torch.from_numpy(masks), stride),
        sounding=sounding,
        tags=torch.from_numpy(np.stack([clip.tags for clip in clips])),
        complete=torch.tensor([clip.complete for clip in clips]),
    )
    patches = torch.from_numpy(np.stack([clip.patches for clip in clips]))
    return Batch(torch.from_numpy(frames), patches, targets)


def _covered(masks: Tensor, stride: int) -> Tensor:
    """Masks uint8 (B, T, O, H, W) -> shares (B, T, O, H / stride, W / stride)."""
    if stride == 1:
        return masks.float()
    return F.avg_pool2d(masks.flatten(0, 2).unsqueeze(1).float(), stride).squeeze(1).unflatten(0, masks.shape[:3])
