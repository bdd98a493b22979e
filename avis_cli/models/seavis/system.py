"""SeaVIS as one of the systems of `avis_cli.models`: built from a configuration, filled, recognised and trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from avis_cli.errors import WeightsError
from avis_cli.models import checkpoint
from avis_cli.models.seavis.config import PRESETS, SeavisConfig
from avis_cli.models.seavis.learner import SeavisLearner
from avis_cli.models.seavis.localizer import CausalFusion, CausalLocalizer
from avis_cli.models.seavis.network import Seavis
from avis_cli.models.seavis.recipe import PARTS, RECIPES, RELEASED, SeavisRecipe
from avis_cli.models.system import Kind, Match, System
from avis_cli.models.training import Metrics, Training
from avis_cli.models.two_level.build import build_decoder_layers, build_encoder, head_sizes
from avis_cli.nn.audio_encoder import AudioEncoder
from avis_cli.nn.pixel_decoder import PixelDecoder

FRAME_STAGE = ("backbone.", "pixel_decoder.", "localizer.", "audio_encoder.")
"""What names begin with of the parts that AVISM and ACVIS have too."""
_HEARS = "audio_encoder.linear1.weight"


class SeavisSystem(System):
    """SeaVIS (Zhu et al., arXiv 2603.01431): online. Neither code nor weights were published, so that no checkpoint
    but ours is recognised."""

    family: ClassVar[str] = "seavis"
    kind: ClassVar[Kind] = "online"
    config: ClassVar[type[SeavisConfig]] = SeavisConfig
    presets: Mapping[str, SeavisConfig] = PRESETS

    def build(self, config: SeavisConfig) -> Seavis:
        return build(config)

    def matches(self, names: Collection[str]) -> Match:
        return Match(None, "no checkpoint of it was published")

    def load(self, network: Seavis, tensors: Mapping[str, Tensor]) -> None:
        checkpoint.load(network, tensors, [])

    def training(self) -> SeavisTraining:
        return SeavisTraining()


def build(config: SeavisConfig) -> Seavis:
    """The network that ``config`` describes, its weights drawn at random, in training mode."""
    backbone, pixel_decoder = build_encoder(config)
    localizer = CausalLocalizer(
        CausalFusion(config.audio_width, config.width, config.heads, PixelDecoder.LEVELS),
        build_decoder_layers(config, audio_in_every_layer=config.audio_in_every_layer),
        queries=config.frame_queries,
        levels=PixelDecoder.LEVELS,
        heads=head_sizes(config),
    )
    audio_encoder = AudioEncoder(config.audio_width, latest=config.latest_sound) if config.audio == "own" else None
    return Seavis(config, backbone, pixel_decoder, localizer, audio_encoder)


class SeavisTraining(Training):
    """From a frame stage that AVISM or ACVIS trained, or from scratch."""

    metrics: ClassVar[Metrics] = "online"
    parts = PARTS
    class_heads = ("localizer.class_head",)
    starts_from = ("avism", "acvis")

    def recipe(self, preset: str) -> SeavisRecipe:
        return RECIPES.get(preset, RELEASED)

    def learner(self, network: Seavis, recipe: SeavisRecipe, audio_network: nn.Module | None) -> SeavisLearner:
        return SeavisLearner(network, recipe, audio_network)

    def target_stride(self, recipe: SeavisRecipe, config: SeavisConfig) -> int:
        return recipe.target_stride(config.mask_stride)

    def sound_lookahead(self, config: SeavisConfig) -> float:
        return config.sound_lookahead

    def taken_over(self, given: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The frame stage of ``given``; how it fuses sound and picture is AVISM's and stays behind."""
        given = {**given, **_widened(given, fresh)}
        shared = {name for name in fresh if name.startswith(FRAME_STAGE) and not name.startswith("localizer.fusion.")}
        missing = sorted(name for name in shared if name not in given or given[name].shape != fresh[name].shape)
        if missing:
            raise WeightsError(
                f"these weights have another frame stage ({len(missing)} of {len(shared)} tensors do not fit, the "
                f"first {missing[0]})",
                hint="start from weights of the same backbone and sizes",
            )
        return {name: given[name] if name in shared else tensor for name, tensor in fresh.items()}


def _widened(given: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """An audio encoder that looks at the end of the second too begins as one that does not."""
    narrow, wide = given.get(_HEARS), fresh.get(_HEARS)
    if narrow is None or wide is None or narrow.ndim != 2 or 2 * wide.shape[1] != 3 * narrow.shape[1]:
        return {}
    return {_HEARS: torch.cat([narrow, narrow.new_zeros(len(narrow), wide.shape[1] - narrow.shape[1])], dim=1)}
