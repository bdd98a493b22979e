"""A batch of clips -> what a step minimises. AVISM's network and its training-only heads in one module.

Letters: B clips, T token frames, Q frame queries, N video queries, O object slots.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from avis_cli.models.avism.auxiliary import AuxiliaryLosses, CategoryMap, FineMap
from avis_cli.models.avism.losses import AvismLoss, gate_loss, gate_values
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.recipe import AvismRecipe
from avis_cli.models.tokens import FramePredictions, TrackPredictions
from avis_cli.models.training import Learner
from avis_cli.models.two_level.losses import both_levels
from avis_cli.nn.clip_batch import ClipBatch, ClipTargets
from avis_cli.nn.half_convolutions import HalfConvolutions
from avis_cli.nn.pixel_decoder import PixelFeatures
from avis_cli.nn.sound_tags import SoundTags


class AvismLearner(Learner):
    """``network`` with its auxiliary heads, and the losses of a recipe.

    ``audio_network``: log-mel patches -> embeddings, where the network has no audio encoder of its own (a frozen
    VGGish).
    """

    network: Avism
    shown: ClassVar[tuple[str, ...]] = (
        "total", "frame_category", "video_category", "video_dice", "similarity", "gate", "centre", "cue", "map_cue",
        "map_accuracy", "tag_recall",
    )  # fmt: skip

    def __init__(self, network: Avism, recipe: AvismRecipe, audio_network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        config = network.config
        self.category_map = CategoryMap(cast("tuple[int, ...]", network.backbone.widths), config.num_classes)
        self.fine_map = FineMap(config.lateral_widths[0], config.num_classes)
        self.sound_tags = SoundTags(config.audio_width, config.num_classes)
        # not a submodule: it neither learns nor belongs to the run's state
        self._audio_network = (audio_network.eval().requires_grad_(False),) if audio_network is not None else None

    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> AvismLoss:
        """``pretraining``: pixel decoder and all before it alone, by the maps and the sound tags.
        ``half_convolutions``: bfloat16 inside convolutions."""
        frames, targets = batch.frames.flatten(0, 1), batch.targets
        with HalfConvolutions() if half_convolutions else nullcontext():
            maps = self.network.maps(frames)
            features = self.network.pixel_decoder(maps).float()
        embeddings = self._embed(batch.patches)
        auxiliary = AuxiliaryLosses(
            self.category_map(maps, targets),
            self.fine_map(features.fine, targets),
            self.sound_tags(embeddings.flatten(0, 1), targets),
        )
        if pretraining:
            return AvismLoss.of_pretraining(auxiliary.total(self.recipe), auxiliary)
        return self._whole(targets, features, embeddings, auxiliary)

    def _embed(self, patches: Tensor) -> Tensor:
        """Log-mel patches (B, T, 96, 64) -> embeddings (B, T, width)."""
        flat = patches.flatten(0, 1)
        if self._audio_network is None:
            embeddings = self.network.encode_audio(flat)
        else:
            with torch.no_grad():
                embeddings = self._audio_network[0](flat)
        return embeddings.float().unflatten(0, patches.shape[:2])

    def _whole(
        self, targets: ClipTargets, features: PixelFeatures, embeddings: Tensor, auxiliary: AuxiliaryLosses
    ) -> AvismLoss:
        recipe = self.recipe
        silence = torch.zeros_like(embeddings)
        to_frames = embeddings if recipe.hears and recipe.fuses else silence
        to_tracker = embeddings if recipe.hears else silence
        frames, tracks = self.network.predict(features, to_frames, to_tracker, recipe.token_layers)
        losses = both_levels(frames, tracks, targets, recipe)
        last_frame, last_track, similarity = losses.frames[-1], losses.tracks[-1][-1], losses.similarity
        # the gate's own loss is not worth computing where it does not count
        gate = _gate(frames, tracks, targets, last_track.assigned) if recipe.gate else similarity.detach() * 0
        total = losses.total(recipe.similarity) + recipe.gate * gate + auxiliary.total(recipe)
        return AvismLoss(
            total,
            last_frame.category, last_frame.mask, last_frame.dice,
            last_track.category, last_track.mask, last_track.dice, last_track.rival,
            similarity, gate, *auxiliary.parts(),
        )  # fmt: skip


def _gate(frames: FramePredictions, tracks: TrackPredictions, targets: ClipTargets, assigned: Tensor) -> Tensor:
    """The gate loss of the last layers of both levels; ``assigned`` (B, O): the last layer's query of each object."""
    embed = tracks.similarity[-1, -1]
    chosen = embed.gather(1, assigned.clamp(min=0).unsqueeze(-1).expand(-1, -1, embed.shape[-1]))
    similarity = torch.einsum("boc,btqc->botq", chosen, tracks.token_similarity[-1])
    gates = gate_values(frames.class_logits[-1], similarity, targets.categories)
    return gate_loss(gates, targets.sounding.transpose(1, 2), assigned >= 0)
