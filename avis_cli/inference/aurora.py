"""AURORA: the masks of the video level checked, refined and scored anew by the frame level's, without any training.

Computed as the public code of "Training-Free Audio-Visual Routing for Mask Refinement and Reliability Assessment"
(github.com/atti0127/AURORA) does, from what a network of two levels knows anyway. Each candidate is routed in each
token frame to the frame query that its similarity embedding fits best. Where both masks of a frame have a cell in
common the frame is supported; elsewhere it is blank. In supported frames the mask logits of both are averaged, unless
the routing says that they are rather not the same object. How far both masks agree over the clip, as a Dice
coefficient, lowers the score. All of it in float32 and at the size of the mask maps, padding included, before anything
is resized.

A mask frame between two token frames takes the route of the token frame it belongs to, the last one not after it, with
the mask of that frame query in the mask frame. The Dice coefficient is over the mask frames that are drawn.

Shape letters: K video queries, T token frames, Q frame queries, C channels, M mask channels, h, w a mask map.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from avis_cli.errors import UsageError
from avis_cli.inference.decode_masks import mask_logits
from avis_cli.inference.protocols import ClipModel
from avis_cli.models.tokens import FrameTokens, TrackQueries

BLANK = -20.0
"""Mask logit of every cell of a frame without support."""
NO_REFINEMENT = "none"


def require_refinement(model: ClipModel, refine: str) -> None:
    """Raise UsageError where the networks of this system have not what ``refine`` needs."""
    if refine != NO_REFINEMENT and refine not in model.config.refinements:
        raise UsageError(
            f"{model.config.name} cannot refine masks by {refine}, which needs masks of a frame level",
            hint="leave out --refine, or take a model that has them, as avism-r50-coco",
        )


@dataclass(frozen=True)
class Routes:
    """Which frame query stands for each video query in each token frame: ``frame_queries`` (K, T), and ``similarity``
    (K, T), the logit of both being the same object."""

    frame_queries: Tensor
    similarity: Tensor

    @property
    def positive(self) -> Tensor:
        """Whether they are rather the same than not (K, T)."""
        return self.similarity > 0


def route(tracks: TrackQueries, queries: Tensor) -> Routes:
    """The frame query that fits each of the video queries ``queries`` (K,) best; several may take the same one."""
    embed = tracks.similarity[queries].float()
    logits = torch.einsum("tqc,kc->ktq", tracks.token_similarity.float(), embed)
    if tracks.audio_similarity is not None:
        # the same for all tokens of a frame: it decides about the sign alone
        logits = logits + (embed @ tracks.audio_similarity.float().T)[..., None]
    best = logits.max(-1)
    return Routes(best.indices, best.values)


@dataclass(frozen=True)
class Refined:
    """Masks of one frame, or of several, after the check: ``logits`` (..., h, w); ``supported`` (...,); in supported
    frames, else 0: ``common``, cells that are in both masks, ``video`` and ``frame``, cells in either one (...,)."""

    logits: Tensor
    supported: Tensor
    common: Tensor
    video: Tensor
    frame: Tensor


def refine(video: Tensor, frame: Tensor, positive: Tensor) -> Refined:
    """Mask logits of the video level and of the frame queries that stand for it, both (..., h, w), and whether these
    are rather the same object (...,) -> the refined ones."""
    drawn, seen = video > 0, frame > 0
    common = (drawn & seen).sum((-2, -1))
    supported = common > 0
    logits = torch.where(positive[..., None, None], (video + frame) / 2, video)
    logits = torch.where(supported[..., None, None], logits, BLANK)
    return Refined(
        logits, supported, common, drawn.sum((-2, -1)) * supported, seen.sum((-2, -1)) * supported
    )  # fmt: skip


def dice(common: Tensor, video: Tensor, frame: Tensor) -> Tensor:
    """Sums of ``Refined``'s cells over the frames of a clip -> how far the masks of both levels agree, 0..1."""
    return 2 * common / (video + frame + 1e-6)


class Refiner:
    """What a window's candidates need of its frame level; its tokens are not kept."""

    def __init__(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, times: Sequence[Fraction]) -> None:
        """``tokens`` with mask embeddings, as ``localize`` gives them with ``frame_masks``; ``queries`` (K,): the video
        queries that may be drawn; ``times``: seconds of the token frames."""
        assert tokens.mask_embed is not None
        self.routes = route(tracks, queries)
        self._positive = self.routes.positive
        frames = torch.arange(len(tokens), device=tokens.mask_embed.device)
        self._frame_embed = tokens.mask_embed[frames, self.routes.frame_queries]  # (K, T, M)
        self._times = times

    def refine(self, embed: Tensor, features: Tensor, rows: Tensor, time: Fraction) -> Refined:
        """Masks of the frame at ``time`` seconds. ``embed`` (R, M): the video level's, of its queries ``rows`` (R,) of
        K; ``features`` (2 M, h, w): the mask features of both levels, the video level's first."""
        token = max(0, bisect_right(self._times, time) - 1)
        of_video, of_frame = features.chunk(2)
        video = mask_logits(embed, of_video)
        frame = mask_logits(self._frame_embed[rows, token], of_frame)
        return refine(video, frame, self._positive[rows, token])
