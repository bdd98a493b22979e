"""Masked-attention decoder of single frames (Cheng et al. 2022, Mask2Former, section 3.2.2): maps and sound of a frame
-> one token per frame query.

Shape letters: B frames, Q tokens that are decoded, S cells of one level, C channels, M mask channels, H, W, K classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.nn.layers import (
    MLP,
    CrossAttentionBlock,
    FeedForwardBlock,
    HeadSizes,
    SelfAttentionBlock,
    TransformerSizes,
    mask_projection,
    sine_position,
)
from avis_cli.nn.pixel_decoder import PixelFeatures


class MaskedDecoderLayer(nn.Module):
    """Masked cross-attention to one level, self-attention among the queries, feed-forward."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.cross_attention = CrossAttentionBlock(sizes.width, sizes.heads)
        self.self_attention = SelfAttentionBlock(sizes.width, sizes.heads)
        self.feed_forward = FeedForwardBlock(sizes.width, sizes.hidden)

    def forward(
        self, x: Tensor, query_position: Tensor, key: Tensor, value: Tensor, allowed: Tensor, audio: Tensor
    ) -> Tensor:
        """x (B, Q, C), key and value (B, S, C), allowed (B, Q, S), audio (B, audio_width), unused here -> (B, Q, C)."""
        x = self.cross_attention(x, key, value, query_position, allowed)
        x = self.self_attention(x, query_position)
        out: Tensor = self.feed_forward(x)
        return out


class HearingDecoderLayer(MaskedDecoderLayer):
    """A decoder layer that is reminded of the frame's audio before it looks."""

    def __init__(self, sizes: TransformerSizes, audio_width: int) -> None:
        super().__init__(sizes)
        self.audio_projection = nn.Linear(audio_width, sizes.width)
        self.audio_norm = nn.LayerNorm(sizes.width)

    def forward(
        self, x: Tensor, query_position: Tensor, key: Tensor, value: Tensor, allowed: Tensor, audio: Tensor
    ) -> Tensor:
        """As ``MaskedDecoderLayer``, with the audio added to each query first."""
        x = self.audio_norm(x + self.audio_projection(audio)[:, None])
        return super().forward(x, query_position, key, value, allowed, audio)


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """``queries``: the normalised frame queries (B, Q, C) before the first layer and after each one; the last are the
    frame tokens. ``count_logits`` (B, 2): how many instances sound (`avis_cli.nn.counting`), None where the decoder
    does not count."""

    queries: list[Tensor]
    count_logits: Tensor | None = None


class MaskedDecoder(nn.Module, ABC):
    """Decoder layers in turn on the levels of a frame, and the heads that read its queries; what the queries know when
    they begin is a system's own."""

    def __init__(self, layers: Sequence[MaskedDecoderLayer], queries: int, levels: int, heads: HeadSizes) -> None:
        super().__init__()
        width = heads.width
        self.layers = nn.ModuleList(layers)
        self.query_feature = nn.Parameter(torch.randn(queries, width))
        self.query_position = nn.Parameter(torch.randn(queries, width))
        self.level_position = nn.Parameter(torch.randn(levels, width))
        self.norm = nn.LayerNorm(width)
        self.class_head = nn.Linear(width, heads.num_classes + 1)
        self.mask_head = MLP(width, width, heads.mask_width, 3)
        self.mask_projection = mask_projection(heads.fine_width, heads.mask_width)

    @abstractmethod
    def begin(self, values: Sequence[Tensor], audio: Tensor) -> tuple[Tensor, Tensor]:
        """Levels (B, S, C) each and audio (B, audio_width) -> the tokens before the first layer (B, Q, C), and their
        position (Q, C)."""

    def forward(self, features: PixelFeatures, audio: Tensor) -> DecodedFrames:
        """Features of B frames and their audio (B, audio_width) -> DecodedFrames."""
        return DecodedFrames(self.decode(features, audio))

    def decode(self, features: PixelFeatures, audio: Tensor) -> list[Tensor]:
        """As ``forward``, every token that ``begin`` gave, normalised: (B, Q, C) before the first layer and after each
        one."""
        sizes = [(x.shape[-2], x.shape[-1]) for x in features.levels]
        values = [
            x.flatten(2).transpose(1, 2) + place for x, place in zip(features.levels, self.level_position, strict=True)
        ]
        keys = [
            value + sine_position(*size, value.shape[-1], value.device).flatten(0, 1)
            for value, size in zip(values, sizes, strict=True)
        ]
        shrunk = self._shrunk_mask_features(features.fine, sizes)
        x, position = self.begin(values, audio)
        states = [self.norm(x)]
        for number, layer in enumerate(self.layers):
            level = number % len(sizes)
            allowed = self.where_to_look(states[-1], shrunk[level])
            x = layer(x, position, keys[level], values[level], allowed, audio)
            states.append(self.norm(x))
        return states

    def mask_features(self, features: PixelFeatures) -> Tensor:
        """-> (B, M, H, W); a query's mask logits are the dot products of its mask embedding with them."""
        out: Tensor = self.mask_projection(features.fine)
        return out

    @torch.no_grad()
    def _shrunk_mask_features(self, fine: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        # resizing is linear, so masks resized to a level are products with features resized to it: far less to compute;
        # the 1x1 convolution commutes with it too -> (B, M, S) for each level
        small = [F.interpolate(fine, size=size, mode="bilinear", align_corners=False) for size in sizes]
        return [self.mask_projection(x).flatten(2) for x in small]

    @torch.no_grad()
    def where_to_look(self, state: Tensor, mask_features: Tensor) -> Tensor:
        """(B, Q, C), (B, M, S) -> (B, Q, S), true inside the token's own mask, or everywhere if that is empty."""
        allowed = self.mask_head(state) @ mask_features >= 0
        everywhere: Tensor = allowed | ~allowed.any(dim=-1, keepdim=True)
        return everywhere
