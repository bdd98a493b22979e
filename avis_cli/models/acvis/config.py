"""What a network of ACVIS is made of, as data, and the presets by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from avis_cli.models.ranges import Range
from avis_cli.models.two_level.config import AVISEG_CATEGORIES, ResNetSizes, TwoLevelConfig


@dataclass(frozen=True, kw_only=True)
class AcvisConfig(TwoLevelConfig):
    """``vggish_widths``, ``vggish_hidden``: sizes of the audio network, which is part of the network and its weights.
    ``generator_layers``: attention layers through which the queries take up the sound."""

    RANGES: ClassVar[Mapping[str, Range]] = {
        "vggish_widths": (1, 4096),
        "vggish_hidden": (1, 32_768),
        "generator_layers": (1, 64),
    }

    audio: Literal["vggish", "own"] = "own"
    vggish_widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    vggish_hidden: int = 4096
    generator_layers: int = 3

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield from super().relations()
        yield self.audio == "own", "an audio network of its own"


PRESETS: dict[str, AcvisConfig] = {
    name: AcvisConfig(name=name, categories=AVISEG_CATEGORIES, backbone=ResNetSizes())
    for name in ("acvis-r50-in", "acvis-r50-coco")
}
