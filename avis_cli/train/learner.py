"""A batch of clips -> what a step minimises. The network and the training-only heads in one module, for DDP.

Letters: B clips, T token frames, Q frame queries, N video queries, O object slots.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, fields
from typing import cast

import torch
from torch import Tensor, nn

from avis_cli.models.avism.network import Avism
from avis_cli.models.tokens import FramePredictions, TrackPredictions
from avis_cli.nn.pixel_decoder import PixelFeatures
from avis_cli.train.association import gate_loss, gate_values, similarity_loss
from avis_cli.train.auxiliary import CategoryMap, FineLoss, FineMap, MapLoss, SoundTags, TagLoss
from avis_cli.train.clips import Batch
from avis_cli.train.convolutions import HalfConvolutions
from avis_cli.train.distributed import mean_over_processes
from avis_cli.train.losses import LevelLoss, level_loss
from avis_cli.train.recipe import Recipe
from avis_cli.train.targets import ClipTargets, LevelTargets, frame_targets, video_targets


@dataclass(frozen=True, eq=False)
class StepLoss:
    """``total`` is what is minimised, the others its unweighted parts and two accuracies, for the log (scalars)."""

    total: Tensor
    frame_category: Tensor
    frame_mask: Tensor
    frame_dice: Tensor
    video_category: Tensor
    video_mask: Tensor
    video_dice: Tensor
    rival: Tensor
    similarity: Tensor
    gate: Tensor
    fine_category: Tensor
    centre: Tensor
    cue: Tensor
    map_cue: Tensor
    category_map: Tensor
    map_accuracy: Tensor
    tagging: Tensor
    tag_recall: Tensor

    def numbers(self) -> dict[str, float]:
        """Values by name, for the log."""
        names = [field.name for field in fields(self)]
        values = torch.stack([getattr(self, name).detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))


@dataclass(frozen=True, eq=False)
class Auxiliary:
    """Losses of the heads that exist in training only."""

    categories: MapLoss
    fine: FineLoss
    tags: TagLoss

    def total(self, recipe: Recipe) -> Tensor:
        """Their sum as the recipe weighs them."""
        fine = self.fine
        return (
            recipe.category_map * self.categories.loss
            + recipe.fine_map * (fine.category + fine.centre)
            + recipe.cue * (self.categories.cue + fine.cue)
            + recipe.tagging * self.tags.loss
        )

    def parts(self) -> tuple[Tensor, ...]:
        """As the last fields of `StepLoss`."""
        fine, categories, tags = self.fine, self.categories, self.tags
        cues = (fine.cue, categories.cue)
        return fine.category, fine.centre, *cues, categories.loss, categories.accuracy, tags.loss, tags.recall


class Learner(nn.Module):
    """``network`` with its auxiliary heads, and the losses of a recipe.

    ``ear``: log-mel patches -> embeddings, where the network has no audio encoder of its own (a frozen VGGish).
    """

    def __init__(self, network: Avism, recipe: Recipe, ear: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        config = network.config
        self.category_map = CategoryMap(cast("tuple[int, ...]", network.backbone.widths), config.num_classes)
        self.fine_map = FineMap(config.lateral_widths[0], config.num_classes)
        self.sound_tags = SoundTags(config.audio_width, config.num_classes)
        # not a submodule: it neither learns nor belongs to the run's state
        self._ear = (ear.eval().requires_grad_(False),) if ear is not None else None

    def forward(self, batch: Batch, pretraining: bool = False, half_convolutions: bool = False) -> StepLoss:
        """``pretraining``: pixel decoder and all before it alone, by the maps and the sound tags.
        ``half_convolutions``: bfloat16 inside convolutions."""
        frames, targets = batch.frames.flatten(0, 1), batch.targets
        with HalfConvolutions() if half_convolutions else nullcontext():
            maps = self.network.maps(frames)
            features = self.network.pixel_decoder(maps)
        features = PixelFeatures(tuple(level.float() for level in features.levels), features.fine.float())
        embeddings = self._heard(batch.patches)
        auxiliary = Auxiliary(
            self.category_map(maps, targets),
            self.fine_map(features.fine, targets),
            self.sound_tags(embeddings.flatten(0, 1), targets),
        )
        if pretraining:
            return self._pretraining(auxiliary)
        return self._whole(targets, features, embeddings, auxiliary)

    def _heard(self, patches: Tensor) -> Tensor:
        """Log-mel patches (B, T, 96, 64) -> embeddings (B, T, width)."""
        flat = patches.flatten(0, 1)
        if self._ear is None:
            embeddings = self.network.encode_audio(flat)
        else:
            with torch.no_grad():
                embeddings = self._ear[0](flat)
        return embeddings.float().unflatten(0, patches.shape[:2])

    def _pretraining(self, auxiliary: Auxiliary) -> StepLoss:
        total = auxiliary.total(self.recipe)
        return StepLoss(total, *(total.detach() * 0,) * 9, *auxiliary.parts())

    def _whole(
        self, targets: ClipTargets, features: PixelFeatures, embeddings: Tensor, auxiliary: Auxiliary
    ) -> StepLoss:
        recipe = self.recipe
        silence = torch.zeros_like(embeddings)
        to_frames = embeddings if recipe.hears and recipe.fuses else silence
        to_tracker = embeddings if recipe.hears else silence
        frames, tracks = self.network.predict(features, to_frames, to_tracker, recipe.token_layers)
        frame_losses = self._frame_level(frames, targets)
        track_losses = self._video_level(tracks, targets)
        similarity, gate = self._association(frames, tracks, targets, frame_losses, track_losses)
        total = (
            torch.stack(
                [loss.total for loss in frame_losses + [loss for losses in track_losses for loss in losses]]
            ).sum()
            + recipe.video.similarity * similarity
            + recipe.video.gate * gate
            + auxiliary.total(recipe)
        )
        last_frame, last_track = frame_losses[-1], track_losses[-1][-1]
        return StepLoss(
            total,
            last_frame.category, last_frame.mask, last_frame.dice,
            last_track.category, last_track.mask, last_track.dice, last_track.rival,
            similarity, gate, *auxiliary.parts(),
        )  # fmt: skip

    def _frame_level(self, frames: FramePredictions, targets: ClipTargets) -> list[LevelLoss]:
        """One loss for each prediction of the localizer."""
        wanted = frame_targets(targets)
        objects = _objects(wanted)
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
        objects = _objects(wanted)
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

    def _association(
        self,
        frames: FramePredictions,
        tracks: TrackPredictions,
        targets: ClipTargets,
        frame_losses: list[LevelLoss],
        track_losses: list[list[LevelLoss]],
    ) -> tuple[Tensor, Tensor]:
        """Similarity loss over the localizer layers that the tracker read, and the gate loss of the last ones."""
        B, T = targets.sounding.shape[:2]
        layers = tracks.token_similarity.shape[0]
        similar = [
            similarity_loss(
                tracks.token_similarity[token],
                frame_losses[token - layers].assigned.unflatten(0, (B, T)),
                tracks.similarity[-1, token],
                track_losses[-1][token].assigned,
            )
            for token in range(layers)
        ]
        similarity = torch.stack(similar).mean()
        if not self.recipe.video.gate:
            return similarity, similarity.detach() * 0
        assigned = track_losses[-1][-1].assigned  # (B, O)
        embed = tracks.similarity[-1, -1]
        chosen = embed.gather(1, assigned.clamp(min=0).unsqueeze(-1).expand(-1, -1, embed.shape[-1]))
        alike = torch.einsum("boc,btqc->botq", chosen, tracks.token_similarity[-1])
        gates = gate_values(frames.class_logits[-1], alike, targets.categories)
        return similarity, gate_loss(gates, targets.sounding.transpose(1, 2), assigned >= 0)


def _objects(targets: LevelTargets) -> Tensor:
    """How many objects are to be found, on average over the processes."""
    return mean_over_processes(targets.is_object.sum().float())
