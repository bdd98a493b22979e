"""Swin Transformer (Liu et al. 2021): frame -> feature maps at strides 4, 8, 16, 32, finest first.

Shape letters: B frames, H, W the map, C channels, w window cells a side, N = w w cells of a window.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

APART = -100.0  # added to the logit of two cells that only the roll brought together


class WindowAttention(nn.Module):
    """Attention within windows, with a learned bias for each relative place."""

    relative_place: Tensor

    def __init__(self, width: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.trunc_normal_(self.bias_table, std=0.02)
        self.register_buffer("relative_place", relative_place(window), persistent=False)

    def forward(self, x: Tensor, shift: int) -> Tensor:
        """x (B, H, W, C), H and W whole windows, rolled by ``shift`` cells -> (B, H, W, C)."""
        w = self.window
        cells = x.unflatten(2, (-1, w)).unflatten(1, (-1, w)).transpose(2, 3)  # (B, H / w, W / w, w, w, C)
        qkv = self.qkv(cells.flatten(3, 4)).unflatten(-1, (3, self.heads, -1))
        # (B, rows, columns, N, 3, heads, C / heads) -> three of (B, rows, columns, heads, N, C / heads)
        q, k, v = qkv.permute(4, 0, 1, 2, 5, 3, 6).unbind(0)
        bias = self.bias_table[self.relative_place].permute(2, 0, 1)  # (heads, N, N)
        attended = _attend(q, k, v, bias) if shift == 0 else self._attend_rolled(q, k, v, bias, shift)
        merged: Tensor = self.out(attended.transpose(3, 4).flatten(4))  # (B, rows, columns, N, C)
        return merged.unflatten(3, (w, w)).transpose(2, 3).flatten(3, 4).flatten(1, 2)

    def _attend_rolled(self, q: Tensor, k: Tensor, v: Tensor, bias: Tensor, shift: int) -> Tensor:
        # the roll joins both ends of the map, in the last row and the last column of windows only
        rolled_in = torch.arange(self.window, device=q.device) >= self.window - shift
        below = rolled_in[:, None].expand(-1, self.window).flatten()  # (N,)
        beside = rolled_in[None].expand(self.window, -1).flatten()
        across_rows = APART * (below[:, None] != below[None])  # (N, N)
        across_columns = APART * (beside[:, None] != beside[None])
        across_both = torch.minimum(across_rows, across_columns)
        inner, last = slice(None, -1), slice(-1, None)
        lines = []
        for rows, along, corner in (
            (inner, bias, bias + across_columns),
            (last, bias + across_rows, bias + across_both),
        ):
            parts = [
                _attend(q[:, rows, columns], k[:, rows, columns], v[:, rows, columns], mask)
                for columns, mask in ((inner, along), (last, corner))
            ]
            lines.append(torch.cat(parts, dim=2))
        return torch.cat(lines, dim=1)


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    # (B, rows, columns, heads, N, C / heads), bias (heads, N, N) the same for all windows
    if q.numel() == 0:
        return q
    query, key, value = (x.flatten(0, 2) for x in (q, k, v))
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None].to(q.dtype)).view(q.shape)


def relative_place(window: int) -> Tensor:
    """Row of the bias table for each two cells of a window -> (N, N)."""
    place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)  # (2, N)
    down, along = (place[:, :, None] - place[:, None]) + window - 1
    return down * (2 * window - 1) + along


class SwinBlock(nn.Module):
    """Window attention and a feed-forward network, each on normalised input and around a residual."""

    def __init__(self, width: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads, window)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, H, W, C) -> (B, H, W, C)."""
        x = x + self._windowed(self.norm1(x))
        out: Tensor = x + self.linear2(F.gelu(self.linear1(self.norm2(x))))
        return out

    def _windowed(self, x: Tensor) -> Tensor:
        H, W = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -W % self.window, 0, -H % self.window))
        if self.shift == 0:
            x = self.attention(x, 0)
        else:
            x = self.attention(x.roll((-self.shift, -self.shift), dims=(1, 2)), self.shift)
            x = x.roll((self.shift, self.shift), dims=(1, 2))
        return x[:, :H, :W]


class PatchMerging(nn.Module):
    """Each 2 x 2 cells become one of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * width)
        self.reduction = nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, H, W, C) -> (B, ceil(H / 2), ceil(W / 2), 2 C)."""
        x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        corners = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        out: Tensor = self.reduction(self.norm(torch.cat(corners, dim=-1))).float()
        return out


class PatchEmbedding(nn.Module):
    """4 x 4 pixels become one cell."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, width, 4, stride=4)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, 3, H, W), sides multiples of 4 -> (B, H / 4, W / 4, C)."""
        out: Tensor = self.norm(self.projection(x).permute(0, 2, 3, 1).float())
        return out


class SwinTransformer(nn.Module):
    """Patch embedding and stages of blocks, every other one on shifted windows; a LayerNorm on each stage's output.

    The cells that blocks add to are float32 also under autocast, on every device: dozens of sums are not rounded again
    and again.
    """

    def __init__(self, width: int, depths: Sequence[int], heads: Sequence[int], window: int) -> None:
        super().__init__()
        self.widths = tuple(width * 2**stage for stage in range(len(depths)))
        self.patches = PatchEmbedding(width)
        self.stages = nn.ModuleList(
            nn.Sequential(
                *(SwinBlock(stage_width, stage_heads, window, window // 2 * (block % 2)) for block in range(depth))
            )
            for stage_width, depth, stage_heads in zip(self.widths, depths, heads, strict=True)
        )
        self.mergings = nn.ModuleList(PatchMerging(stage_width) for stage_width in self.widths[:-1])
        self.norms = nn.ModuleList(nn.LayerNorm(stage_width) for stage_width in self.widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W), sides multiples of 32 -> four maps (B, widths[i], H / stride, W / stride)."""
        x = self.patches(x)
        maps = []
        for number, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            if number > 0:
                x = self.mergings[number - 1](x)
            x = stage(x)
            maps.append(norm(x).permute(0, 3, 1, 2))
        return maps
