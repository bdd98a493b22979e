"""The networks of the online table: all trained from the offline network's frame stage, with the same steps, batches
and seed, each without one thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from avis_cli.models import SYSTEMS
from avis_cli.models.avism.localizer import AudioFusion, Localizer
from avis_cli.models.seavis.config import PRESETS, SeavisConfig
from avis_cli.models.seavis.localizer import SoundSoFar
from avis_cli.models.seavis.network import Seavis
from avis_cli.models.seavis.recipe import TINY, SeavisRecipe
from avis_cli.models.seavis.system import SeavisSystem, SeavisTraining, build
from avis_cli.models.two_level.build import build_decoder_layers, head_sizes
from avis_cli.nn.pixel_decoder import PixelDecoder, PixelFeatures
from avis_cli.progress import Progress, silent
from avis_cli.train.initial_weights import NAME
from avis_cli.train.run import train
from avis_cli.train.run_state import CHECKPOINT
from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe

PRESET = "seavis-tiny"
IN_FRAME, AHEAD = "seavis-tiny-in-frame", "seavis-tiny-second-ahead"
FAMILY = "seavis-variants"
INITIAL = "avism-tiny"
"""The weights whose frame stage every row starts from."""


class InFrameFusion(AudioFusion):
    """AVISM's fusion, which looks from the frame's sound at its levels, in a network that remembers projected sound."""

    def project(self, audio: Tensor) -> Tensor:
        out: Tensor = self.inward(audio)
        return out


class InFrameLocalizer(Localizer):
    """AVISM's localizer in the place of the causal one: the sound of earlier frames has no part in it."""

    def look(self, features: PixelFeatures, audio: Tensor, sound: SoundSoFar) -> list[Tensor]:
        return self.decode(features, audio)


class VariantSystem(SeavisSystem):
    """Networks that differ from `seavis-tiny` in what a recipe cannot say."""

    family: ClassVar[str] = FAMILY
    presets: Mapping[str, SeavisConfig] = {
        IN_FRAME: replace(PRESETS[PRESET], name=IN_FRAME),
        AHEAD: replace(PRESETS[PRESET], name=AHEAD, sound_lookahead=1.0),
    }

    def build(self, config: SeavisConfig) -> Seavis:
        network = build(config)
        if config.name == IN_FRAME:
            network.localizer = InFrameLocalizer(  # type: ignore[assignment]
                InFrameFusion(config.audio_width, config.width, config.heads, PixelDecoder.LEVELS),
                build_decoder_layers(config, audio_in_every_layer=config.audio_in_every_layer),
                queries=config.frame_queries,
                levels=PixelDecoder.LEVELS,
                heads=head_sizes(config),
            )
        return network

    def training(self) -> VariantTraining:
        return VariantTraining()


class VariantTraining(SeavisTraining):
    """As `seavis-tiny` is trained."""

    def recipe(self, preset: str) -> SeavisRecipe:
        return TINY


def register() -> None:
    """Let presets and weights files of the variants be found."""
    SYSTEMS[FAMILY] = f"{__name__}:{VariantSystem.__name__}"


@dataclass(frozen=True)
class OnlineRow:
    """``without``: the part of the recipe that is left out; ``preset``: the network."""

    without: str | None = None
    preset: str = PRESET


ONLINE_ROWS: dict[str, OnlineRow] = {
    "full": OnlineRow(),
    "no-contrast": OnlineRow("contrast"),
    "second-ahead": OnlineRow(preset=AHEAD),
    "in-frame": OnlineRow(preset=IN_FRAME),
    "frame-contrast-only": OnlineRow("instance-contrast"),
    "instance-contrast-only": OnlineRow("frame-contrast"),
    "silent-by-likeness": OnlineRow("silent-truth"),
}
"""By the name of their folder; the first ones matter most."""


@dataclass(frozen=True)
class OnlineRuns:
    """What all rows share. ``data``: folder with the clips; ``runs``: where their folders lie; ``steps``, ``seed`` of
    each; ``device``, ``precision``, ``pack`` and ``workers`` as in a `TrainRequest`."""

    data: Path
    runs: Path
    steps: int
    seed: int = 0
    device: str = "cpu"
    precision: str = "auto"
    pack: bool = True
    workers: int = 0

    def request(self, name: str) -> TrainRequest:
        """The training of one row."""
        register()
        row, out = ONLINE_ROWS[name], self.runs / name
        return TrainRequest(
            self.data, row.preset, out, chosen_recipe(row.preset, without=row.without, given=True),
            Budget(self.steps), init=INITIAL, seed=self.seed, device=self.device, precision=self.precision,
            pack=self.pack, workers=self.workers, resume=(out / CHECKPOINT).exists(), pace=Pace(checkpoint=50),
        )  # fmt: skip

    def train(self, name: str, on_progress: Progress = silent, on_note: Callable[[str], None] = print) -> Path:
        """Train a row of ``ONLINE_ROWS`` unless its weights are there; a stopped training goes on where it was.
        Returns the weights file."""
        weights = self.runs / name / NAME
        if not weights.exists():
            if self.pack:
                self._share_packed_clips(name)
            train(self.request(name), on_progress=on_progress, on_note=on_note)
        return weights

    def _share_packed_clips(self, name: str) -> None:
        cache, link = self.runs / "cache", self.runs / name / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(cache.resolve(), target_is_directory=True)
