"""A batch of clips to learn class maps from: the class that sounds at each pixel, in place of objects.

Letters: B clips, T frames, H, W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from avis_cli.nn.clip_batch import ClipBatch

IGNORED = 255
"""The label of pixels that no loss looks at."""


@dataclass(frozen=True, eq=False, kw_only=True)
class MapBatch:
    """``frames`` uint8 (B, T, 3, H, W); their sound as ``log_mel`` float32 (B, T, 96, 64) or ``samples`` float32
    (B, T, channels, N) at 16 kHz, or both; ``labels`` int64 (B, T, H, W): the class that sounds at each pixel, from 1,
    0 where nothing does, ``IGNORED`` where that is not known; ``valid`` (B, T) bool: which frames are no padding;
    ``labelled`` (B, T) bool: which frames have a truth."""

    frames: Tensor
    log_mel: Tensor | None
    samples: Tensor | None
    labels: Tensor
    valid: Tensor
    labelled: Tensor

    def to(self, device: torch.device | str) -> MapBatch:
        """The same on another device."""
        held = ((field.name, getattr(self, field.name)) for field in fields(self))
        moved: dict[str, Any] = {name: None if x is None else x.to(device, non_blocking=True) for name, x in held}
        return MapBatch(**moved)

    @classmethod
    def of(cls, batch: ClipBatch) -> MapBatch:
        """A batch of objects whose target masks have the size of the frames (stride 1): each pixel is of the class of
        the sounding object that covers most of it, if that is half of it."""
        targets = batch.targets
        present = targets.sounding & targets.is_object[:, None]
        covered, objects = (targets.masks * present[..., None, None]).max(dim=2)  # (B, T, H, W)
        classes = targets.categories[:, None, :, None, None].expand(-1, covered.shape[1], -1, *covered.shape[2:])
        labels = torch.where(covered >= 0.5, classes.gather(2, objects[:, :, None])[:, :, 0] + 1, 0)
        if batch.ignored is not None:
            labels = labels.masked_fill(batch.ignored, IGNORED)
        every = torch.ones(batch.frames.shape[:2], dtype=torch.bool, device=labels.device)
        labelled = every if batch.labelled is None else batch.labelled
        valid = every if batch.valid is None else batch.valid
        return cls(
            frames=batch.frames, log_mel=batch.patches, samples=batch.samples, labels=labels, valid=valid,
            labelled=labelled & valid,
        )  # fmt: skip
