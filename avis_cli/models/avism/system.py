"""AVISM as one of the systems of `avis_cli.models`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from avis_cli.models.avism import checkpoint
from avis_cli.models.avism.build import build
from avis_cli.models.avism.config import PRESETS, AvismConfig
from avis_cli.models.avism.network import Avism
from avis_cli.models.system import Kind, Match, System

if TYPE_CHECKING:
    from avis_cli.models.avism.training import AvismTraining


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
        from avis_cli.models.avism.training import AvismTraining

        return AvismTraining()
