"""AVISM as one of the systems of `avis_cli.models`: built from a configuration, filled, recognised and trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from torch import Tensor, nn

from avis_cli.models.avism import checkpoint
from avis_cli.models.avism.audio_encoder import AudioEncoder
from avis_cli.models.avism.config import PRESETS, AvismConfig, BackboneSizes, ResNetSizes, SmallResNetSizes
from avis_cli.models.avism.learner import AvismLearner
from avis_cli.models.avism.localizer import AudioFusion, FrameDecoderLayer, HearingDecoderLayer, Localizer
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.recipe import PARTS, RECIPES, RELEASED, AvismRecipe
from avis_cli.models.avism.tracker import Tracker, TrackerDepths
from avis_cli.models.system import Kind, Match, System
from avis_cli.models.training import AudioAblation, Training
from avis_cli.nn.layers import HeadSizes, TransformerSizes
from avis_cli.nn.pixel_decoder import PixelDecoder
from avis_cli.nn.resnet import ResNet, SmallResNet
from avis_cli.nn.swin import SwinTransformer


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
    backbone, widths = _backbone(config.backbone)
    pixel_decoder = PixelDecoder(
        in_widths=widths,
        lateral_widths=config.lateral_widths,
        sizes=TransformerSizes(config.width, config.heads, config.encoder_feed_forward),
        points=config.encoder_points,
        layers=config.encoder_layers,
        norm_groups=config.norm_groups,
    )
    audio_encoder = AudioEncoder(config.audio_width) if config.audio == "own" else None
    return Avism(config, backbone, pixel_decoder, _localizer(config), _tracker(config), audio_encoder)


def _backbone(sizes: BackboneSizes) -> tuple[nn.Module, tuple[int, ...]]:
    if isinstance(sizes, ResNetSizes):
        resnet = ResNet(sizes.depths)
        return resnet, resnet.widths
    if isinstance(sizes, SmallResNetSizes):
        small = SmallResNet(sizes.widths, sizes.depths, sizes.norm_groups)
        return small, small.widths
    swin = SwinTransformer(sizes.width, sizes.depths, sizes.heads, sizes.window)
    return swin, swin.widths


def _localizer(config: AvismConfig) -> Localizer:
    sizes = TransformerSizes(config.width, config.heads, config.feed_forward)
    layers: list[FrameDecoderLayer] = [
        HearingDecoderLayer(sizes, config.audio_width) if config.audio_in_every_layer else FrameDecoderLayer(sizes)
        for _ in range(config.frame_layers)
    ]
    return Localizer(
        AudioFusion(config.audio_width, config.width, config.heads, PixelDecoder.LEVELS),
        layers,
        queries=config.frame_queries,
        levels=PixelDecoder.LEVELS,
        heads=_heads(config),
    )


def _heads(config: AvismConfig) -> HeadSizes:
    return HeadSizes(config.width, config.lateral_widths[0], config.mask_width, config.num_classes)


def _tracker(config: AvismConfig) -> Tracker:
    return Tracker(
        TrackerDepths(config.tracker_self_layers, config.tracker_audio_layers, config.tracker_layers),
        TransformerSizes(config.width, config.heads, config.feed_forward),
        _heads(config),
        window=config.window,
        frame_queries=config.frame_queries,
        queries=config.video_queries,
        audio_width=config.audio_width,
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
        # points are sampled from masks at the frames' own size
        return config.mask_stride if recipe.points is None else 1

    def audio_ablation(self, recipe: AvismRecipe) -> AudioAblation:
        return AudioAblation(localizer=recipe.hears and recipe.fuses, tracker=recipe.hears)
