"""Multi-scale deformable attention (Zhu et al. 2021, Deformable DETR, section 4.1) without a compiled operator.

Each query reads, per head, a few points of every level, between cells by bilinear interpolation, zeros outside. A point
is a weighted sum of four cells, so a head's answer is one weighted sum of rows of a table: what ``embedding_bag``
computes, and fast, because a row's channels lie side by side.

Shape letters: B frames, S cells of all levels, C channels; heads, L levels and P points by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeformableAttention(nn.Module):
    """Cells of all levels read points of all levels; where to look and how much is a function of the query."""

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads = heads
        self.levels = levels
        self.points = points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_projection = nn.Linear(width, width)
        self.output_projection = nn.Linear(width, width)
        self._initialise()

    def _initialise(self) -> None:
        # each head looks in its own direction, each point one cell further
        angle = torch.arange(self.heads) * (2.0 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        reach = torch.arange(1, self.points + 1)[:, None]
        bias = (direction[:, None, None] * reach).expand(-1, self.levels, -1, -1)  # (heads, L, P, 2)
        nn.init.zeros_(self.sampling_offsets.weight)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(bias.flatten())
        for layer in (self.attention_weights, self.value_projection, self.output_projection):
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.xavier_uniform_(self.value_projection.weight)
        nn.init.xavier_uniform_(self.output_projection.weight)

    def forward(self, query: Tensor, value: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        """query, value (B, S, C), S the cells of levels of the given (height, width) in turn -> (B, S, C)."""
        values = self.value_projection(value)
        offsets = self.sampling_offsets(query)
        weights = self.attention_weights(query)
        # places are cells and fractions of them: half precision would lose the fractions
        with torch.autocast(query.device.type, enabled=False):
            sampled = self._sample(values.float(), offsets.float(), weights.float(), sizes)
        out: Tensor = self.output_projection(sampled)
        return out

    def _sample(self, values: Tensor, offsets: Tensor, weights: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
        places = offsets.unflatten(-1, (self.heads, self.levels, self.points, 2))  # (B, S, heads, L, P, 2)
        # a softmax over so few numbers is several times faster written out
        likely = weights.unflatten(-1, (self.heads, -1))
        likely = (likely - likely.amax(-1, keepdim=True)).exp()
        weights = (likely / likely.sum(-1, keepdim=True)).unflatten(-1, (self.levels, self.points))
        centres = cell_centres(sizes, values.device)[:, None, :, None]  # (S, 1, L, 1, 2)
        x = places[..., 0] + centres[..., 0]
        y = places[..., 1] + centres[..., 1]
        # the bag's gradient sorts millions of indices: where gradients are wanted the textbook form takes a fifth less
        points = interpolated_points if torch.is_grad_enabled() and values.requires_grad else weighted_points
        return points(values.unflatten(-1, (self.heads, -1)), x, y, weights, sizes)


def cell_centres(sizes: Sequence[tuple[int, int]], device: torch.device) -> Tensor:
    """Centre of each cell of each level in cells of every level: x, y, 0 the first cell's centre -> (S, L, 2)."""
    relative = []
    for height, width in sizes:
        y = (torch.arange(height, dtype=torch.float32, device=device) + 0.5) / height
        x = (torch.arange(width, dtype=torch.float32, device=device) + 0.5) / width
        relative.append(torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1))
    scale = torch.tensor([[width, height] for height, width in sizes], dtype=torch.float32, device=device)
    return torch.cat(relative)[:, None] * scale - 0.5


