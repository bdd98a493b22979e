"""The tiny network's own audio encoder: log-mel patch -> audio embedding, by four convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.nn.audio import LOG_OFFSET, MEL_BANDS

SILENCE = math.log(LOG_OFFSET)
LOUDNESS = 3.0  # nats; about the deviation of log-mel values where something sounds


class AudioEncoder(nn.Module):
    """3x3 convolutions at stride 2, mean and peak over time for each band, two linear layers. ``latest``: the end of
    the second goes in apart, about its last third, which says what sounds now and not only what did.

    No normalisation: silence is all zeros here, and a norm would amplify what is next to it.
    """

    def __init__(self, out_width: int, widths: Sequence[int] = (16, 32, 64, 96), *, latest: bool = False) -> None:
        super().__init__()
        ins = (1, *widths[:-1])
        self.convolutions = nn.ModuleList()
        for a, b in zip(ins, widths, strict=True):
            convolution = nn.Conv2d(a, b, 3, stride=2, padding=1)
            nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
            self.convolutions.append(convolution)
        bands = MEL_BANDS // 2 ** len(widths)
        self.latest = latest
        self.linear1 = nn.Linear((3 if latest else 2) * widths[-1] * bands, 256)
        self.linear2 = nn.Linear(256, out_width)

    def forward(self, log_mel: Tensor) -> Tensor:
        """log_mel (T, 96, 64), time before bands -> (T, out_width)."""
        x = (log_mel[:, None] - SILENCE) / LOUDNESS
        for convolution in self.convolutions:
            x = F.relu_(convolution(x))
        # (T, C, 6, 4) -> (T, 2 C 4), or (T, 3 C 4)
        parts = [x.mean(dim=2), x.amax(dim=2), *([x[:, :, -1]] if self.latest else [])]
        summary = torch.cat(parts, dim=1).flatten(1)
        heard = F.relu_(self.linear1(summary))
        out: Tensor = self.linear2(heard)
        return out
