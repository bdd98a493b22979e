"""Sounds of a batch that change places, and a bank of sounds by class (Chen et al., CVPR 2024, section 3.3).

Letters: B items, K classes, the background being class 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from avis_cli.models.cavp.losses import Permute

REPLACED = 0.5
"""Of the items whose sound no longer fits, those that get one that does."""


@dataclass(frozen=True)
class Shuffle:
    """``order`` (B,): whose sound each item gets; ``match`` (B,) bool: whether it fits the item's own classes;
    ``replaced``: item -> the class of which it gets a sound from the bank instead."""

    order: Tensor
    match: Tensor
    replaced: dict[int, int]


def shuffle(classes: Tensor, *, replace: float = REPLACED, permute: Permute = torch.randperm) -> Shuffle:
    """``classes`` (B, K) bool: which stand in each item. ``replace``: share of the sounds that no longer fit which are
    replaced, 0 for none; only of items with exactly one class besides the background."""
    order = permute(len(classes)).to(classes.device)
    match = (classes == classes[order]).all(1)
    replaced: dict[int, int] = {}
    if replace:
        missed = torch.nonzero(~match)[:, 0]
        chosen = missed[permute(len(missed)).to(missed.device)[: int(len(missed) * replace)]]
        for item in chosen.tolist():
            objects = torch.nonzero(classes[item, 1:])[:, 0] + 1
            if len(objects) == 1:
                replaced[item] = int(objects[0])
        match = match.clone()
        match[list(replaced)] = True
    return Shuffle(order, match, replaced)


class SoundBank:
    """The latest ``slots`` sounds of each class, given out oldest first; silence before there were as many."""

    def __init__(self, slots: int, sounds: Mapping[int, list[Tensor]] | None = None) -> None:
        """``sounds``: those of another bank, to go on with."""
        self._slots = slots
        self._sounds = {number: list(held) for number, held in (sounds or {}).items()}

    def sounds(self) -> dict[int, list[Tensor]]:
        """Those of each class, oldest first."""
        return {number: list(held) for number, held in self._sounds.items()}

    def has(self, number: int) -> bool:
        """Whether a sound of class ``number`` can be given out."""
        return len(self._sounds.get(number, [])) == self._slots

    def oldest(self, number: int, like: Tensor) -> Tensor:
        """Of class ``number``, of the shape of ``like``."""
        return self._sounds[number][0].to(like.device) if self.has(number) else torch.zeros_like(like)

    def push(self, classes: Tensor, sounds: Tensor) -> None:
        """Take in the sounds (B, ...) of the items with exactly one class besides the background, in order."""
        for row, sound in zip(classes, sounds, strict=True):
            objects = torch.nonzero(row[1:])[:, 0] + 1
            if len(objects) == 1:
                held = self._sounds.setdefault(int(objects[0]), [])
                held.append(sound.detach().clone())
                del held[: -self._slots]
