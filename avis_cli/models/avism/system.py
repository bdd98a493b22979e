"""AVISM as one of the systems of `avis_cli.models`: built from a configuration, filled, recognised and trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from torch import Tensor, nn

from avis_cli.models.avism import checkpoint
from avis_cli.models.avism.config import PRESETS, AvismConfig
from avis_cli.models.avism.learner import AvismLearner
from avis_cli.models.avism.localizer import AudioFusion, Localizer
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.recipe import PARTS, RECIPES, RELEASED, AvismRecipe
from avis_cli.models.system import Kind, Match, System
from avis_cli.models.training import AudioAblation, Training
from avis_cli.models.two_level.build import build_decoder_layers, build_encoder, build_tracker, head_sizes
from avis_cli.nn.audio_encoder import AudioEncoder
from avis_cli.nn.pixel_decoder import PixelDecoder


class AvismSystem(System):
    """AVISM (Guo et al., "Audio-Visual Instance Segmentation", CVPR 2025, arXiv 2310.18709)."""

    family: ClassVar[str] = "avism"
    kind: ClassVar[Kind] = "clip"
    config: ClassVar[type[AvismConfig]] = AvismConfig
    presets: Mapping[str, AvismConfig] = PRESETS

    def build(self, config: AvismConfig) -> Avism:
        return build(config)

    def matches(self, names: Collection[str]) -> Match:
        return checkpoint.match(names)

    def load(self, network: Avism, tensors: Mapping[str, Tensor]) -> None:
        checkpoint.load(network, tensors)

    def training(self) -> AvismTraining:
        # needed by few, and slow to import
        return AvismTraining()


def build(config: AvismConfig) -> Avism:
    """The network that ``config`` describes, its weights drawn at random, in training mode."""
    backbone, pixel_decoder = build_encoder(config)
    audio_encoder = AudioEncoder(config.audio_width) if config.audio == "own" else None
    return Avism(config, backbone, pixel_decoder, _localizer(config), build_tracker(config), audio_encoder)


def _localizer(config: AvismConfig) -> Localizer:
    layers = build_decoder_layers(config, audio_in_every_layer=config.audio_in_every_layer)
    return Localizer(
        AudioFusion(config.audio_width, config.width, config.heads, PixelDecoder.LEVELS),
        layers,
        queries=config.frame_queries,
        levels=PixelDecoder.LEVELS,
        heads=head_sizes(config),
    )


class AvismTraining(Training):
    """AVISM as its authors train it, and the tiny network from scratch."""

    parts = PARTS
    class_heads = ("localizer.class_head", "tracker.class_head")

    def recipe(self, preset: str) -> AvismRecipe:
        return RECIPES.get(preset, RELEASED)

    def learner(self, network: Avism, recipe: AvismRecipe, audio_network: nn.Module | None) -> AvismLearner:
        return AvismLearner(network, recipe, audio_network)

    def target_stride(self, recipe: AvismRecipe, config: AvismConfig) -> int:
        return recipe.target_stride(config.mask_stride)

    def audio_ablation(self, recipe: AvismRecipe) -> AudioAblation:
        return AudioAblation(localizer=recipe.hears and recipe.fuses, tracker=recipe.hears)
