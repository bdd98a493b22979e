"""Frame-level sound localizer (FLSL): image and the sound of the moment -> one token per frame query.

A masked-attention decoder (Mask2Former, section 3.2.2) whose queries first take up what the frame's audio attends to.
Shape letters: B frames, Q frame queries, S cells of one level, C channels, H, W, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence

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


class AudioFusion(nn.Module):
    """The frame's audio, once per query, looks at each level; what it finds is added to the query features."""

    def __init__(self, audio_width: int, width: int, heads: int, levels: int) -> None:
        super().__init__()
        self.inward = nn.Linear(audio_width, width)
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads) for _ in range(levels))
        self.outward = nn.Linear(levels * width, width)

    def forward(self, audio: Tensor, levels: Sequence[Tensor], query_position: Tensor) -> Tensor:
        """audio (B, audio_width), levels (B, S, C) each, query_position (Q, C) -> (B, Q, C)."""
        heard = self.inward(audio)[:, None].expand(-1, len(query_position), -1)  # (B, Q, C)
        seen = [block(heard, level, level, query_position) for block, level in zip(self.blocks, levels, strict=True)]
        out: Tensor = self.outward(torch.cat(seen, dim=-1))
        return out


class FrameDecoderLayer(nn.Module):
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


class HearingDecoderLayer(FrameDecoderLayer):
    """A decoder layer that is reminded of the frame's audio before it looks."""

    def __init__(self, sizes: TransformerSizes, audio_width: int) -> None:
        super().__init__(sizes)
        self.audio_projection = nn.Linear(audio_width, sizes.width)
        self.audio_norm = nn.LayerNorm(sizes.width)

    def forward(
        self, x: Tensor, query_position: Tensor, key: Tensor, value: Tensor, allowed: Tensor, audio: Tensor
    ) -> Tensor:
        """As ``FrameDecoderLayer``, with the audio added to each query first."""
        x = self.audio_norm(x + self.audio_projection(audio)[:, None])
        return super().forward(x, query_position, key, value, allowed, audio)


class Localizer(nn.Module):
    """Decoder layers in turn on the levels of a frame, and the heads that read its queries."""

    def __init__(
        self, fusion: AudioFusion, layers: Sequence[FrameDecoderLayer], queries: int, levels: int, heads: HeadSizes
    ) -> None:
        super().__init__()
        width = heads.width
        self.fusion = fusion
        self.layers = nn.ModuleList(layers)
        self.query_feature = nn.Parameter(torch.randn(queries, width))
        self.query_position = nn.Parameter(torch.randn(queries, width))
        self.level_position = nn.Parameter(torch.randn(levels, width))
        self.norm = nn.LayerNorm(width)
        self.class_head = nn.Linear(width, heads.num_classes + 1)
        self.mask_head = MLP(width, width, heads.mask_width, 3)
        self.mask_projection = mask_projection(heads.fine_width, heads.mask_width)

    def forward(self, features: PixelFeatures, audio: Tensor) -> list[Tensor]:
        """Features of B frames and their audio (B, audio_width) -> the normalised queries (B, Q, C) before the first
        layer and after each one; the last are the frame tokens.
        """
        sizes = [(x.shape[-2], x.shape[-1]) for x in features.levels]
        values = [
            x.flatten(2).transpose(1, 2) + place for x, place in zip(features.levels, self.level_position, strict=True)
        ]
        keys = [
            value + sine_position(*size, value.shape[-1], value.device).flatten(0, 1)
            for value, size in zip(values, sizes, strict=True)
        ]
        shrunk = self._shrunk_mask_features(features.fine, sizes)
        x = self.query_feature + self.fusion(audio, values, self.query_position)
        states = [self.norm(x)]
        for number, layer in enumerate(self.layers):
            level = number % len(sizes)
            allowed = self._where_to_look(states[-1], shrunk[level])
            x = layer(x, self.query_position, keys[level], values[level], allowed, audio)
            states.append(self.norm(x))
        return states

    def mask_features(self, features: PixelFeatures) -> Tensor:
        """-> (B, mask_width, H, W); a query's mask logits are the dot products of its mask embedding with them."""
        out: Tensor = self.mask_projection(features.fine)
        return out

    @torch.no_grad()
    def _shrunk_mask_features(self, fine: Tensor, sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        # resizing is linear, so masks resized to a level are products with features resized to it: far less to compute;
        # the 1x1 convolution commutes with it too -> (B, mask_width, S) for each level
        small = [F.interpolate(fine, size=size, mode="bilinear", align_corners=False) for size in sizes]
        return [self.mask_projection(x).flatten(2) for x in small]

    @torch.no_grad()
    def _where_to_look(self, state: Tensor, mask_features: Tensor) -> Tensor:
        # (B, Q, C), (B, mask_width, S) -> (B, Q, S): inside the query's own mask, everywhere if that is empty
        allowed = self.mask_head(state) @ mask_features >= 0
        return allowed | ~allowed.any(dim=-1, keepdim=True)
