"""Frame level of ACVIS (arXiv 2509.22740, section 2): queries that are made of the frame's sound before they look, and
one token more that counts the instances that sound.

Shape letters: B frames, Q frame queries, N = Q + 1 tokens with the count token first, S cells of one level, C channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from avis_cli.nn.counting import MOST
from avis_cli.nn.layers import CrossAttentionBlock, HeadSizes
from avis_cli.nn.masked_decoder import DecodedFrames, MaskedDecoder, MaskedDecoderLayer
from avis_cli.nn.pixel_decoder import PixelFeatures


class QueryGenerator(nn.Module):
    """Audio-centric query generation: attention of the tokens to the frame's sound, several times.

    A frame has one key, to which every token attends fully: what a layer adds is the same for all tokens, and the rows
    of its weights for queries and keys have no effect. They are in the released checkpoints all the same.
    """

    def __init__(self, audio_width: int, width: int, heads: int, layers: int) -> None:
        super().__init__()
        self.inward = nn.Linear(audio_width, width)
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads) for _ in range(layers))

    def forward(self, tokens: Tensor, position: Tensor, audio: Tensor) -> Tensor:
        """tokens and position (N, C), audio (B, audio_width) -> (B, N, C)."""
        heard = self.inward(audio)[:, None]  # (B, 1, C)
        x = tokens.expand(len(audio), -1, -1)
        for block in self.blocks:
            x = block(x, heard, heard, position)
        return x


class CountingLocalizer(MaskedDecoder):
    """A masked decoder of generated queries and the count token, which sees all of the frame and has no mask."""

    def __init__(
        self,
        generator: QueryGenerator,
        layers: Sequence[MaskedDecoderLayer],
        queries: int,
        levels: int,
        heads: HeadSizes,
    ) -> None:
        super().__init__(layers, queries, levels, heads)
        width = heads.width
        self.generator = generator
        self.count_token = nn.Parameter(torch.randn(1, width))
        self.count_head = nn.Linear(width, MOST)
        # never called: AVISM's projection of what its fusion found, which the released checkpoints still have
        self.unused_projection = nn.Linear(levels * width, width).requires_grad_(False)

    def forward(self, features: PixelFeatures, audio: Tensor) -> DecodedFrames:
        """As ``MaskedDecoder.forward``, with the count."""
        states = self.decode(features, audio)
        return DecodedFrames([state[:, 1:] for state in states], self.count_head(states[-1][:, 0]))

    def begin(self, values: Sequence[Tensor], audio: Tensor) -> tuple[Tensor, Tensor]:
        # the count token is its own position
        tokens = torch.cat([self.count_token, self.query_feature])
        position = torch.cat([self.count_token, self.query_position])
        return self.generator(tokens, position, audio), position

    @torch.no_grad()
    def where_to_look(self, state: Tensor, mask_features: Tensor) -> Tensor:
        inside = super().where_to_look(state[:, 1:], mask_features)  # (B, Q, S)
        return torch.cat([torch.ones_like(inside[:, :1]), inside], dim=1)
