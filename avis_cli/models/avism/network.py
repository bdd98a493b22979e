"""AVISM assembled: two levels that hear VGGish embeddings, or those of an audio encoder of its own."""

from __future__ import annotations

from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.models.avism.config import AvismConfig
from avis_cli.models.avism.localizer import Localizer
from avis_cli.models.two_level.network import TwoLevelNetwork
from avis_cli.nn.pixel_decoder import PixelDecoder
from avis_cli.nn.tracker import Tracker


class Avism(TwoLevelNetwork):
    """AVISM (Guo et al. 2025, "Audio-Visual Instance Segmentation", section 4), its parts passed in already built."""

    config: AvismConfig

    def __init__(
        self,
        config: AvismConfig,
        backbone: nn.Module,
        pixel_decoder: PixelDecoder,
        localizer: Localizer,
        tracker: Tracker,
        audio_encoder: nn.Module | None = None,
    ) -> None:
        """``config``: as ``TwoLevelNetwork`` has it. ``audio_encoder``: log-mel patches (T, 96, 64) -> embeddings."""
        super().__init__(config, backbone, pixel_decoder, localizer, tracker)
        self.audio_encoder = audio_encoder

    def encode_audio(self, log_mel: Tensor) -> Tensor:
        if self.audio_encoder is None:
            raise UsageError(f"{self.config.name} has no audio encoder of its own", hint="embed its audio with VGGish")
        out: Tensor = self.audio_encoder(log_mel)
        return out
