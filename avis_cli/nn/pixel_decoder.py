"""Backbone maps -> three scales of encoded cells and one fine map (Cheng et al. 2022, Mask2Former, section 3.2.1).

Shape letters: B frames, S cells of the three levels, C channels, H, W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.nn.deformable_attention import DeformableAttention
from avis_cli.nn.layers import FeedForwardBlock, TransformerSizes, sine_position


@dataclass(frozen=True)
class PixelFeatures:
    """What the decoder makes of frames.

    ``levels``: maps (B, C, h, w), coarsest first. ``fine``: the clip feature (B, Cf, H, W), at the finest map's stride.
    """

    levels: tuple[Tensor, ...]
    fine: Tensor

    def float(self) -> PixelFeatures:
        """The same in float32."""
        return PixelFeatures(tuple(level.float() for level in self.levels), self.fine.float())


class EncoderLayer(nn.Module):
    """Deformable self-attention over all levels, then feed-forward."""

    def __init__(self, sizes: TransformerSizes, levels: int, points: int) -> None:
        super().__init__()
        self.attention = DeformableAttention(sizes.width, sizes.heads, levels, points)
        self.norm = nn.LayerNorm(sizes.width)
        self.feed_forward = FeedForwardBlock(sizes.width, sizes.hidden)

    def forward(self, x: Tensor, position: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """x (B, S, C), position (S, C) -> (B, S, C)."""
        x = self.norm(x + self.attention(x + position, x, sizes))
        out: Tensor = self.feed_forward(x)
        return out


class NormedConv(nn.Module):
    """Convolution without bias, then group norm, which answers in float32 under autocast on every device."""

    def __init__(self, in_width: int, out_width: int, size: int, norm_groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_width, out_width, size, padding=size // 2, bias=False)
        self.norm = nn.GroupNorm(norm_groups, out_width)
        nn.init.kaiming_uniform_(self.conv.weight, a=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x).float())
        return out


class Lateral(nn.Module):
    """A backbone map plus the coarser decoded map, upsampled to it; then a 3x3 convolution."""

    def __init__(self, in_width: int, out_width: int, norm_groups: int) -> None:
        super().__init__()
        self.inward = NormedConv(in_width, out_width, 1, norm_groups)
        self.outward = NormedConv(out_width, out_width, 3, norm_groups)

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        """x (B, in, H, W), coarser (B, out, h, w) -> (B, out, H, W)."""
        up = F.interpolate(coarser, size=x.shape[-2:], mode="bilinear", align_corners=False)
        return F.relu_(self.outward(self.inward(x) + up))


class NarrowingLateral(Lateral):
    """Lateral to a map narrower than the coarser one, which is projected before it is upsampled."""

    def __init__(self, in_width: int, coarser_width: int, out_width: int, norm_groups: int) -> None:
        super().__init__(in_width, out_width, norm_groups)
        self.narrow = nn.Conv2d(coarser_width, out_width, 1)

    def forward(self, x: Tensor, coarser: Tensor) -> Tensor:
        """x (B, in, H, W), coarser (B, coarser, h, w) -> (B, out, H, W)."""
        return super().forward(x, self.narrow(coarser))


def _projection(in_width: int, width: int, norm_groups: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_width, width, 1)
    nn.init.xavier_uniform_(convolution.weight)
    return nn.Sequential(convolution, nn.GroupNorm(norm_groups, width))


class PixelDecoder(nn.Module):
    """The three coarsest backbone maps through the encoder, the finer ones as laterals on top of its finest level."""

    LEVELS = 3

    def __init__(
        self,
        in_widths: Sequence[int],
        lateral_widths: Sequence[int],
        sizes: TransformerSizes,
        points: int,
        layers: int,
        norm_groups: int,
    ) -> None:
        """``in_widths``: the backbone's maps; ``lateral_widths``: what becomes of the finer ones; finest first.
        ``sizes``, ``layers``: of the encoder; ``points``: that a head reads of each level.

        Without encoder ``layers`` the three coarsest maps are a feature pyramid (Lin et al., CVPR 2017), each one added
        to the next finer.
        """
        super().__init__()
        width = sizes.width
        coarsest, *finer = reversed(in_widths[-self.LEVELS :])
        self.projections = nn.ModuleList([_projection(coarsest, width, norm_groups)])
        if layers:
            self.projections.extend(_projection(in_width, width, norm_groups) for in_width in finer)
            self.level_position = nn.Parameter(torch.randn(self.LEVELS, width))
        self.pyramid = nn.ModuleList() if layers else nn.ModuleList(Lateral(w, width, norm_groups) for w in finer)
        self.layers = nn.ModuleList(EncoderLayer(sizes, self.LEVELS, points) for _ in range(layers))
        self.laterals = nn.ModuleList()
        coarser = width
        for in_width, out_width in zip(
            reversed(in_widths[: -self.LEVELS]), reversed(tuple(lateral_widths)), strict=True
        ):
            groups = min(norm_groups, out_width // 4)
            self.laterals.append(
                Lateral(in_width, out_width, groups)
                if out_width == coarser
                else NarrowingLateral(in_width, coarser, out_width, groups)
            )
            coarser = out_width

    def forward(self, maps: Sequence[Tensor]) -> PixelFeatures:
        """maps: the backbone's, finest first, (B, in_widths[i], H, W) -> PixelFeatures."""
        coarse = list(reversed(maps[-self.LEVELS :]))
        levels = self._pyramid(coarse) if self.pyramid else self._encode(coarse)
        fine = levels[-1]
        for lateral, x in zip(self.laterals, reversed(maps[: -self.LEVELS]), strict=True):
            fine = lateral(x, fine)
        return PixelFeatures(levels, fine)

    def _pyramid(self, coarse: Sequence[Tensor]) -> tuple[Tensor, ...]:
        levels: list[Tensor] = [self.projections[0](coarse[0])]
        for lateral, x in zip(self.pyramid, coarse[1:], strict=True):
            levels.append(lateral(x, levels[-1]))
        return tuple(levels)

    def _encode(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        coarse = [project(x) for project, x in zip(self.projections, maps, strict=True)]
        sizes = [(x.shape[-2], x.shape[-1]) for x in coarse]
        width = self.level_position.shape[-1]
        position = torch.cat(
            [
                sine_position(*size, width, self.level_position.device).flatten(0, 1) + level
                for size, level in zip(sizes, self.level_position, strict=True)
            ]
        )
        # (B, C, h, w) each -> (B, S, C); in float32 also under autocast: each of the layers adds to it, and in half
        # precision each sum would be rounded again
        cells = torch.cat([x.flatten(2).transpose(1, 2) for x in coarse], dim=1).float()
        for layer in self.layers:
            cells = layer(cells, position, sizes)
        parts = cells.split([height * w for height, w in sizes], dim=1)
        # channels stay last in memory: convolutions and linear layers read them so
        return tuple(part.unflatten(1, size).permute(0, 3, 1, 2) for part, size in zip(parts, sizes, strict=True))