def interpolated_points(
    values: Tensor, x: Tensor, y: Tensor, weights: Tensor, sizes: Sequence[tuple[int, int]]
) -> Tensor:
    """As ``weighted_points``, level by level with ``grid_sample``: slower, but its gradient is faster."""
    B, _, heads, depth = values.shape
    N = x.shape[1]
    summed = values.new_zeros(B * heads, depth, N)
    for number, (level, size) in enumerate(zip(values.split([h * w for h, w in sizes], dim=1), sizes, strict=True)):
        height, width = size
        maps = level.permute(0, 2, 3, 1).reshape(B * heads, depth, height, width)
        # cells with 0 the first one's centre -> -1..1 between the map's edges
        places = [(x[..., number, :] + 0.5) * (2.0 / width) - 1.0, (y[..., number, :] + 0.5) * (2.0 / height) - 1.0]
        grid = torch.stack(places, dim=-1).transpose(1, 2).flatten(0, 1)  # (B heads, N, P, 2)
        read = F.grid_sample(maps, grid, align_corners=False)  # (B heads, C / heads, N, P)
        share = weights[..., number, :].transpose(1, 2).flatten(0, 1)  # (B heads, N, P)
        summed = summed + (read * share[:, None]).sum(-1)
    return summed.unflatten(0, (B, heads)).permute(0, 3, 1, 2).flatten(2)


def weighted_points(values: Tensor, x: Tensor, y: Tensor, weights: Tensor, sizes: Sequence[tuple[int, int]]) -> Tensor:
    """Weighted sum of interpolated points.

    values (B, S, heads, C / heads); x, y and weights (B, N, heads, L, P), x and y in cells of their level with 0 the
    first cell's centre -> (B, N, C).
    """
    B, _, heads, depth = values.shape
    # one ring of zero cells before and two after each level: places are held within it, and no case is special there
    table = torch.cat(
        [
            F.pad(level.unflatten(1, size), (0, 0, 0, 0, 1, 2, 1, 2)).flatten(1, 2)
            for level, size in zip(values.split([h * w for h, w in sizes], dim=1), sizes, strict=True)
        ],
        dim=1,
    )  # (B, rows, heads, depth)
    rows = table.shape[1]
    starts, limits, strides = _level_geometry(sizes, values.device)

    x = torch.minimum(x.clamp(min=-1), limits[:, :, 0])
    y = torch.minimum(y.clamp(min=-1), limits[:, :, 1])
    left, top = x.floor(), y.floor()
    right_part, low_part = x - left, y - top
    low_weight = weights * low_part
    high_weight = weights - low_weight
    high_right, low_right = high_weight * right_part, low_weight * right_part
    corner_weights = torch.stack([high_weight - high_right, high_right, low_weight - low_right, low_right], dim=-1)

    # float32 counts exactly to 2^24, more than one frame has rows
    cell = (starts + top.detach() * strides + left.detach()).to(torch.int32)  # (B, N, heads, L, P)
    frame = torch.arange(B, dtype=torch.int32, device=values.device)[:, None, None, None, None] * (rows * heads)
    head = torch.arange(heads, dtype=torch.int32, device=values.device)[:, None, None]
    first = cell * heads + (frame + head)
    steps = strides.to(torch.int32) * heads  # (L, 1)
    corners = torch.stack([torch.zeros_like(steps), torch.full_like(steps, heads), steps, steps + heads], dim=-1)
    index = first[..., None] + corners  # (B, N, heads, L, P, 4)

    bag = index[0, 0, 0].numel()
    summed = F.embedding_bag(
        index.view(-1, bag), table.reshape(-1, depth), per_sample_weights=corner_weights.view(-1, bag), mode="sum"
    )
    return summed.view(B, -1, heads * depth)


def _level_geometry(sizes: Sequence[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Of the ringed levels: row of cell (0, 0), (L, 1); last x and y, (L, 1, 2); rows between lines, (L, 1)."""
    starts, limits, strides, used = [], [], [], 0
    for height, width in sizes:
        stride = width + 3
        starts.append([used + stride + 1])
        limits.append([[width, height]])
        strides.append([stride])
        used += (height + 3) * stride
    first, last, line = (torch.tensor(x, dtype=torch.float32, device=device) for x in (starts, limits, strides))
    return first, last, line
