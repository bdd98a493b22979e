"""ACVIS assembled: two levels that hear the quantised VGGish features of their own audio network."""

from __future__ import annotations

from torch import Tensor, nn

from avis_cli.models.acvis.config import AcvisConfig
from avis_cli.models.acvis.localizer import CountingLocalizer
from avis_cli.models.two_level.network import TwoLevelNetwork
from avis_cli.nn.pixel_decoder import PixelDecoder
from avis_cli.nn.tracker import Tracker
from avis_cli.nn.vggish import QuantizedVggish


class Acvis(TwoLevelNetwork):
    """ACVIS (Seo et al., "Learning What To Hear", ICASSP 2026, arXiv 2509.22740), its parts passed in already built."""

    config: AcvisConfig
    localizer: CountingLocalizer

    def __init__(
        self,
        config: AcvisConfig,
        backbone: nn.Module,
        pixel_decoder: PixelDecoder,
        localizer: CountingLocalizer,
        tracker: Tracker,
        audio_network: QuantizedVggish,
    ) -> None:
        """``config``: as ``TwoLevelNetwork`` has it. ``audio_network`` is frozen: no loss reaches it through the
        rounding."""
        super().__init__(config, backbone, pixel_decoder, localizer, tracker)
        self.audio_network = audio_network.requires_grad_(False)

    def encode_audio(self, log_mel: Tensor) -> Tensor:
        out: Tensor = self.audio_network(log_mel)
        return out
