"""A batch of clips -> what a step minimises: the frame stage's losses and those of the embeddings."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor, nn

from avis_cli.models.seavis import losses
from avis_cli.models.seavis.losses import ObjectEmbeddings
from avis_cli.models.seavis.network import EmbeddedPredictions, Seavis
from avis_cli.models.seavis.recipe import SeavisRecipe
from avis_cli.models.training import Learner
from avis_cli.models.two_level.losses import frame_level
from avis_cli.nn.clip_batch import ClipBatch, ClipTargets
from avis_cli.nn.half_convolutions import HalfConvolutions
from avis_cli.nn.sound_tags import SoundTags

_SEEN = 1.0  # cells of a target mask that make an object one that is seen


@dataclass(frozen=True, eq=False)
class SeavisLoss:
    """``total`` is what is minimised, the others its unweighted parts and ``tag_recall``, for the log
    (scalars)."""

    total: Tensor
    frame_category: Tensor
    frame_mask: Tensor
    frame_dice: Tensor
    recognition: Tensor
    cosine: Tensor
    frame_contrast: Tensor
    instance_contrast: Tensor
    tagging: Tensor
    tag_recall: Tensor

    def numbers(self) -> dict[str, float]:
        """Values by name, for the log."""
        names = [field.name for field in fields(self)]
        values = torch.stack([getattr(self, name).detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))


class SeavisLearner(Learner):
    """``network`` and the losses of a recipe. ``audio_network``: log-mel patches -> embeddings, where the network has
    no audio encoder of its own (a frozen VGGish)."""

    network: Seavis
    shown: ClassVar[tuple[str, ...]] = (
        "total", "frame_category", "frame_dice", "recognition", "cosine", "frame_contrast", "instance_contrast",
        "tag_recall",
    )  # fmt: skip

    def __init__(self, network: Seavis, recipe: SeavisRecipe, audio_network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        self.sound_tags = SoundTags(network.config.audio_width, network.config.num_classes)
        # not a submodule: it neither learns nor belongs to the run's state
        self._audio_network = (audio_network.eval().requires_grad_(False),) if audio_network is not None else None

    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> SeavisLoss:
        """``half_convolutions``: bfloat16 inside convolutions. There is no pre-training, and its losses are these."""
        recipe = self.recipe
        audio = self._embed(batch.patches)
        with HalfConvolutions() if half_convolutions else nullcontext():
            features = self.network.features(batch.frames.flatten(0, 1))
        found = self.network.predict(features, audio)
        levels = frame_level(found.frames, batch.targets, recipe)
        objects = self._objects(found, batch.targets, levels[-1].assigned)
        recognition, cosine = losses.recognition(objects)
        frame, instance = losses.frame_contrast(objects), losses.instance_contrast(objects)
        tags = self.sound_tags(audio.flatten(0, 1), batch.targets)
        total = (
            torch.stack([level.total for level in levels]).sum()
            + recipe.recognition * recognition
            + recipe.cosine * cosine
            + recipe.frame_contrast * frame
            + recipe.instance_contrast * instance
            + recipe.tagging * tags.loss
        )
        last = levels[-1]
        return SeavisLoss(
            total, last.category, last.mask, last.dice, recognition, cosine, frame, instance, tags.loss, tags.recall
        )

    def _embed(self, patches: Tensor) -> Tensor:
        """Log-mel patches (B, T, 96, 64) -> embeddings (B, T, audio width)."""
        flat = patches.flatten(0, 1)
        if self._audio_network is None:
            embeddings = self.network.encode_audio(flat)
        else:
            with torch.no_grad():
                embeddings = self._audio_network[0](flat)
        return embeddings.float().unflatten(0, patches.shape[:2])

    def _objects(self, found: EmbeddedPredictions, targets: ClipTargets, assigned: Tensor) -> ObjectEmbeddings:
        """``assigned`` (B T, O): the query of each object that sounds."""
        sounding = assigned.unflatten(0, targets.sounding.shape[:2])
        none = torch.full_like(sounding, -1)
        embed = found.embed.float()
        objects = ObjectEmbeddings(embed, sounding, none, found.anchor.float())
        seen = (targets.masks.sum((-2, -1)) >= _SEEN) & targets.is_object[:, None]
        if self.recipe.silent == "truth":
            silent = losses.silent_by_masks(
                found.frames.mask_logits().detach(), targets.masks, seen & targets.complete[:, None, None],
                targets.sounding, objects.is_positive,
            )  # fmt: skip
        else:
            # where silent objects are not marked nobody knows whether they are seen: the nearest query stands for it
            absent = ~targets.sounding & targets.is_object[:, None]
            silent = losses.silent_by_likeness(embed, sounding, absent, objects.is_positive)
        return ObjectEmbeddings(embed, sounding, silent, objects.anchor)
