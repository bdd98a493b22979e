"""What every network here begins with: backbone, pixel decoder and localizer, which look at single frames, and the
audio network of its own.

Shape letters: B frames, T token frames, C channels, H, W.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.nn.masked_decoder import MaskedDecoder
from avis_cli.nn.pixel_decoder import PixelDecoder, PixelFeatures


class FrameStage(nn.Module, ABC):
    """Backbone, pixel decoder and localizer, passed in already built; what makes the audio embeddings is a system's
    own.

    Autocast's half precision is for the backbone and the pixel decoder, which have nine tenths of the products. At
    inference the rest works in float32: there numbers become decisions (where a query may look, which class it is,
    which cells are in a mask) that a rounding turns over.
    """

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: Any, backbone: nn.Module, pixel_decoder: PixelDecoder, localizer: MaskedDecoder) -> None:
        """``config``, a `FrameStageConfig`, is kept for those who use the network; the parts were built from it and
        never see it."""
        super().__init__()
        self.config = config
        self.backbone = backbone
        self.pixel_decoder = pixel_decoder
        self.localizer = localizer
        self.register_buffer("pixel_mean", torch.tensor(config.pixel_mean)[:, None, None], persistent=False)
        self.register_buffer("pixel_std", torch.tensor(config.pixel_std)[:, None, None], persistent=False)

    @property
    def device(self) -> torch.device:
        return self.pixel_mean.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters; under autocast the work is done in autocast's."""
        return self.pixel_mean.dtype

    @property
    def frames_per_pass(self) -> int:
        """Frames that go through the backbone together: on a CPU more of them only leave the cache."""
        return 1 if self.device.type == "cpu" else 8

    @torch.no_grad()
    def embed_log_mel(self, patches: Tensor) -> Tensor:
        """Log-mel patches (T, 96, 64) -> embeddings (T, audio width), by the network's own audio network.

        Raises UsageError where it has none and reads VGGish embeddings.
        """
        return self.encode_audio(patches.to(self.device, self.dtype)).float()

    @abstractmethod
    def encode_audio(self, log_mel: Tensor) -> Tensor:
        """As ``embed_log_mel``, for training."""

    def features(self, frames: Tensor) -> PixelFeatures:
        """Frames (B, 3, h, w), 0..255 -> PixelFeatures of the normalised frames, padded right and bottom with zeros;
        in float32, whatever autocast made them in."""
        out: PixelFeatures = self.pixel_decoder(self.maps(frames))
        return out.float()

    def maps(self, frames: Tensor) -> list[Tensor]:
        """As ``features``, the backbone's maps only, finest first."""
        x = (frames.to(self.device, self.dtype) - self.pixel_mean) / self.pixel_std
        height, width = frames.shape[-2:]
        divisor = self.config.size_divisor
        out: list[Tensor] = self.backbone(F.pad(x, (0, -width % divisor, 0, -height % divisor)))
        return out

    def kept_type(self) -> torch.dtype:
        """Element type of mask features: they are computed in float32 and kept in autocast's, which is one rounding and
        half the memory for each frame."""
        device = self.device.type
        return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.dtype

    def in_float32(self) -> torch.autocast:
        """A context in which autocast is off."""
        return torch.autocast(self.device.type, enabled=False)

    def check_frames(self, frames: Tensor) -> None:
        """Raises UsageError for frames that are not uint8 (T, 3, h, w)."""
        if frames.ndim != 4 or frames.shape[1] != 3 or frames.dtype != torch.uint8 or 0 in frames.shape:
            raise UsageError(
                f"frames of shape {tuple(frames.shape)} and type {frames.dtype}, expected (T, 3, h, w) of uint8",
                hint="give RGB frames at network size",
            )
