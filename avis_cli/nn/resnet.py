"""Residual networks (He et al. 2016): frame -> feature maps, finest first.

``ResNet`` is the one of the released networks: bottleneck blocks, the stride in the 3x3 convolution, frozen batch norm.
``SmallResNet`` is made of basic blocks with group norm and gives one finer map.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-5


class FrozenNormConv(nn.Module):
    """Convolution without bias, then batch norm with statistics and scale that training leaves alone.

    The norm is folded into the convolution's weights: at each call where they are trained, else once.
    """

    scale: Tensor
    shift: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, in_width: int, out_width: int, size: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.weight = nn.Parameter(torch.empty(out_width, in_width, size, size))
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")
        self.register_buffer("scale", torch.ones(out_width))
        self.register_buffer("shift", torch.zeros(out_width))
        self.register_buffer("mean", torch.zeros(out_width))
        self.register_buffer("variance", torch.ones(out_width))
        self._kept: tuple[object, Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self._folded() if torch.is_grad_enabled() else self._folded_once(x.device.type)
        return F.conv2d(x, weight, bias, self.stride, self.weight.shape[-1] // 2)

    def _folded(self) -> tuple[Tensor, Tensor]:
        gain = self.scale * (self.variance + BATCH_NORM_EPSILON).rsqrt()
        return self.weight * gain[:, None, None, None], self.shift - self.mean * gain

    def _folded_once(self, device: str) -> tuple[Tensor, Tensor]:
        """As ``_folded``, in the precision of the products, until the weights change."""
        kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        parts = (self.weight, self.scale, self.shift, self.mean, self.variance)
        made_from = (kind, *((part.data_ptr(), part._version) for part in parts))
        if self._kept is None or self._kept[0] != made_from:
            weight, bias = self._folded()
            self._kept = made_from, weight.to(kind), bias.to(kind)
        return self._kept[1], self._kept[2]


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a residual."""

    def __init__(self, in_width: int, hidden: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = FrozenNormConv(in_width, hidden, 1)
        self.conv2 = FrozenNormConv(hidden, hidden, 3, stride)
        self.conv3 = FrozenNormConv(hidden, out_width, 1)
        self.shortcut = FrozenNormConv(in_width, out_width, 1, stride) if in_width != out_width else None

    def forward(self, x: Tensor) -> Tensor:
        rest = x if self.shortcut is None else self.shortcut(x)
        x = F.relu_(self.conv1(x))
        x = F.relu_(self.conv2(x))
        return F.relu_(self.conv3(x).add_(rest))


class ResNet(nn.Module):
    """Stem and four stages of bottleneck blocks; maps at strides 4, 8, 16 and 32."""

    widths = (256, 512, 1024, 2048)

    def __init__(self, depths: Sequence[int]) -> None:
        super().__init__()
        self.stem = FrozenNormConv(3, 64, 7, stride=2)
        self.stages = nn.ModuleList()
        in_width = 64
        for number, (depth, out_width) in enumerate(zip(depths, self.widths, strict=True)):
            blocks = []
            for block in range(depth):
                stride = 2 if number > 0 and block == 0 else 1
                blocks.append(Bottleneck(in_width, out_width // 4, out_width, stride))
                in_width = out_width
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W), sides multiples of 32 -> four maps (B, widths[i], H / stride, W / stride)."""
        x = F.relu_(self.stem(x.contiguous(memory_format=torch.channels_last)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with group norm around a residual."""

    def __init__(self, in_width: int, out_width: int, stride: int, norm_groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, out_width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(norm_groups, out_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1, bias=False)
        self.norm2 = nn.GroupNorm(norm_groups, out_width)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_width != out_width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_width, out_width, 1, stride, bias=False), nn.GroupNorm(norm_groups, out_width)
            )

    def forward(self, x: Tensor) -> Tensor:
        rest = x if self.shortcut is None else self.shortcut(x)
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)) + rest)


class SmallResNet(nn.Module):
    """A stem at stride 2 and a stage for each further halving; maps at strides 2, 4, 8, 16 and 32.

    ``depths[0]`` counts the stem's blocks, which keep stride 2.
    """

    def __init__(self, widths: Sequence[int], depths: Sequence[int], norm_groups: int) -> None:
        super().__init__()
        self.widths = tuple(widths)
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False), nn.GroupNorm(norm_groups, widths[0]), nn.ReLU()
        )
        self.stages = nn.ModuleList()
        in_width = widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            blocks = []
            for block in range(depth):
                stride = 2 if number > 0 and block == 0 else 1
                blocks.append(BasicBlock(in_width, width, stride, norm_groups))
                in_width = width
            self.stages.append(nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W), sides multiples of 32 -> five maps (B, widths[i], H / stride, W / stride)."""
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
