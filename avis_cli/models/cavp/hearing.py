"""What CAVP hears: its log-mel, and the audio networks that make one vector of a frame's sound.

Letters: F frames, C channels of sound, N samples at 16 kHz, M mel frames.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from avis_cli.nn.norm_resnet import BatchNorm

RATE = 16_000
_SIZE, _WINDOW, _HOP = 512, 400, 160  # samples
_BANDS, _LOWEST, _HIGHEST = 64, 125.0, 3800.0  # Hz
_QUIETEST = 1e-5  # mel power; silence is -1
DIRECTIONS = 24
DIRECTION_FEATURES = 2 * _BANDS
_DECADES = 2.5  # of amplitude in one unit of the spectrum
_WIDTH = 0.04  # of a direction, standard deviation in widths of the picture


class LogMel(nn.Module):
    """Samples -> mel spectra on a logarithmic scale on which silence is -1."""

    filters: Tensor
    window: Tensor

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.frames = frames
        filters = torchaudio.functional.melscale_fbanks(
            _SIZE // 2 + 1, _LOWEST, _HIGHEST, _BANDS, RATE, norm=None, mel_scale="htk"
        )
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(_WINDOW), persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        """samples (F, C, N) -> (F, C, M, 64) float32, time before bands."""
        flat = samples.flatten(0, 1).float()
        with torch.autocast(samples.device.type, enabled=False):  # the quietest power is none of float16's numbers
            spectrum = torch.stft(
                flat, _SIZE, _HOP, _WINDOW, self.window, center=True, pad_mode="reflect", return_complex=True
            )
            power = spectrum.abs().square()[..., : self.frames]
            mel = power.transpose(1, 2) @ self.filters
            # twenty times the logarithm, although it is a power, and then a hundredth: as trained
            return (mel.clamp(min=_QUIETEST).log10() * 0.2).unflatten(0, samples.shape[:2])


@torch.no_grad()
def loudness_by_direction(spectrum: Tensor) -> Tensor:
    """Spectra of two channels (F, 2, M, 64) -> how loud each band is from each of ``DIRECTIONS`` places between left
    and right: (F, DIRECTIONS, 128), the mean over time and then the largest, from 0, silence.

    A cell of the spectrum is heard from where its levels say, as far as one source has most of it (Barry et al., DAFx
    2004, azimuth discrimination): of a source at p, 0 left to 1 right, the channels have amplitudes (1 - p) : p.
    """
    left, right = spectrum[:, 0], spectrum[:, 1]
    place = (_DECADES * math.log(10) * (right - left)).sigmoid()
    loud = torch.maximum(left, right) + 1
    middles = (torch.arange(DIRECTIONS, device=spectrum.device) + 0.5) / DIRECTIONS
    from_there = (-0.5 * ((place[:, None] - middles[:, None, None]) / _WIDTH).square()).exp() * loud[:, None]
    return torch.cat([from_there.mean(2), from_there.amax(2)], dim=-1)


class BasicNormBlock(nn.Module):
    """Two 3x3 convolutions with batch norm around a residual."""

    def __init__(self, in_width: int, out_width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_width, out_width, 3, stride, padding=1, bias=False)
        self.norm1 = BatchNorm(out_width)
        self.conv2 = nn.Conv2d(out_width, out_width, 3, padding=1, bias=False)
        self.norm2 = BatchNorm(out_width)
        self.shortcut: nn.Module | None = None
        if stride != 1 or in_width != out_width:
            self.shortcut = nn.Sequential(nn.Conv2d(in_width, out_width, 1, stride, bias=False), BatchNorm(out_width))

    def forward(self, x: Tensor) -> Tensor:
        rest = x if self.shortcut is None else self.shortcut(x)
        x = F.relu(self.norm1(self.conv1(x)))
        return F.relu(self.norm2(self.conv2(x)) + rest)


class AudioResNet(nn.Module):
    """ResNet-18 (He et al. 2016) over a spectrum of one or two channels, with the largest value of each map."""

    def __init__(self, channels: int, widths: tuple[int, ...], out_width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], 7, stride=2, padding=3, bias=False), BatchNorm(widths[0])
        )
        self.stages = nn.ModuleList()
        in_width = widths[0]
        for number, width in enumerate(widths):
            blocks = [BasicNormBlock(in_width, width, 2 if number else 1), BasicNormBlock(width, width, 1)]
            self.stages.append(nn.Sequential(*blocks))
            in_width = width
        self.out = nn.Linear(in_width, out_width)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, spectrum: Tensor) -> Tensor:
        """(F, C, M, 64) -> (F, out_width)."""
        x = F.max_pool2d(F.relu(self.stem(spectrum)), 3, stride=2, padding=1)
        for stage in self.stages:
            x = stage(x)
        out: Tensor = self.out(x.amax((2, 3)))
        return out
