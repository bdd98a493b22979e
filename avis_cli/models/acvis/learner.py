"""A batch of clips -> what a step minimises: AVISM's losses of both levels, and how many instances sound."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor

from avis_cli.models.acvis.network import Acvis
from avis_cli.models.acvis.recipe import AcvisRecipe
from avis_cli.models.training import Learner
from avis_cli.models.two_level.losses import both_levels
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.nn.counting import count_probabilities, counting_loss
from avis_cli.nn.half_convolutions import HalfConvolutions


@dataclass(frozen=True, eq=False)
class AcvisLoss:
    """``total`` is what is minimised, the others its unweighted parts and ``count_accuracy``, the share of the frames
    whose likeliest count is right, for the log (scalars)."""

    total: Tensor
    frame_category: Tensor
    frame_mask: Tensor
    frame_dice: Tensor
    video_category: Tensor
    video_mask: Tensor
    video_dice: Tensor
    similarity: Tensor
    count: Tensor
    count_accuracy: Tensor

    def numbers(self) -> dict[str, float]:
        """Values by name, for the log."""
        names = [field.name for field in fields(self)]
        values = torch.stack([getattr(self, name).detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))


class AcvisLearner(Learner):
    """``network`` and the losses of a recipe."""

    network: Acvis
    shown: ClassVar[tuple[str, ...]] = (
        "total", "frame_category", "video_category", "video_dice", "similarity", "count", "count_accuracy",
    )  # fmt: skip

    def __init__(self, network: Acvis, recipe: AcvisRecipe) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe

    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> AcvisLoss:
        """``half_convolutions``: bfloat16 inside convolutions. There is no pre-training, and its losses are these."""
        network, recipe, targets = self.network, self.recipe, batch.targets
        with HalfConvolutions() if half_convolutions else nullcontext():
            features = network.features(batch.frames.flatten(0, 1))
        audio = network.embed_log_mel(batch.patches.flatten(0, 1)).unflatten(0, batch.patches.shape[:2])
        frames, tracks = network.predict(features, audio, audio, recipe.token_layers)
        assert frames.count_logits is not None
        losses = both_levels(frames, tracks, targets, recipe)
        count = counting_loss(frames.count_logits, targets.counts)
        frame, track = losses.frames[-1], losses.tracks[-1][-1]
        return AcvisLoss(
            losses.total(recipe.similarity) + recipe.count * count,
            frame.category, frame.mask, frame.dice, track.category, track.mask, track.dice,
            losses.similarity, count, _accuracy(frames.count_logits.detach(), targets.counts),
        )  # fmt: skip


def _accuracy(logits: Tensor, counts: Tensor) -> Tensor:
    told = count_probabilities(logits.float())
    return (told.argmax(-1) == counts.clamp(max=told.shape[-1] - 1)).float().mean()
