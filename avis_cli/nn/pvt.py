"""Pyramid vision transformer, second version (Wang et al., "PVT v2: Improved Baselines with Pyramid Vision
Transformer", 2022): frame -> feature maps at strides 4, 8, 16 and 32, finest first.

Letters: B frames, N = H W positions, C channels of a stage.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCK_EPSILON = 1e-6  # of the norms in and after the blocks; those of patches and reductions have PyTorch's
LARGEST_DROP = 0.1  # share of the last block's residuals that training leaves out; it rises evenly from 0


class PatchEmbedding(nn.Module):
    """A map cut into overlapping patches, each of which becomes a position of the next one."""

    def __init__(self, in_width: int, out_width: int, size: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(in_width, out_width, size, stride, padding=size // 2)
        self.norm = nn.LayerNorm(out_width)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """(B, C, H, W) -> (B, N', C') and the new map's height and width."""
        x = self.proj(x)
        size = (x.shape[2], x.shape[3])
        return self.norm(x.flatten(2).transpose(1, 2)), size


class ReducedAttention(nn.Module):
    """Attention of every position to a map that is ``reduction`` times smaller a side."""

    def __init__(self, width: int, heads: int, reduction: int) -> None:
        super().__init__()
        self.heads, self.reduction = heads, reduction
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(width, 2 * width)
        self.proj = nn.Linear(width, width)
        if reduction > 1:
            self.sr = nn.Conv2d(width, width, reduction, reduction)
            self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """x (B, N, C) of a map of ``size`` -> the same shape."""
        B, N, C = x.shape
        seen = x
        if self.reduction > 1:
            image = x.transpose(1, 2).reshape(B, C, *size)
            seen = self.norm(self.sr(image).flatten(2).transpose(1, 2))
        q = self.q(x).view(B, N, self.heads, -1).transpose(1, 2)
        # keys first, then values
        k, v = self.kv(seen).view(B, seen.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        result: Tensor = self.proj(out.transpose(1, 2).reshape(B, N, C))
        return result


class ConvolutionalMlp(nn.Module):
    """Two linear layers with a depthwise 3x3 convolution between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = self.fc1(x)
        image = x.transpose(1, 2).reshape(len(x), -1, *size)
        x = F.gelu(self.depthwise(image).flatten(2).transpose(1, 2))
        out: Tensor = self.fc2(x)
        return out


class PvtBlock(nn.Module):
    """Attention, then the MLP, each around a residual that training leaves out for a share ``drop`` of the frames."""

    def __init__(self, width: int, heads: int, ratio: int, reduction: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.norm1 = nn.LayerNorm(width, eps=BLOCK_EPSILON)
        self.attn = ReducedAttention(width, heads, reduction)
        self.norm2 = nn.LayerNorm(width, eps=BLOCK_EPSILON)
        self.mlp = ConvolutionalMlp(width, ratio * width)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        x = x + self._kept(self.attn(self.norm1(x), size))
        return x + self._kept(self.mlp(self.norm2(x), size))

    def _kept(self, x: Tensor) -> Tensor:
        if not self.training or not self.drop:
            return x
        stays = torch.rand(len(x), 1, 1, device=x.device) >= self.drop
        return x * (stays / (1 - self.drop))


class PyramidTransformer(nn.Module):
    """Four stages. ``widths``, ``depths``, ``heads``, ``reductions``: of each; ``ratio``: hidden to outer width of the
    MLPs."""

    def __init__(
        self,
        widths: Sequence[int],
        depths: Sequence[int],
        heads: Sequence[int],
        reductions: Sequence[int],
        ratio: int,
    ) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.patches, self.stages, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        drops = iter(torch.linspace(0, LARGEST_DROP, sum(depths)).tolist())
        in_width = 3
        for number, width in enumerate(widths):
            size, stride = (7, 4) if number == 0 else (3, 2)
            self.patches.append(PatchEmbedding(in_width, width, size, stride))
            self.stages.append(
                nn.ModuleList(
                    PvtBlock(width, heads[number], ratio, reductions[number], next(drops))
                    for _ in range(depths[number])
                )
            )
            self.norms.append(nn.LayerNorm(width, eps=BLOCK_EPSILON))
            in_width = width

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W), sides multiples of 32 -> four maps (B, widths[i], H / stride, W / stride)."""
        maps = []
        for patches, stage, norm in zip(self.patches, self.stages, self.norms, strict=True):
            x, size = patches(x)
            for block in stage:  # type: ignore[attr-defined]
                x = block(x, size)
            x = norm(x).transpose(1, 2).reshape(len(x), -1, *size)
            maps.append(x)
        return maps
