"""What a network of SeaVIS is made of, as data, and the presets by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from avis_cli.models.ranges import Range
from avis_cli.models.system import OnlineConfig
from avis_cli.models.two_level.config import (
    AVISEG_CATEGORIES,
    SYNTHETIC_CATEGORIES,
    FrameStageConfig,
    ResNetSizes,
    SmallResNetSizes,
)


@dataclass(frozen=True, kw_only=True)
class SeavisConfig(FrameStageConfig, OnlineConfig):
    """``audio_in_every_layer``: whether each layer of the localizer is told the frame's sound again.
    ``latest_sound``: whether its own audio encoder looks at the end of the second apart. ``history``: H, the token
    frames whose sound a frame attends to, its own among them.

    Association: candidates are queries whose largest class probability exceeds ``candidate_score``; of two whose masks
    overlap at an IoU above ``duplicate_iou`` the better stays; one takes a track where they are alike by more than
    ``match_score`` and the cosine of their embeddings exceeds ``match_cosine``, and begins a track where it finds none
    and exceeds ``new_track_score``; a track ends that was not seen for ``track_life`` token frames; its memory is of
    the last ``memory`` embeddings.
    Gate: a candidate whose embedding has the cosine c to its frame's audio anchor sounds by
    sigmoid((c - ``gate_cosine``) / ``gate_softness``).
    """

    RANGES: ClassVar[Mapping[str, Range]] = {
        "history": (1, 4096),
        "candidate_score": (0, 1),
        "duplicate_iou": (0, 1),
        "match_score": (0, 1),
        "match_cosine": (-1, 1),
        "new_track_score": (0, 1),
        "track_life": (1, 100_000),
        "memory": (1, 1000),
        "gate_cosine": (-1, 1),
        "gate_softness": (0.001, 10),
    }

    audio_in_every_layer: bool = False
    latest_sound: bool = False
    history: int = 64
    candidate_score: float = 0.01
    duplicate_iou: float = 0.6
    match_score: float = 0.3
    match_cosine: float = -1.0
    new_track_score: float = 0.01
    track_life: int = 20
    memory: int = 10
    gate_cosine: float = 0.5
    gate_softness: float = 0.1


PRESETS: dict[str, SeavisConfig] = {
    config.name: config
    for config in (
        SeavisConfig(
            name="seavis-r50",
            categories=AVISEG_CATEGORIES,
            backbone=ResNetSizes(),
            gate=True,
            masks_every_frame=True,
            # its frame stage comes from AVISM's or ACVIS's, which hear the second that starts at a frame
            sound_lookahead=1.0,
        ),
        SeavisConfig(
            name="seavis-tiny",
            categories=SYNTHETIC_CATEGORIES,
            backbone=SmallResNetSizes(),
            short_side=96,
            long_side=256,
            gate=True,
            masks_every_frame=True,
            audio="own",
            audio_in_every_layer=True,
            latest_sound=True,
            # of the same objects embeddings are near each other here; without it what is new takes an old track
            match_cosine=0.8,
            width=128,
            norm_groups=16,
            encoder_layers=0,
            lateral_widths=(32, 64),
            mask_width=32,
            mask_stride=2,
            feed_forward=512,
            frame_queries=16,
            frame_layers=3,
        ),
    )
}
