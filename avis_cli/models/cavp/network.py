"""CAVP's network: a segmentation network whose pixels are told, each by itself, what is heard (Chen et al., CVPR 2024,
section 3.2).

Letters: F frames, H, W their pixels, h, w positions of the finer map (a quarter of them), D joint channels, K outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.models.cavp.config import CavpConfig
from avis_cli.models.cavp.hearing import DIRECTION_FEATURES, DIRECTIONS, LogMel, loudness_by_direction
from avis_cli.nn.norm_resnet import BatchNorm

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of values from 0 to 1
DILATIONS = (6, 12, 18)
_WAVES = 4
_PLACES = 1 + 2 * _WAVES  # numbers that say where a position is in one direction
_NEAR = (-0.2, -0.1, 0.0, 0.1, 0.2)  # in widths of the picture, from which a pixel is told what is heard
_SLOPE = 0.01  # of the pyramid's rectifiers below 0


class PyramidPooling(nn.Module):
    """Parallel convolutions, three of them dilated, one over the mean of all pixels, which is added."""

    def __init__(self, in_width: int, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                nn.Conv2d(in_width, width, 1, bias=False),
                *(nn.Conv2d(in_width, width, 3, padding=d, dilation=d, bias=False) for d in DILATIONS),
            ]
        )
        self.branch_norm = BatchNorm(width * len(self.branches))
        self.reduce = nn.Conv2d(width * len(self.branches), width, 1, bias=False)
        self.pool = nn.Conv2d(in_width, width, 1, bias=False)
        self.pool_norm = BatchNorm(width)
        self.pool_reduce = nn.Conv2d(width, width, 1, bias=False)
        self.norm = BatchNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        branches = torch.cat([branch(x) for branch in self.branches], dim=1)
        out = self.reduce(F.leaky_relu(self.branch_norm(branches), _SLOPE))
        pooled = F.leaky_relu(self._pool_norm(self.pool(x.mean((2, 3), keepdim=True))), _SLOPE)
        return F.leaky_relu(self.norm(out + self.pool_reduce(pooled)), _SLOPE)

    def _pool_norm(self, pooled: Tensor) -> Tensor:
        """One value of each picture: of a single one there are no statistics, and the running ones count."""
        norm = self.pool_norm
        if len(pooled) > 1 or not self.training:
            out: Tensor = norm(pooled)
            return out
        return F.batch_norm(pooled, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def places(height: int, width: int) -> Tensor:
    """Where each of (height x width, row by row) positions is: (N, 2 * _PLACES) float32, down and then across, each as
    it is, from 0 to 1, and as waves of up to two periods."""
    down, across = ((torch.arange(size) + 0.5) / size for size in (height, width))
    grid = torch.stack(torch.meshgrid(down, across, indexing="ij"), -1).flatten(0, 1)  # (N, 2)
    angles = torch.pi * grid[..., None] * torch.arange(1, _WAVES + 1)
    return torch.cat([grid[..., None], angles.sin(), angles.cos()], dim=-1).flatten(1)


class Mlp(nn.Module):
    """Two linear layers."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class SoundAttention(nn.Module):
    """Each pixel attends to the one vector of the sound, by a sigmoid in each head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width, bias=False)
        self.v = nn.Linear(width, width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, pixels: Tensor, sound: Tensor) -> Tensor:
        """pixels (F, N, D), sound (F, D) -> (F, N, D)."""
        q = self.q(pixels).unflatten(-1, (self.heads, -1))  # (F, N, heads, d)
        k, v = (part(sound).unflatten(-1, (self.heads, -1)) for part in (self.k, self.v))
        weight = (torch.einsum("fnhd,fhd->fnh", q, k) / q.shape[-1] ** 0.5).sigmoid()
        out: Tensor = self.proj((weight[..., None] * v[:, None]).flatten(2))
        return out


class Fusion(nn.Module):
    """What is seen at each position, told what is heard. There is no position embedding."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.embed_pixels = nn.Linear(width, width)
        self.embed_sound = nn.Linear(width, width)
        self.norm1 = nn.LayerNorm(width)
        self.attn = SoundAttention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width, 4 * width)
        self.norm = nn.LayerNorm(width)

    def forward(self, pixels: Tensor, sound: Tensor) -> Tensor:
        """pixels (F, N, D), sound (F, D) -> the joint features (F, N, D)."""
        seen, heard = self.norm1(self.embed_pixels(pixels)), self.norm1(self.embed_sound(sound))
        x = seen + self.attn(seen, heard)  # past the attention goes what has been normed
        x = x + self.mlp(self.norm2(x))
        out: Tensor = self.norm(x)
        return out


