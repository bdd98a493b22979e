"""A system of the smallest kind that can be trained: what somebody writes who adds one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from avis_cli.models.system import ClipConfig, Match, System
from avis_cli.models.tokens import FrameTokens, TrackQueries, sounding
from avis_cli.models.training import BatchShape, Learner, Recipe, Training
from avis_cli.nn.clip_batch import ClipBatch

TOY = ClipConfig(
    name="toy-one", categories=("bell", "drum"), short_side=32, size_divisor=4, audio="own", width=16, frame_queries=3
)


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

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        return self.hearing(patches.mean(1))

    def mask_features(self, frames: Tensor) -> Tensor:
        return self.colours(nn.functional.pad(frames / 255, (0, -frames.shape[-1] % 4, 0, -frames.shape[-2] % 4)))

    def localize(self, frames: Tensor, audio: Tensor) -> FrameTokens:
        queries = self.queries.weight + self.fusion(audio)[:, None]
        logits, size = self.class_head(queries), (frames.shape[-2], frames.shape[-1])
        return FrameTokens(queries, logits, audio, self.mask_features(frames), size)

    def track(self, tokens: FrameTokens) -> TrackQueries:
        tracks = tokens.queries.mean(0)
        return TrackQueries(self.class_head(tracks), tracks, tracks, tokens.queries)

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        return sounding(tokens, tracks, queries, classes)


class ToyLoss(NamedTuple):
    total: Tensor

    def numbers(self) -> dict[str, float]:
        return {"total": float(self.total.detach())}


class ToyLearner(Learner):
    def __init__(self, network: ToyNetwork) -> None:
        super().__init__()
        self.network: ToyNetwork = network

    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> ToyLoss:
        audio = self.network.embed_log_mel(batch.patches.flatten(0, 1))
        tokens = self.network.localize(batch.frames.flatten(0, 1), audio)
        heard, wanted = tokens.class_logits[..., :-1].amax(1), batch.targets.tags.flatten(0, 1).float()
        return ToyLoss(nn.functional.binary_cross_entropy_with_logits(heard, wanted))


class ToyTraining(Training):
    class_heads = ("class_head",)

    def recipe(self, preset: str) -> Recipe:
        return Recipe(shapes=(BatchShape(2, 3),), learning_rate=1e-2)

    def learner(self, network: ToyNetwork, recipe: Recipe, audio_network: nn.Module | None) -> ToyLearner:
        return ToyLearner(network)

    def target_stride(self, recipe: Recipe, config: ClipConfig) -> int:
        return 4


class ToySystem(System):
    family = "toy"
    kind = "clip"
    presets: Mapping[str, ClipConfig] = {TOY.name: TOY}

    def build(self, config: ClipConfig) -> ToyNetwork:
        return ToyNetwork(config)

    def matches(self, names: Collection[str]) -> Match:
        return Match(TOY.name) if "toy.fusion" in names else Match(None, "no toy.fusion")

    def load(self, network: ToyNetwork, tensors: Mapping[str, Tensor]) -> None:
        network.load_state_dict(dict(tensors))

    def training(self) -> ToyTraining:
        return ToyTraining()
