"""What both levels are trained on: the objects of each frame, those of the clip, and which frame token belongs to which
track.

Letters: B clips, T token frames, Q frame queries, N video queries, O object slots, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from avis_cli.models.tokens import FramePredictions, TrackPredictions
from avis_cli.models.two_level.recipe import FrameStageRecipe, TwoLevelRecipe
from avis_cli.nn.clip_batch import ClipTargets, frame_targets, video_targets
from avis_cli.nn.set_losses import LevelLoss, count_objects, level_loss


@dataclass(frozen=True, eq=False)
class BothLevels:
    """``frames``: one loss for each prediction of the localizer; ``tracks``: for each layer of the tracker one for each
    localizer layer whose tokens it read; ``similarity`` (scalar): of the matched tokens against the matched queries."""

    frames: list[LevelLoss]
    tracks: list[list[LevelLoss]]
    similarity: Tensor

    def total(self, similarity: float) -> Tensor:
        """Their sum, with ``similarity`` as its weight."""
        each = [*self.frames, *(loss for losses in self.tracks for loss in losses)]
        return torch.stack([loss.total for loss in each]).sum() + similarity * self.similarity


def both_levels(
    frames: FramePredictions, tracks: TrackPredictions, targets: ClipTargets, recipe: TwoLevelRecipe
) -> BothLevels:
    """The losses of all predictions of both levels."""
    frame_losses = frame_level(frames, targets, recipe)
    track_losses = _video_level(tracks, targets, recipe)
    return BothLevels(frame_losses, track_losses, _similarity(tracks, targets, frame_losses, track_losses))


def frame_level(frames: FramePredictions, targets: ClipTargets, recipe: FrameStageRecipe) -> list[LevelLoss]:
    """The losses of every prediction of the localizer: the objects that sound in each frame."""
    wanted = frame_targets(targets)
    objects = count_objects(wanted)
    return [
        level_loss(
            frames.class_logits[layer].flatten(0, 1),
            frames.mask_logits(layer).flatten(0, 1).unsqueeze(2),
            wanted,
            recipe.frame,
            points=recipe.points,
            objects=objects,
        )
        for layer in range(len(frames.class_logits))
    ]


def _video_level(tracks: TrackPredictions, targets: ClipTargets, recipe: TwoLevelRecipe) -> list[list[LevelLoss]]:
    wanted = video_targets(targets, recipe.judged)
    objects = count_objects(wanted)
    layers, tokens = tracks.class_logits.shape[:2]
    return [
        [
            level_loss(
                tracks.class_logits[layer, token],
                tracks.mask_logits(layer, token),
                wanted,
                recipe.video,
                points=recipe.points,
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


def similarity_loss(frame_embed: Tensor, frame_assigned: Tensor, video_embed: Tensor, video_assigned: Tensor) -> Tensor:
    """Binary cross-entropy of dot products between matched frame tokens and matched video queries, 1 for one object.

    ``frame_embed`` (B, T, Q, C), ``frame_assigned`` (B, T, O), ``video_embed`` (B, N, C), ``video_assigned`` (B, O);
    the assignments hold queries, negative where there is none. Positive and negative pairs weigh the same together, so
    that clips with many objects do not drown the positives. Source: AVISM, arXiv 2310.18709, section 4 (after VITA,
    Heo et al., NeurIPS 2022, section 3.3).
    """
    B, T, slots = frame_assigned.shape
    channels = frame_embed.shape[-1]
    tokens = frame_embed.gather(2, frame_assigned.clamp(min=0).unsqueeze(-1).expand(B, T, slots, channels))
    tracks = video_embed.gather(1, video_assigned.clamp(min=0).unsqueeze(-1).expand(B, slots, channels))
    logits = torch.einsum("btoc,bpc->btop", tokens.float(), tracks.float())
    same = torch.eye(slots, device=logits.device).expand_as(logits)
    known = (frame_assigned >= 0).unsqueeze(-1) & (video_assigned >= 0)[:, None, None]
    each = F.binary_cross_entropy_with_logits(logits, same, reduction="none")
    positive, negative = known * same, known * (1.0 - same)
    return 0.5 * sum(
        ((each * part).sum() / part.sum().clamp(min=1.0) for part in (positive, negative)), logits.sum() * 0
    )
