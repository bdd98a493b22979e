"""Frame level of SeaVIS: visual cells that attend to the sound of all token frames so far, then a masked decoder.

CCAF, causal cross attention fusion (arXiv 2603.01431), in place of AVISM's fusion within the frame. How keys are placed
in time and what the queries begin with is our reconstruction.
Shape letters: B frames, S token frames whose sound is known, C channels, h, w cells of a level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from avis_cli.nn.layers import CrossAttentionBlock, HeadSizes
from avis_cli.nn.masked_decoder import MaskedDecoder, MaskedDecoderLayer
from avis_cli.nn.pixel_decoder import PixelFeatures

LONGEST = 10_000.0  # of the wavelengths of an age's sines, over 2 pi, in seconds


@dataclass(frozen=True, eq=False)
class SoundSoFar:
    """What each of B frames may attend to. ``heard`` (B, S, C): projected audio; ``age`` (B, S): how many seconds
    before its frame it was heard; ``allowed`` (B, S) of booleans, at least one for each frame; None for all."""

    heard: Tensor
    age: Tensor
    allowed: Tensor | None = None


class CausalFusion(nn.Module):
    """Each level's cells attend to the sound so far; residual, LayerNorm."""

    def __init__(self, audio_width: int, width: int, heads: int, levels: int) -> None:
        super().__init__()
        self.inward = nn.Linear(audio_width, width)
        self.blocks = nn.ModuleList(CrossAttentionBlock(width, heads) for _ in range(levels))

    def project(self, audio: Tensor) -> Tensor:
        """Audio embeddings (..., audio width) -> (..., C), as they are remembered."""
        out: Tensor = self.inward(audio)
        return out

    def forward(self, levels: Sequence[Tensor], sound: SoundSoFar) -> tuple[Tensor, ...]:
        """levels (B, C, h, w) each -> the same shapes."""
        key = sound.heard + age_encoding(sound.age, sound.heard.shape[-1])
        out = []
        for block, level in zip(self.blocks, levels, strict=True):
            cells = level.flatten(2).transpose(1, 2)  # (B, h w, C)
            allowed = None if sound.allowed is None else sound.allowed[:, None].expand(-1, cells.shape[1], -1)
            fused = block(cells, key, sound.heard, allowed=allowed)
            out.append(fused.transpose(1, 2).view_as(level))
        return tuple(out)


class CausalLocalizer(MaskedDecoder):
    """A masked decoder on fused levels, whose queries begin with the frame's own sound."""

    def __init__(
        self, fusion: CausalFusion, layers: Sequence[MaskedDecoderLayer], queries: int, levels: int, heads: HeadSizes
    ) -> None:
        super().__init__(layers, queries, levels, heads)
        self.fusion = fusion

    def look(self, features: PixelFeatures, audio: Tensor, sound: SoundSoFar) -> list[Tensor]:
        """Features of B frames, their own audio (B, audio width) and what each may attend to -> the normalised queries
        (B, Q, C) before the first layer and after each one."""
        return self.decode(PixelFeatures(self.fusion(features.levels, sound), features.fine), audio)

    def begin(self, values: Sequence[Tensor], audio: Tensor) -> tuple[Tensor, Tensor]:
        return self.query_feature + self.fusion.project(audio)[:, None], self.query_position


def age_encoding(age: Tensor, channels: int) -> Tensor:
    """age (...) in seconds -> (..., channels), sine and cosine of one frequency side by side (Vaswani et al. 2017)."""
    half = torch.arange(channels // 2, dtype=torch.float32, device=age.device)
    angle = age.float().unsqueeze(-1) * torch.exp(half * (-2.0 * math.log(LONGEST) / channels))
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def causal(heard: Tensor, times: Tensor, history: int) -> SoundSoFar:
    """Projected audio (B, T, C) of the T token frames of B clips, at ``times`` (T,) in seconds -> what each of the B T
    frames may attend to: its own and the ``history`` - 1 before it."""
    B, T, C = heard.shape
    place = torch.arange(T, device=heard.device)
    back = place[:, None] - place[None]  # (T, T): frame less what it attends to
    allowed = (back >= 0) & (back < history)
    age = (times[:, None] - times[None]).clamp(min=0)
    return SoundSoFar(
        heard[:, None].expand(B, T, T, C).flatten(0, 1),
        age.expand(B, T, T).flatten(0, 1),
        allowed.expand(B, T, T).flatten(0, 1),
    )
