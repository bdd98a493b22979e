"""The parts of a network of two levels, as its configuration says, their weights drawn at random."""

from __future__ import annotations

from torch import nn

from avis_cli.models.two_level.config import (
    BackboneSizes,
    FrameStageConfig,
    ResNetSizes,
    SmallResNetSizes,
    TwoLevelConfig,
)
from avis_cli.nn.layers import HeadSizes, TransformerSizes
from avis_cli.nn.masked_decoder import HearingDecoderLayer, MaskedDecoderLayer
from avis_cli.nn.pixel_decoder import PixelDecoder
from avis_cli.nn.resnet import ResNet, SmallResNet
from avis_cli.nn.swin import SwinTransformer
from avis_cli.nn.tracker import Tracker, TrackerDepths


def build_encoder(config: FrameStageConfig) -> tuple[nn.Module, PixelDecoder]:
    """Backbone and pixel decoder."""
    backbone, widths = _backbone(config.backbone)
    pixel_decoder = PixelDecoder(
        in_widths=widths,
        lateral_widths=config.lateral_widths,
        sizes=TransformerSizes(config.width, config.heads, config.encoder_feed_forward),
        points=config.encoder_points,
        layers=config.encoder_layers,
        norm_groups=config.norm_groups,
    )
    return backbone, pixel_decoder


def _backbone(sizes: BackboneSizes) -> tuple[nn.Module, tuple[int, ...]]:
    if isinstance(sizes, ResNetSizes):
        resnet = ResNet(sizes.depths)
        return resnet, resnet.widths
    if isinstance(sizes, SmallResNetSizes):
        small = SmallResNet(sizes.widths, sizes.depths, sizes.norm_groups)
        return small, small.widths
    swin = SwinTransformer(sizes.width, sizes.depths, sizes.heads, sizes.window)
    return swin, swin.widths


def build_tracker(config: TwoLevelConfig) -> Tracker:
    """The video level."""
    return Tracker(
        TrackerDepths(config.tracker_self_layers, config.tracker_audio_layers, config.tracker_layers),
        layer_sizes(config),
        head_sizes(config),
        window=config.window,
        frame_queries=config.frame_queries,
        queries=config.video_queries,
        audio_width=config.audio_width,
    )


def build_decoder_layers(config: FrameStageConfig, *, audio_in_every_layer: bool) -> list[MaskedDecoderLayer]:
    """Of the localizer."""
    sizes = layer_sizes(config)
    return [
        HearingDecoderLayer(sizes, config.audio_width) if audio_in_every_layer else MaskedDecoderLayer(sizes)
        for _ in range(config.frame_layers)
    ]


def layer_sizes(config: FrameStageConfig) -> TransformerSizes:
    """Of the layers of both levels."""
    return TransformerSizes(config.width, config.heads, config.feed_forward)


def head_sizes(config: FrameStageConfig) -> HeadSizes:
    """Of the heads of both levels."""
    return HeadSizes(config.width, config.lateral_widths[0], config.mask_width, config.num_classes)
