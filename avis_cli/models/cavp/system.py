"""CAVP as one of the systems of `avis_cli.models`: built from a configuration, filled, recognised and trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import ClassVar

from torch import Tensor, nn

from avis_cli.models.cavp import checkpoint
from avis_cli.models.cavp.config import PRESETS, CavpConfig, DilatedResNetSizes
from avis_cli.models.cavp.hearing import AudioResNet
from avis_cli.models.cavp.learner import CavpLearner
from avis_cli.models.cavp.network import Cavp
from avis_cli.models.cavp.recipe import PARTS, RECIPES, CavpRecipe
from avis_cli.models.system import Kind, Match, System
from avis_cli.models.training import Learner, Metrics, ParameterGroup, Recipe, Training, fitting, parameter_groups
from avis_cli.nn.norm_resnet import NormResNet, Stage
from avis_cli.nn.resnet import SmallResNet
from avis_cli.nn.vggish import Vggish

_LAST_DILATIONS = (2, 4, 8)


class CavpSystem(System):
    """CAVP (Chen et al., CVPR 2024, arXiv 2304.02970)."""

    family: ClassVar[str] = "cavp"
    kind: ClassVar[Kind] = "map"
    config: ClassVar[type[CavpConfig]] = CavpConfig
    presets: Mapping[str, CavpConfig] = PRESETS

    def build(self, config: CavpConfig) -> Cavp:
        return build(config)

    def matches(self, names: Collection[str]) -> Match:
        return checkpoint.match(names)

    def load(self, network: Cavp, tensors: Mapping[str, Tensor]) -> None:
        checkpoint.load(network, tensors)

    def training(self) -> CavpTraining:
        return CavpTraining()


class CavpTraining(Training):
    """CAVP as its authors train it; the tiny network from a backbone that knows the world."""

    metrics: ClassVar[Metrics] = "maps"
    parts = PARTS
    starts_from = ("cavp", "avism", "acvis", "seavis", "tpavi")

    def recipe(self, preset: str) -> CavpRecipe:
        return RECIPES[preset]

    def learner(self, network: Cavp, recipe: CavpRecipe, audio_network: nn.Module | None) -> CavpLearner:
        return CavpLearner(network, recipe)

    def target_stride(self, recipe: CavpRecipe, config: CavpConfig) -> int:
        return 1

    def taken_over(self, given: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return fitting(given, fresh)

    def parameter_groups(self, learner: Learner, recipe: Recipe) -> list[ParameterGroup]:
        """As every system's, or as released: Adam at a constant rate for the audio network, rates of their own for
        the others, and decay of all that projector and fusion have."""
        assert isinstance(learner, CavpLearner)
        assert isinstance(recipe, CavpRecipe)
        if recipe.optimizer == "adamw":
            return super().parameter_groups(learner, recipe)
        network = learner.network
        parts: list[tuple[list[nn.Module], float]] = [
            ([network.backbone], recipe.backbone_factor),
            ([network.pyramid, network.low], recipe.pyramid_factor),
            ([network.classifier], recipe.head_factor),
        ]
        groups = [
            replace(group, factor=factor, optimizer="sgd")
            for modules, factor in parts
            for group in parameter_groups(modules, None, recipe)
        ]
        joined = [
            p
            for part in (network.projector, network.fusion, network.place, network.direction)
            if part is not None
            for p in part.parameters()
        ]
        groups.append(ParameterGroup(joined, recipe.joint_factor, recipe.weight_decay, optimizer="sgd"))
        groups.append(ParameterGroup(list(network.hearing.parameters()), 1.0, 0.0, optimizer="adam", constant=True))
        return groups


def build(config: CavpConfig) -> Cavp:
    """The network that ``config`` describes, its weights drawn at random, in training mode."""
    width = config.joint_width
    hearing: nn.Module
    if config.hearing == "vggish":
        hearing = Vggish(config.hearing_widths, config.hearing_hidden, width)
    else:
        hearing = AudioResNet(config.sound_channels, config.hearing_widths, width)
    sizes = config.backbone
    if isinstance(sizes, DilatedResNetSizes):
        first, second, third, fourth = sizes.depths
        stages = [
            Stage(first, 1), Stage(second, 2), Stage(third, 1, (1, *(2,) * third)) if sizes.dense else Stage(third, 2),
            Stage(fourth, 1, _LAST_DILATIONS),
        ]  # fmt: skip
        resnet = NormResNet(stages, deep_stem=True)
        return Cavp(config, resnet, (0, 3), (resnet.widths[0], resnet.widths[3]), hearing)
    small = SmallResNet(sizes.widths[:-1], sizes.depths[:-1], sizes.norm_groups)
    return Cavp(config, small, (1, 3), (small.widths[1], small.widths[3]), hearing)