class Classifier(nn.Module):
    """Joint features -> logits at their size."""

    def __init__(self, width: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, hidden, 3, padding=1, bias=False)
        self.norm1 = BatchNorm(hidden)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1, bias=False)
        self.norm2 = BatchNorm(hidden)
        self.out = nn.Conv2d(hidden, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        out: Tensor = self.out(x)
        return out


class Cavp(nn.Module):
    """Backbone and pyramid, audio network, fusion and classifier."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, config: CavpConfig, backbone: nn.Module, places: tuple[int, int], widths: tuple[int, int],
        hearing: nn.Module,
    ) -> None:  # fmt: skip
        """``places``: of the finer and the coarser one among the backbone's maps, ``widths``: their channels."""
        super().__init__()
        self.config, self._places = config, places
        width = config.joint_width
        self.backbone = backbone
        self.pyramid = PyramidPooling(widths[1], config.pyramid_width)
        self.low = nn.Sequential(nn.Conv2d(widths[0], config.low_width, 1, bias=False), BatchNorm(config.low_width))
        self.log_mel = LogMel(config.mel_frames)
        self.hearing = hearing
        self.projector = Mlp(width, config.projector_width)
        self.place = nn.Linear(2 * _PLACES, width) if config.placed else None
        self.direction: nn.Module | None = None
        if config.placed and config.sound_channels == 2:
            features = len(_NEAR) * DIRECTION_FEATURES
            self.direction = nn.Sequential(nn.Linear(features, width), nn.GELU(), nn.Linear(width, width))
        self.fusion = Fusion(width, config.heads)
        self.classifier = Classifier(width, config.head_width, config.outputs)
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255, persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None] * 255, persistent=False)

    def segment(self, frames: Tensor, audio: Tensor, valid: Tensor | None = None) -> Tensor:
        """As `avis_cli.models.system.MapNetwork`: frames uint8 (F, 3, H, W) and their sound, samples (F, C, N) ->
        logits (F, K, H, W). Raises UsageError for padding, of which it knows none."""
        if valid is not None and not bool(valid.all()):
            raise UsageError(f"{self.config.name} sees frames one by one and knows no padding", hint="leave out valid")
        joint = self.join(self.see(frames), self.hear(audio), self.directions(audio))
        return self.classify(joint, (frames.shape[-2], frames.shape[-1]))

    def see(self, frames: Tensor) -> Tensor:
        """Frames uint8 (F, 3, H, W) -> what is seen at each position (F, D, h, w)."""
        maps = self.backbone((frames - self.mean) / self.deviation)
        fine, coarse = (maps[place] for place in self._places)
        low = F.relu(self.low(fine))
        high = F.interpolate(self.pyramid(coarse), low.shape[-2:], mode="bilinear", align_corners=True)
        return torch.cat([high, low], dim=1)

    def hear(self, samples: Tensor) -> Tensor:
        """Samples (F, C, N) at 16 kHz -> (F, D)."""
        spectrum = self.log_mel(samples)
        out: Tensor = self.hearing(spectrum[:, 0] if self.config.hearing == "vggish" else spectrum)
        return out

    def directions(self, samples: Tensor) -> Tensor | None:
        """Samples (F, 2, N) -> what is heard from where (F, DIRECTIONS, D), of a network that is told."""
        if self.direction is None:
            return None
        loud = loudness_by_direction(self.log_mel(samples))
        place = (torch.arange(DIRECTIONS, device=loud.device) + 0.5) / DIRECTIONS
        near = torch.stack([((place + step) * DIRECTIONS).long().clamp(0, DIRECTIONS - 1) for step in _NEAR], dim=1)
        out: Tensor = self.direction(loud[:, near].flatten(2))
        return out

    def join(self, seen: Tensor, heard: Tensor, directions: Tensor | None = None) -> Tensor:
        """(F, D, h, w), (F, D) and of a network that is told directions (F, DIRECTIONS, D) -> the joint features
        (F, D, h, w)."""
        size = seen.shape[-2:]
        pixels = self.projector(seen.flatten(2).transpose(1, 2))
        if self.place is not None:
            pixels = pixels + self.place(places(size[0], size[1]).to(pixels))
        if directions is not None:
            columns = F.interpolate(directions.transpose(1, 2), size[1], mode="linear").transpose(1, 2)
            pixels = pixels + columns.repeat(1, size[0], 1)  # row after row
        joint: Tensor = self.fusion(pixels, heard)
        return joint.transpose(1, 2).unflatten(2, size)

    def classify(self, joint: Tensor, size: tuple[int, int]) -> Tensor:
        """Joint features -> logits (F, K, *size)."""
        return F.interpolate(self.classifier(joint), size, mode="bilinear", align_corners=False)
