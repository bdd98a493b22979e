"""The parts that every transformer here is made of: attention, feed-forward, MLP and sine positions, written once.

Shape letters: B batch, N queries, S keys, C channels, H, W.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class TransformerSizes:
    """``width``: channels of a token; ``heads`` of its attention; ``hidden``: units of its feed-forward layers."""

    width: int
    heads: int
    hidden: int


@dataclass(frozen=True)
class HeadSizes:
    """What the heads of queries of ``width`` channels give: K = ``num_classes`` and "no object", and a mask embedding
    of ``mask_width``. ``fine_width``: channels of the map that mask features are made of."""

    width: int
    fine_width: int
    mask_width: int
    num_classes: int


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017), its three input projections stacked in one weight."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_bias = nn.Parameter(torch.zeros(3 * width))
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_weight)
        nn.init.xavier_uniform_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """query (B, N, C), key and value (B, S, C) -> (B, N, C).

        ``allowed``: booleans (B, N, S), False where a query must not look, the same for all heads.
        """
        C = query.shape[-1]
        q = F.linear(query, self.in_weight[:C], self.in_bias[:C])
        if key is value:
            k, v = F.linear(key, self.in_weight[C:], self.in_bias[C:]).chunk(2, dim=-1)
        else:
            k = F.linear(key, self.in_weight[C : 2 * C], self.in_bias[C : 2 * C])
            v = F.linear(value, self.in_weight[2 * C :], self.in_bias[2 * C :])
        mask = None if allowed is None else allowed[:, None]  # (B, 1, N, S)
        attended = F.scaled_dot_product_attention(self._split(q), self._split(k), self._split(v), attn_mask=mask)
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))  # (B, heads, N, C / heads) -> (B, N, C)
        return merged

    def _split(self, x: Tensor) -> Tensor:
        # (B, N, C) -> (B, heads, N, C / heads)
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class SelfAttentionBlock(nn.Module):
    """Self-attention, residual, then LayerNorm; positions go to queries and keys only."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, position: Tensor | None = None) -> Tensor:
        """x (B, N, C), position broadcastable to it -> (B, N, C)."""
        placed = x if position is None else x + position
        out: Tensor = self.norm(x + self.attention(placed, placed, x))
        return out


class CrossAttentionBlock(nn.Module):
    """Cross-attention, residual, then LayerNorm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, key: Tensor, value: Tensor, position: Tensor | None = None, allowed: Tensor | None = None
    ) -> Tensor:
        """x (B, N, C), key (with its positions) and value (B, S, C), position of x -> (B, N, C)."""
        placed = x if position is None else x + position
        out: Tensor = self.norm(x + self.attention(placed, key, value, allowed))
        return out


class FeedForwardBlock(nn.Module):
    """Two linear layers with a ReLU between, residual, then LayerNorm."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, hidden)
        self.linear2 = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width)
        for layer in (self.linear1, self.linear2):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C) -> (..., C)."""
        out: Tensor = self.norm(x + self.linear2(F.relu_(self.linear1(x))))
        return out


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, width: int, hidden: int, out: int, depth: int) -> None:
        super().__init__()
        sizes = [width] + [hidden] * (depth - 1) + [out]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """x (..., width) -> (..., out)."""
        for layer in self.layers[:-1]:
            x = F.relu_(layer(x))
        out: Tensor = self.layers[-1](x)
        return out


def mask_projection(in_width: int, mask_width: int) -> nn.Conv2d:
    """1x1 convolution from a fine map to mask features."""
    projection = nn.Conv2d(in_width, mask_width, 1)
    nn.init.kaiming_uniform_(projection.weight, a=1)
    return projection


def sine_position(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Positions of a map's cells as sines and cosines, rows in the first half of the channels -> (H, W, C) float32.

    Cell numbers from 1 are scaled to 0..2 pi by the last one; temperature 10000 (Carion et al. 2020, DETR).
    """
    rows = _sine_axis(height, channels // 2, device)[:, None].expand(-1, width, -1)
    columns = _sine_axis(width, channels // 2, device)[None].expand(height, -1, -1)
    return torch.cat([rows, columns], dim=-1)


def _sine_axis(length: int, channels: int, device: torch.device) -> Tensor:
    # -> (length, channels), sine and cosine of one frequency side by side
    place = torch.arange(1, length + 1, dtype=torch.float32, device=device) / (length + 1e-6) * (2 * math.pi)
    frequency = 10000 ** (2 * torch.arange(channels // 2, dtype=torch.float32, device=device) / channels)
    angle = place[:, None] / frequency
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
