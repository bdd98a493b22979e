"""ResNet of bottleneck blocks whose batch norm learns (He et al. 2016): frame -> feature maps, finest first.

The stride is in the 3x3 convolution. Stages may be dilated in place of strided, and the stem may be three 3x3
convolutions (the "deep stem"), as semantic segmentation has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (256, 512, 1024, 2048)


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that does not count its batches: with a fixed momentum nothing depends on their number."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.num_batches_tracked = None

    def _load_from_state_dict(self, *given: Any) -> None:
        # PyTorch's own adds a count to files that have none
        nn.Module._load_from_state_dict(self, *given)


@dataclass(frozen=True)
class Stage:
    """``depth`` blocks; ``stride`` of the first; ``dilations`` of each, 1 where the list ends."""

    depth: int
    stride: int
    dilations: tuple[int, ...] = ()

    def dilation(self, block: int) -> int:
        """Of a block's 3x3 convolution."""
        return self.dilations[block] if block < len(self.dilations) else 1


class NormBottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions around a residual."""

    def __init__(self, in_width: int, out_width: int, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = out_width // 4
        self.conv1 = nn.Conv2d(in_width, hidden, 1, bias=False)
        self.norm1 = BatchNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.conv3 = nn.Conv2d(hidden, out_width, 1, bias=False)
        self.norm3 = BatchNorm(out_width)
        self.shortcut: nn.Module | None = None
        if in_width != out_width or stride != 1:
            self.shortcut = nn.Sequential(nn.Conv2d(in_width, out_width, 1, stride, bias=False), BatchNorm(out_width))

    def forward(self, x: Tensor) -> Tensor:
        rest = x if self.shortcut is None else self.shortcut(x)
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return F.relu(self.norm3(self.conv3(x)) + rest)


class NormResNet(nn.Module):
    """Stem, max-pooling and four stages of bottleneck blocks, the map of each."""

    widths = WIDTHS

    def __init__(self, stages: Sequence[Stage], *, deep_stem: bool = False) -> None:
        super().__init__()
        if deep_stem:
            self.stem = nn.Sequential(
                nn.Conv2d(3, 64, 3, stride=2, padding=1, bias=False), BatchNorm(64), nn.ReLU(),
                nn.Conv2d(64, 64, 3, padding=1, bias=False), BatchNorm(64), nn.ReLU(),
                nn.Conv2d(64, 128, 3, padding=1, bias=False), BatchNorm(128),
            )  # fmt: skip
            in_width = 128
        else:
            self.stem = nn.Sequential(nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), BatchNorm(64))
            in_width = 64
        self.stages = nn.ModuleList()
        for stage, out_width in zip(stages, WIDTHS, strict=True):
            blocks = []
            for block in range(stage.depth):
                stride = stage.stride if block == 0 else 1
                blocks.append(NormBottleneck(in_width, out_width, stride, stage.dilation(block)))
                in_width = out_width
            self.stages.append(nn.Sequential(*blocks))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> list[Tensor]:
        """x (B, 3, H, W) -> four maps (B, WIDTHS[i], H / stride, W / stride)."""
        x = F.relu(self.stem(x.contiguous(memory_format=torch.channels_last)))
        x = F.max_pool2d(x, 3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps
