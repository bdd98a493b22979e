"""A system of the smallest kind that can be trained: what somebody writes who adds one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from avis_cli.errors import WeightsError
from avis_cli.models.system import ClipConfig, Match, System
from avis_cli.models.tokens import FrameTokens, TrackQueries, sounding

TOY = ClipConfig(
    name="toy-one", categories=("bell", "drum"), short_side=32, long_side=64, size_divisor=4, audio="own",
    audio_width=8, width=16, heads=1, frame_queries=3, video_queries=3, gate=True, masks_every_frame=True,
)  # fmt: skip


class ToyNetwork(nn.Module):
    """Queries that know the sound, masks that know the colour."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        self.config = config
        self.hearing = nn.Linear(64, config.audio_width)
        self.queries = nn.Embedding(config.frame_queries, config.width)
        self.fusion = nn.Linear(config.audio_width, config.width)
        self.colours = nn.Conv2d(3, config.width, 4, stride=4)
        self.class_head = nn.Linear(config.width, config.num_classes + 1)

    @property
    def device(self) -> torch.device:
        return self.fusion.weight.device

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        out: Tensor = self.hearing(patches.mean(1))
        return out

    def mask_features(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[-2:]
        padded = nn.functional.pad(frames.float() / 255, (0, -width % 4, 0, -height % 4))
        out: Tensor = self.colours(padded)
        return out

    def localize(self, frames: Tensor, audio: Tensor) -> FrameTokens:
        queries = self.queries.weight + self.fusion(audio)[:, None]
        size = (frames.shape[-2], frames.shape[-1])
        return FrameTokens(queries, self.class_head(queries), audio, self.mask_features(frames), size)

    def track(self, tokens: FrameTokens | Tensor, audio: Tensor | None = None) -> TrackQueries:
        queries = tokens.queries if isinstance(tokens, FrameTokens) else tokens
        tracks = queries.mean(0)
        return TrackQueries(self.class_head(tracks), tracks, tracks, queries)

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        return sounding(tokens, tracks, queries, classes)


class ToySystem(System):
    family = "toy"
    kind = "clip"
    presets: Mapping[str, ClipConfig] = {TOY.name: TOY}

    def read_config(self, values: Mapping[str, Any]) -> ClipConfig:
        return ClipConfig.from_dict(values)

    def build(self, config: ClipConfig) -> ToyNetwork:
        return ToyNetwork(config)

    def matches(self, names: Collection[str]) -> Match:
        return Match(TOY.name) if "toy.fusion" in names else Match(None, "no toy.fusion")

    def load(self, network: ToyNetwork, tensors: Mapping[str, Tensor]) -> None:
        try:
            network.load_state_dict(dict(tensors))
        except RuntimeError as error:
            raise WeightsError(f"not the weights of a toy ({error})") from error
