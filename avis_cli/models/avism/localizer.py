"""Frame-level sound localizer (FLSL): image and the sound of the moment -> one token per frame query.

A masked-attention decoder whose queries first take up what the frame's audio attends to.
Shape letters: B frames, Q frame queries, S cells of one level, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avis_cli.nn.layers import CrossAttentionBlock, HeadSizes
from avis_cli.nn.masked_decoder import MaskedDecoder, MaskedDecoderLayer


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


class Localizer(MaskedDecoder):
    """A masked decoder that begins with what the audio finds in the levels."""

    def __init__(
        self, fusion: AudioFusion, layers: Sequence[MaskedDecoderLayer], queries: int, levels: int, heads: HeadSizes
    ) -> None:
        super().__init__(layers, queries, levels, heads)
        self.fusion = fusion

    def begin(self, values: Sequence[Tensor], audio: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_feature + self.fusion(audio, values, self.query_position), self.query_position
