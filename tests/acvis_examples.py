"""ACVIS at a size that is quick to build, write to disk and train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from avis_cli.models.acvis.config import PRESETS, AcvisConfig
from avis_cli.models.acvis.recipe import AcvisRecipe
from avis_cli.models.training import BatchShape
from avis_cli.models.two_level.config import ResNetSizes

SMALL: dict[str, Any] = {
    "backbone": ResNetSizes((1, 1, 1, 1)), "width": 32, "norm_groups": 8, "lateral_widths": (32,), "mask_width": 32,
    "encoder_layers": 1, "encoder_feed_forward": 16, "feed_forward": 16, "frame_queries": 6, "frame_layers": 2,
    "video_queries": 6, "tracker_self_layers": 1, "tracker_audio_layers": 1, "tracker_layers": 1,
    "vggish_widths": (2, 2, 4, 4), "vggish_hidden": 8, "short_side": 64,
}  # fmt: skip
"""Changes to a preset's configuration that keep its make, and so its released names."""


QUICK = AcvisRecipe(shapes=(BatchShape(1, 2),), points=400)
"""A recipe whose steps take little time."""


def small(preset: str, **changes: Any) -> AcvisConfig:
    """The configuration of ``preset``, small."""
    return replace(PRESETS[preset], **{**SMALL, **changes})
