"""A batch of clips -> what a step minimises. AVISM's network and its training-only heads in one module.

Letters: B clips, T token frames, Q frame queries, N video queries, O object slots.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from avis_cli.models.avism.auxiliary import AuxiliaryLosses, CategoryMap, FineMap, SoundTags
from avis_cli.models.avism.losses import AvismLoss, gate_loss, gate_values, similarity_loss
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.recipe import AvismRecipe
from avis_cli.models.tokens import FramePredictions, TrackPredictions
from avis_cli.models.training import Learner
from avis_cli.nn.clip_batch import ClipBatch, ClipTargets, frame_targets, video_targets
from avis_cli.nn.half_convolutions import HalfConvolutions
from avis_cli.nn.pixel_decoder import PixelFeatures
from avis_cli.nn.set_losses import LevelLoss, count_objects, level_loss


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
            features = self.network.pixel_decoder(maps)
        features = features.float()
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
        frame_losses = self._frame_level(frames, targets)
        track_losses = self._video_level(tracks, targets)
        similarity = _similarity(tracks, targets, frame_losses, track_losses)
        # the gate's own loss is not worth computing where it does not count
        gate = _gate(frames, tracks, targets, track_losses) if recipe.gate else similarity.detach() * 0
        total = (
            torch.stack(
                [loss.total for loss in frame_losses + [loss for losses in track_losses for loss in losses]]
            ).sum()
            + recipe.similarity * similarity
            + recipe.gate * gate
            + auxiliary.total(recipe)
        )
        last_frame, last_track = frame_losses[-1], track_losses[-1][-1]
        return AvismLoss(
            total,
            last_frame.category, last_frame.mask, last_frame.dice,
            last_track.category, last_track.mask, last_track.dice, last_track.rival,
            similarity, gate, *auxiliary.parts(),
        )  # fmt: skip

    def _frame_level(self, frames: FramePredictions, targets: ClipTargets) -> list[LevelLoss]:
        """One loss for each prediction of the localizer."""
        wanted = frame_targets(targets)
        objects = count_objects(wanted)
        return [
            level_loss(
                frames.class_logits[layer].flatten(0, 1),
                frames.mask_logits(layer).flatten(0, 1).unsqueeze(2),
                wanted,
                self.recipe.frame,
                points=self.recipe.points,
                objects=objects,
            )
            for layer in range(len(frames.class_logits))
        ]

    def _video_level(self, tracks: TrackPredictions, targets: ClipTargets) -> list[list[LevelLoss]]:
        """For each layer of the tracker, one loss for each localizer layer whose tokens it read."""
        wanted = video_targets(targets, self.recipe.judged)
        objects = count_objects(wanted)
        layers, tokens = tracks.class_logits.shape[:2]
        return [
            [
                level_loss(
                    tracks.class_logits[layer, token],
                    tracks.mask_logits(layer, token),
                    wanted,
                    self.recipe.video,
                    points=self.recipe.points,
                    objects=objects,
                )
                for token in range(tokens)
            ]
            for layer in range(layers)
        ]


def _similarity(
    tracks: TrackPredictions, targets: ClipTargets, frame_losses: list[LevelLoss], track_losses: list[list[LevelLoss]]
) -> Tensor:
    """Mean similarity loss over the localizer layers that the tracker read."""
    B, T = targets.sounding.shape[:2]
    layers = tracks.token_similarity.shape[0]
    each = [
        similarity_loss(
            tracks.token_similarity[token],
            frame_losses[token - layers].assigned.unflatten(0, (B, T)),
            tracks.similarity[-1, token],
            track_losses[-1][token].assigned,
        )
        for token in range(layers)
    ]
    return torch.stack(each).mean()


def _gate(
    frames: FramePredictions, tracks: TrackPredictions, targets: ClipTargets, track_losses: list[list[LevelLoss]]
) -> Tensor:
    """The gate loss of the last layers of both levels."""
    assigned = track_losses[-1][-1].assigned  # (B, O)
    embed = tracks.similarity[-1, -1]
    chosen = embed.gather(1, assigned.clamp(min=0).unsqueeze(-1).expand(-1, -1, embed.shape[-1]))
    similarity = torch.einsum("boc,btqc->botq", chosen, tracks.token_similarity[-1])
    gates = gate_values(frames.class_logits[-1], similarity, targets.categories)
    return gate_loss(gates, targets.sounding.transpose(1, 2), assigned >= 0)
