"""A batch of clips to learn from: pictures, sound and padded tensors of all visible objects, and from these the targets
of predictions about frames and about whole clips.

Letters: B clips, T token frames, O object slots (padded to the fullest clip), K categories, H x W pixels of a frame,
h x w cells of a target mask.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

NO_OBJECT = -1  # the category of an empty slot


@dataclass(frozen=True, eq=False)
class ClipTargets:
    """The objects of B clips.

    ``categories`` (B, O) int64, 0..K-1 or ``NO_OBJECT``; ``masks`` (B, T, O, h, w) float, how much of each cell the
    visible part of the object covers, 0..1; ``sounding`` (B, T, O) bool, true where the object is heard and seen;
    ``tags`` (B, T, K) bool, the categories that are heard, on screen or not; ``complete`` (B,) bool, whether ``masks``
    hold the silent objects too (with annotations of sounding objects only, an unmarked pixel may belong to a silent
    one); ``annotated`` (B, T) int64: how many objects sounded and were seen before the clips were cropped, None where
    they were not.
    """

    categories: Tensor
    masks: Tensor
    sounding: Tensor
    tags: Tensor
    complete: Tensor
    annotated: Tensor | None = None

    def to(self, device: torch.device | str) -> ClipTargets:
        """The same on another device."""
        held = ((field.name, getattr(self, field.name)) for field in fields(self))
        return replace(self, **{name: x.to(device, non_blocking=True) for name, x in held if x is not None})

    @property
    def counts(self) -> Tensor:
        """(B, T) int64: how many objects are heard and seen in each frame, before any crop."""
        return self.sounding.sum(-1) if self.annotated is None else self.annotated

    @property
    def is_object(self) -> Tensor:
        """(B, O) bool: the slots that hold an object."""
        return self.categories >= 0

    def same_category(self) -> Tensor:
        """(B, O, O) bool: pairs of different objects of one category."""
        same = self.categories[:, :, None] == self.categories[:, None, :]
        both = self.is_object[:, :, None] & self.is_object[:, None, :]
        return same & both & ~torch.eye(self.categories.shape[1], dtype=torch.bool, device=same.device)


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """``frames`` uint8 (B, T, 3, H, W), padded right and bottom; ``patches`` float32 (B, T, 96, 64), the log-mel of
    their sound; ``targets``: what is to be found.

    For networks of class maps, None where nothing is to be told: ``samples`` float32 (B, T, channels, N), the sound
    itself at 16 kHz; ``ignored`` (B, T, H, W) bool: pixels whose truth is not known, padding among them; ``valid``,
    ``labelled`` (B, T) bool: which frames are no padding, and which have a truth."""

    frames: Tensor
    patches: Tensor
    targets: ClipTargets
    samples: Tensor | None = None
    ignored: Tensor | None = None
    valid: Tensor | None = None
    labelled: Tensor | None = None

    def to(self, device: torch.device | str) -> ClipBatch:
        """The same on another device."""
        held = ((field.name, getattr(self, field.name)) for field in fields(self) if field.name != "targets")
        moved = {name: x.to(device, non_blocking=True) for name, x in held if x is not None}
        return ClipBatch(targets=self.targets.to(device), **moved)


@dataclass(frozen=True, eq=False)
class LevelTargets:
    """What M predictions (frames or clips) of one level are matched to.

    ``categories`` (M, O) int64 with ``NO_OBJECT``; ``masks`` (M, O, S, h, w) bool over the S frames a mask spans
    (1 at the frame level, T at the video level); ``counted`` (M, O, S) bool, the frames where a mask is judged;
    ``rivals`` (M, O, S, h, w), how much other objects of the same category cover.
    """

    categories: Tensor
    masks: Tensor
    counted: Tensor
    rivals: Tensor

    @property
    def is_object(self) -> Tensor:
        """(M, O) bool: the slots to be found."""
        return self.categories >= 0


def _rivals(targets: ClipTargets) -> Tensor:
    """(B, T, O, h, w): how much other objects of the same category cover."""
    relation = targets.same_category().float()
    if not relation.any():
        return torch.zeros_like(targets.masks)
    covered = torch.einsum("bop,btpx->btox", relation, targets.masks.flatten(3))
    return covered.clamp(max=1.0).view_as(targets.masks)


def frame_targets(targets: ClipTargets) -> LevelTargets:
    """Each frame on its own (M = B * T): the objects that sound in it."""
    B, T, slots = targets.sounding.shape
    categories = targets.categories[:, None].expand(B, T, slots)
    return LevelTargets(
        categories=torch.where(targets.sounding, categories, NO_OBJECT).flatten(0, 1),
        masks=targets.masks.flatten(0, 1).unsqueeze(2),
        counted=targets.sounding.flatten(0, 1).unsqueeze(2),
        rivals=_rivals(targets).flatten(0, 1).unsqueeze(2),
    )


def video_targets(targets: ClipTargets, judged: str) -> LevelTargets:
    """Each clip as a whole (M = B): the objects that sound in some frame.

    ``judged``, the frames that count in a track's mask: ``"sounding"``, where the object sounds; ``"seen"``, all frames
    with the visible mask as target where silent objects are marked too, elsewhere as ``"sounding"``; ``"all"``, all
    frames with an empty target where the object is silent (the released recipe)."""
    heard = targets.sounding.any(dim=1) & targets.is_object  # (B, O)
    masks, rivals = targets.masks, _rivals(targets)
    counted = targets.sounding
    if judged == "seen":
        counted = counted | targets.complete[:, None, None]
    elif judged == "all":
        masks = masks * targets.sounding[..., None, None]
        counted = torch.ones_like(counted)
    elif judged != "sounding":
        raise ValueError(f"judged is 'sounding', 'seen' or 'all', got {judged!r}")
    return LevelTargets(
        categories=torch.where(heard, targets.categories, NO_OBJECT),
        masks=masks.transpose(1, 2),
        counted=counted.transpose(1, 2),
        rivals=rivals.transpose(1, 2),
    )
