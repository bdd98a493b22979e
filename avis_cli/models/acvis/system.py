"""ACVIS as one of the systems of `avis_cli.models`: built from a configuration, filled, recognised and trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from torch import Tensor, nn

from avis_cli.models.acvis import checkpoint
from avis_cli.models.acvis.config import PRESETS, AcvisConfig
from avis_cli.models.acvis.learner import AcvisLearner
from avis_cli.models.acvis.localizer import CountingLocalizer, QueryGenerator
from avis_cli.models.acvis.network import Acvis
from avis_cli.models.acvis.recipe import RELEASED, AcvisRecipe
from avis_cli.models.system import Kind, Match, System
from avis_cli.models.training import Training
from avis_cli.models.two_level.build import build_encoder, build_tracker, head_sizes, layer_sizes
from avis_cli.nn.masked_decoder import MaskedDecoderLayer
from avis_cli.nn.pixel_decoder import PixelDecoder
from avis_cli.nn.vggish import QuantizedVggish, Vggish


class AcvisSystem(System):
    """ACVIS (Seo et al., "Learning What To Hear: Boosting Sound-Source Association for Robust Audiovisual Instance
    Segmentation", ICASSP 2026, arXiv 2509.22740)."""

    family: ClassVar[str] = "acvis"
    kind: ClassVar[Kind] = "clip"
    config: ClassVar[type[AcvisConfig]] = AcvisConfig
    presets: Mapping[str, AcvisConfig] = PRESETS

    def build(self, config: AcvisConfig) -> Acvis:
        return build(config)

    def matches(self, names: Collection[str]) -> Match:
        return checkpoint.match(names)

    def load(self, network: Acvis, tensors: Mapping[str, Tensor]) -> None:
        checkpoint.load(network, tensors)

    def training(self) -> AcvisTraining:
        return AcvisTraining()


def build(config: AcvisConfig) -> Acvis:
    """The network that ``config`` describes, its weights drawn at random, in training mode."""
    backbone, pixel_decoder = build_encoder(config)
    localizer = CountingLocalizer(
        QueryGenerator(config.audio_width, config.width, config.heads, config.generator_layers),
        [MaskedDecoderLayer(layer_sizes(config)) for _ in range(config.frame_layers)],
        queries=config.frame_queries,
        levels=PixelDecoder.LEVELS,
        heads=head_sizes(config),
    )
    vggish = Vggish(config.vggish_widths, config.vggish_hidden, config.audio_width)
    return Acvis(config, backbone, pixel_decoder, localizer, build_tracker(config), QuantizedVggish(vggish))


class AcvisTraining(Training):
    """ACVIS as its authors train it."""

    class_heads = ("localizer.class_head", "tracker.class_head")

    def recipe(self, preset: str) -> AcvisRecipe:
        return RELEASED

    def learner(self, network: Acvis, recipe: AcvisRecipe, audio_network: nn.Module | None) -> AcvisLearner:
        return AcvisLearner(network, recipe)

    def target_stride(self, recipe: AcvisRecipe, config: AcvisConfig) -> int:
        return recipe.target_stride(config.mask_stride)
