"""Video-level sounding tracker (VLST): the frame tokens of a clip -> what its objects are.

Tokens of a window of frames exchange what they know (Heo et al. 2022, VITA), the audio of each frame gathers from the
same windows and is added to the tokens, and learned video queries read all of them.
Shape letters: B clips, T frames, Q frame queries, N video queries, C channels, W window, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby, pairwise

import torch
from torch import Tensor, nn

from avis_cli.nn.layers import (
    MLP,
    CrossAttentionBlock,
    FeedForwardBlock,
    HeadSizes,
    SelfAttentionBlock,
    TransformerSizes,
    mask_projection,
)

WINDOWS_PER_BATCH = 16  # of one clip: what a layer needs on the way is bounded, however long the clip


@dataclass(frozen=True)
class TrackerDepths:
    """How many layers of each kind."""

    token: int
    audio: int
    query: int


class TokenLayer(nn.Module):
    """Self-attention among the tokens of a window, then feed-forward."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.self_attention = SelfAttentionBlock(sizes.width, sizes.heads)
        self.feed_forward = FeedForwardBlock(sizes.width, sizes.hidden)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, N, C) -> (B, N, C)."""
        out: Tensor = self.feed_forward(self.self_attention(x))
        return out


class AudioLayer(nn.Module):
    """The audio of a window's frames looks at the window's tokens, then feed-forward."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.cross_attention = CrossAttentionBlock(sizes.width, sizes.heads)
        self.feed_forward = FeedForwardBlock(sizes.width, sizes.hidden)

    def forward(self, audio: Tensor, tokens: Tensor) -> Tensor:
        """audio (B, W, C), tokens (B, W Q, C) -> (B, W, C)."""
        out: Tensor = self.feed_forward(self.cross_attention(audio, tokens, tokens))
        return out


class QueryLayer(nn.Module):
    """Video queries read all tokens, then each other, then feed-forward."""

    def __init__(self, sizes: TransformerSizes) -> None:
        super().__init__()
        self.cross_attention = CrossAttentionBlock(sizes.width, sizes.heads)
        self.self_attention = SelfAttentionBlock(sizes.width, sizes.heads)
        self.feed_forward = FeedForwardBlock(sizes.width, sizes.hidden)

    def forward(self, x: Tensor, query_position: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """x (B, N, C), query_position (N, C), key and value (B, T Q, C) -> (B, N, C)."""
        x = self.cross_attention(x, key, value, query_position)
        x = self.self_attention(x, query_position)
        out: Tensor = self.feed_forward(x)
        return out


class Tracker(nn.Module):
    """Token layers, audio layers and query layers, and the heads that read tokens and queries."""

    def __init__(
        self,
        depths: TrackerDepths,
        sizes: TransformerSizes,
        heads: HeadSizes,
        window: int,
        frame_queries: int,
        queries: int,
        audio_width: int,
    ) -> None:
        super().__init__()
        width = sizes.width
        self.window = window
        self.token_projection = nn.Linear(width, width)
        self.audio_projection = nn.Linear(audio_width, width)
        self.token_layers = nn.ModuleList(TokenLayer(sizes) for _ in range(depths.token))
        self.audio_layers = nn.ModuleList(AudioLayer(sizes) for _ in range(depths.audio))
        self.query_layers = nn.ModuleList(QueryLayer(sizes) for _ in range(depths.query))
        self.token_position = nn.Parameter(torch.randn(frame_queries, width))
        self.query_feature = nn.Parameter(torch.randn(queries, width))
        self.query_position = nn.Parameter(torch.randn(queries, width))
        self.norm = nn.LayerNorm(width)
        self.class_head = nn.Linear(width, heads.num_classes + 1)
        self.mask_head = MLP(width, width, heads.mask_width, 3)
        self.token_similarity_head = nn.Linear(width, width)
        self.query_similarity_head = nn.Linear(width, width)
        self.mask_projection = mask_projection(heads.fine_width, heads.mask_width)

    def forward(self, tokens: Tensor, audio: Tensor, shifted: bool = True) -> tuple[list[Tensor], Tensor, Tensor]:
        """tokens (B, T, Q, C), audio (B, T, audio_width) -> the normalised queries (B, N, C) after each query layer,
        the similarity embeddings of the tokens (B, T, Q, C), and what the sound of each frame adds to its tokens
        (B, T, C) after these and before the queries read them.

        ``shifted``: every other token layer works on windows shifted by half, as the released networks do after
        training but not during it. The audio layers always alternate.
        """
        x = self.token_projection(tokens)
        for number, layer in enumerate(self.token_layers):
            x = _in_windows(layer, self.window, shifted and number % 2 == 1, x)
        # a frame's audio is the same for all its queries, and so is what it finds: computed once, not Q times
        heard = self.audio_projection(audio)[:, :, None]  # (B, T, 1, C)
        for number, layer in enumerate(self.audio_layers):
            heard = _in_windows(layer, self.window, number % 2 == 1, heard, x)
        value = x + heard
        key = (value + self.token_position).flatten(1, 2)  # (B, T Q, C)
        value = value.flatten(1, 2)
        query = self.query_feature.expand(len(tokens), -1, -1)
        states = []
        for layer in self.query_layers:
            query = layer(query, self.query_position, key, value)
            states.append(self.norm(query))
        return states, self.token_similarity_head(x), heard[:, :, 0]

    def mask_features(self, fine: Tensor) -> Tensor:
        """Clip feature (B, Cf, H, W) -> what mask embeddings are multiplied with, (B, mask_width, H, W)."""
        out: Tensor = self.mask_projection(fine)
        return out


def window_bounds(frames: int, window: int, shifted: bool) -> list[int]:
    """Where windows of a clip begin, and its end.

    Shifted windows begin with a part of one: the released networks roll the clip by half a window, pad it, and mask
    what the padding and the rolled end may see; what is left to see is exactly these spans.
    """
    first = (window // 2 if shifted else 0) or window
    return [0, *range(first, frames, window), frames]


def _in_windows(layer: Callable[..., Tensor], window: int, shifted: bool, *clips: Tensor) -> Tensor:
    """``layer`` on each window of ``clips`` (B, T, any, C), that are windowed alike -> the first one's new values."""
    bounds = window_bounds(clips[0].shape[1], window, shifted)
    spans = pairwise(bounds)
    done = []
    for _, group in groupby(spans, key=lambda span: span[1] - span[0]):
        alike = list(group)  # neighbours of one length run as one batch
        for first in range(0, len(alike), WINDOWS_PER_BATCH):
            batch = alike[first : first + WINDOWS_PER_BATCH]
            done.append(_run(layer, batch[0][0], batch[-1][1], len(batch), clips))
    return torch.cat(done, dim=1)


def _run(layer: Callable[..., Tensor], start: int, end: int, windows: int, clips: tuple[Tensor, ...]) -> Tensor:
    # (B, T, Q, C) -> (B windows, W Q, C) and back
    parts = [clip[:, start:end].unflatten(1, (windows, -1)).flatten(0, 1).flatten(1, 2) for clip in clips]
    frames, each = end - start, clips[0].shape[2]
    return layer(*parts).reshape(-1, frames, each, clips[0].shape[-1])
