"""TPAVI as one of the systems of `avis_cli.models`: built from a configuration, filled, recognised and trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from torch import Tensor, nn

from avis_cli.models.system import Kind, Match, System
from avis_cli.models.tpavi import checkpoint
from avis_cli.models.tpavi.config import PRESETS, NormResNetSizes, PvtSizes, TpaviConfig
from avis_cli.models.tpavi.learner import TpaviLearner
from avis_cli.models.tpavi.network import Tpavi
from avis_cli.models.tpavi.recipe import PARTS, RECIPES, TpaviRecipe
from avis_cli.models.training import Metrics, Training, fitting
from avis_cli.nn.audio_encoder import AudioEncoder
from avis_cli.nn.norm_resnet import NormResNet, Stage
from avis_cli.nn.pvt import PyramidTransformer
from avis_cli.nn.resnet import SmallResNet


class TpaviSystem(System):
    """TPAVI (Zhou et al., "Audio-Visual Segmentation", ECCV 2022; with semantics, IJCV 2024)."""

    family: ClassVar[str] = "tpavi"
    kind: ClassVar[Kind] = "map"
    config: ClassVar[type[TpaviConfig]] = TpaviConfig
    presets: Mapping[str, TpaviConfig] = PRESETS

    def build(self, config: TpaviConfig) -> Tpavi:
        return build(config)

    def matches(self, names: Collection[str]) -> Match:
        return checkpoint.match(names)

    def load(self, network: Tpavi, tensors: Mapping[str, Tensor]) -> None:
        checkpoint.load(network, tensors)

    def training(self) -> TpaviTraining:
        return TpaviTraining()


class TpaviTraining(Training):
    """TPAVI as AVSBench trains it; the tiny network from a frame stage that knows the world."""

    metrics: ClassVar[Metrics] = "maps"
    parts = PARTS
    starts_from = ("tpavi", "avism", "acvis", "seavis")

    def recipe(self, preset: str) -> TpaviRecipe:
        return RECIPES[preset]

    def learner(self, network: Tpavi, recipe: TpaviRecipe, audio_network: nn.Module | None) -> TpaviLearner:
        return TpaviLearner(network, recipe, audio_network)

    def target_stride(self, recipe: TpaviRecipe, config: TpaviConfig) -> int:
        return 1

    def taken_over(self, given: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return fitting(given, fresh)


def build(config: TpaviConfig) -> Tpavi:
    """The network that ``config`` describes, its weights drawn at random, in training mode."""
    backbone, widths = _backbone(config)
    audio_encoder = AudioEncoder(config.audio_width) if config.audio == "own" else None
    return Tpavi(config, backbone, widths[-4:], audio_encoder)


def _backbone(config: TpaviConfig) -> tuple[nn.Module, tuple[int, ...]]:
    sizes = config.backbone
    if isinstance(sizes, NormResNetSizes):
        resnet = NormResNet([Stage(depth, 1 if number == 0 else 2) for number, depth in enumerate(sizes.depths)])
        return resnet, resnet.widths
    if isinstance(sizes, PvtSizes):
        return PyramidTransformer(sizes.widths, sizes.depths, sizes.heads, sizes.reductions, sizes.ratio), sizes.widths
    small = SmallResNet(sizes.widths, sizes.depths, sizes.norm_groups)
    return small, small.widths
