"""What a network of AVISM is made of, as data, and the presets by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avis_cli.models.two_level.config import (
    AVISEG_CATEGORIES,
    SYNTHETIC_CATEGORIES,
    ResNetSizes,
    SmallResNetSizes,
    SwinSizes,
    TwoLevelConfig,
)


@dataclass(frozen=True, kw_only=True)
class AvismConfig(TwoLevelConfig):
    """``audio_in_every_layer``: whether each layer of the localizer is told the frame's sound again."""

    audio_in_every_layer: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AvismConfig:
        """Inverse of ``to_dict``. Raises WeightsError as it does for every system's."""
        # files of earlier versions say which naming the authors' checkpoint had
        return super().from_dict({name: value for name, value in values.items() if name != "released_as"})


def _released(name: str, **sizes: Any) -> AvismConfig:
    return AvismConfig(name=name, categories=AVISEG_CATEGORIES, **sizes)


_SWIN_L: dict[str, Any] = {"backbone": SwinSizes(), "short_side": 448, "frame_queries": 200}

PRESETS: dict[str, AvismConfig] = {
    config.name: config
    for config in (
        _released("avism-r50-in", backbone=ResNetSizes()),
        _released("avism-r50-coco", backbone=ResNetSizes()),
        _released("avism-swinl-in", **_SWIN_L),
        _released("avism-swinl-coco", **_SWIN_L),
        AvismConfig(
            name="avism-tiny",
            categories=SYNTHETIC_CATEGORIES,
            backbone=SmallResNetSizes(),
            short_side=96,
            long_side=256,
            gate=True,
            masks_every_frame=True,
            audio="own",
            audio_in_every_layer=True,
            width=128,
            norm_groups=16,
            encoder_layers=0,
            lateral_widths=(32, 64),
            mask_width=32,
            mask_stride=2,
            feed_forward=512,
            frame_queries=16,
            frame_layers=3,
            video_queries=32,
            tracker_self_layers=2,
            tracker_audio_layers=2,
            tracker_layers=2,
        ),
    )
}
