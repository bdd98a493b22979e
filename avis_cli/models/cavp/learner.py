"""A batch of clips -> what a step minimises: each frame with its own sound, and with another's."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from avis_cli.models.cavp.losses import Permute, classes_of, contrastive_loss, pixel_loss, relabelled
from avis_cli.models.cavp.network import Cavp
from avis_cli.models.cavp.recipe import CavpRecipe
from avis_cli.models.cavp.shuffle import Shuffle, SoundBank, shuffle
from avis_cli.models.training import Learner
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.nn.half_convolutions import HalfConvolutions
from avis_cli.nn.map_batch import IGNORED, MapBatch


@dataclass(frozen=True, eq=False)
class CavpLoss:
    """``total`` is what is minimised, ``maps`` and ``contrast`` its unweighted parts (scalars)."""

    total: Tensor
    maps: Tensor
    contrast: Tensor

    def numbers(self) -> dict[str, float]:
        """Values by name, for the log."""
        parts = {"total": self.total, "maps": self.maps, "contrast": self.contrast}
        return {name: float(value.detach()) for name, value in parts.items()}


class CavpLearner(Learner):
    """``network`` and the losses of a recipe, with the bank of the sounds of earlier batches."""

    network: Cavp
    shown: ClassVar[tuple[str, ...]] = ("total", "maps", "contrast")

    def __init__(self, network: Cavp, recipe: CavpRecipe) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.bank = SoundBank(recipe.bank)

    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> CavpLoss:
        """``half_convolutions``: bfloat16 inside convolutions. There is no pre-training, and its losses are these."""
        maps = MapBatch.of(batch)
        if maps.samples is None:
            raise ValueError(f"{self.network.config.name} hears samples, which this batch does not have")
        known = maps.labelled.flatten()
        frames, samples = maps.frames.flatten(0, 1)[known], maps.samples.flatten(0, 1)[known]
        with HalfConvolutions() if half_convolutions else nullcontext():
            return self.loss(frames, samples, self._labels(maps)[known])

    def _labels(self, maps: MapBatch) -> Tensor:
        """(F, H, W), of a network of one class only whether anything sounds."""
        labels = maps.labels.flatten(0, 1)
        if self.network.config.outputs > 2:
            return labels
        return torch.where(labels == IGNORED, IGNORED, (labels > 0).long())

    def loss(self, frames: Tensor, samples: Tensor, labels: Tensor, permute: Permute = torch.randperm) -> CavpLoss:
        """Frames uint8 (F, 3, H, W), their samples (F, C, N) and labels (F, H, W). Of no frame nothing is learnt, of
        one no contrast."""
        recipe, count = self.recipe, len(frames)
        if not count:
            nothing = torch.stack([parameter.sum() for parameter in self.parameters()]).sum() * 0
            return CavpLoss(nothing, nothing, nothing)
        seen = self.network.see(frames)
        size = (frames.shape[-2], frames.shape[-1])
        if not recipe.contrast or count < 2:
            joint = self.network.join(seen, self.network.hear(samples), self.network.directions(samples))
            drawn = self.network.classify(joint, size)
            maps = pixel_loss(drawn.float(), labels)
            return CavpLoss(maps, maps, maps.new_zeros(()))
        other, shuffled_labels = self._shuffled(samples, labels, permute)
        sounds = torch.cat([samples, other])
        joint = self.network.join(torch.cat([seen, seen]), self.network.hear(sounds), self.network.directions(sounds))
        # the shuffled half goes through the classifier too, whose norms see both
        drawn = self.network.classify(joint, size)[:count]
        maps = pixel_loss(drawn.float(), labels)
        own, changed = joint.float()[:count], joint.float()[count:]
        contrast = contrastive_loss(
            own, changed, labels, shuffled_labels, views=recipe.views, temperature=recipe.temperature, permute=permute
        )
        return CavpLoss(maps + recipe.contrast * contrast, maps, contrast)

    def _shuffled(self, samples: Tensor, labels: Tensor, permute: Permute) -> tuple[Tensor, Tensor]:
        """The sounds of other frames, and what sounds then."""
        classes = classes_of(labels, self.network.config.outputs)
        how = shuffle(classes, replace=self.recipe.replaced, permute=permute)
        sounds, match = samples[how.order].clone(), self._fitting(how)
        for item, number in how.replaced.items():
            if self._gives(number):
                sounds[item] = self.bank.oldest(number, samples[item])
        self.bank.push(classes, samples)
        if not self.recipe.class_fits:
            own = how.order == torch.arange(len(labels), device=how.order.device)
            return sounds, relabelled(labels, match, known=~match | own)
        return sounds, relabelled(labels, match)

    def _fitting(self, how: Shuffle) -> Tensor:
        """Which sounds fit: a replacement that the bank does not have yet is none."""
        match = how.match.clone()
        for item, number in how.replaced.items():
            match[item] = self._gives(number)
        return match

    def _gives(self, number: int) -> bool:
        """Whether the bank replaces sounds of class ``number`` yet."""
        return self.recipe.bank_silence or self.bank.has(number)

    def get_extra_state(self) -> dict[int, list[Tensor]]:
        """The bank, without which a resumed run would be another."""
        return self.bank.sounds()

    def set_extra_state(self, state: dict[int, list[Tensor]]) -> None:
        """Inverse of ``get_extra_state``."""
        self.bank = SoundBank(self.recipe.bank, state)
