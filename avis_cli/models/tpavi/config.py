"""What a network of TPAVI is made of, as data, and the presets by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from avis_cli.models.ranges import Range
from avis_cli.models.system import MapConfig, with_tuples
from avis_cli.models.two_level.config import SYNTHETIC_CATEGORIES, SmallResNetSizes

STAGES = 4


@dataclass(frozen=True)
class NormResNetSizes:
    """ResNet of bottleneck blocks (He et al. 2016): features at strides 4, 8, 16, 32."""

    kind: ClassVar[str] = "norm-resnet"
    RANGES: ClassVar[Mapping[str, Range]] = {"depths": (1, 64)}
    depths: tuple[int, ...] = (3, 4, 6, 3)

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield len(self.depths) == STAGES, f"{STAGES} depths of a ResNet"


@dataclass(frozen=True)
class PvtSizes:
    """Pyramid vision transformer v2 b5 (Wang et al. 2022): features at strides 4, 8, 16, 32."""

    kind: ClassVar[str] = "pvt"
    RANGES: ClassVar[Mapping[str, Range]] = {
        "widths": (1, 4096),
        "depths": (1, 64),
        "heads": (1, 64),
        "reductions": (1, 16),
        "ratio": (1, 16),
    }
    widths: tuple[int, ...] = (64, 128, 320, 512)
    depths: tuple[int, ...] = (3, 6, 40, 3)
    heads: tuple[int, ...] = (1, 2, 5, 8)
    reductions: tuple[int, ...] = (8, 4, 2, 1)
    ratio: int = 4

    def relations(self) -> Iterator[tuple[bool, str]]:
        lists = (self.widths, self.depths, self.heads, self.reductions)
        yield all(len(one) == STAGES for one in lists), f"{STAGES} widths, depths, heads and reductions of a PVT"
        pairs = zip(self.widths, self.heads, strict=False)
        yield all(width % heads == 0 for width, heads in pairs), "widths of a PVT that are multiples of its heads"


Backbone = NormResNetSizes | PvtSizes | SmallResNetSizes
KINDS: dict[str, type[Any]] = {sizes.kind: sizes for sizes in (NormResNetSizes, PvtSizes, SmallResNetSizes)}


@dataclass(frozen=True, kw_only=True)
class TpaviConfig(MapConfig):
    """``width``: channels of the neck, the blocks and the decoder; ``dilations``: of the neck's parallel convolutions;
    ``blocks``: stages, from 1, in which sound and picture meet; ``looks``: what a block attends to, the "sound", the
    "picture" itself, or "both" in turn, of which the mean counts; ``chunk``: frames that a block sees together, None
    for all real ones of a clip; ``align_bias``: whether the layer that widens the sound has a bias."""

    RANGES: ClassVar[Mapping[str, Range]] = {
        "width": (2, 4096),
        "dilations": (1, 64),
        "blocks": (1, STAGES),
        "chunk": (1, 240),
        "head_widths": (1, 4096),
    }

    backbone: Backbone = NormResNetSizes()
    width: int = 256
    dilations: tuple[int, ...] = (3, 6, 12, 18)
    blocks: tuple[int, ...] = (1, 2, 3, 4)
    looks: Literal["sound", "picture", "both"] = "sound"
    chunk: int | None = None
    align_bias: bool = True
    head_widths: tuple[int, int] = (128, 32)

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        return {**values, "backbone": {"kind": self.backbone.kind, **values["backbone"]}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TpaviConfig:
        """Inverse of ``to_dict``. Raises WeightsError as it does for every system's."""
        given = values.get("backbone")
        if isinstance(given, dict) and given.get("kind") in KINDS:
            sizes = with_tuples({name: value for name, value in given.items() if name != "kind"})
            with suppress(TypeError):  # the check of its type says what was expected
                values = {**values, "backbone": KINDS[given["kind"]](**sizes)}
        return super().from_dict(values)

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield from super().relations()
        yield from self.backbone.relations()
        yield self.width % 2 == 0, "an even width"
        yield len(set(self.blocks)) == len(self.blocks) <= STAGES, f"each of {STAGES} stages in blocks once"
        yield self.audio != "vggish" or self.audio_width == 128, "an audio_width of 128, which is VGGish's"


def _released(name: str, backbone: Backbone, **more: Any) -> TpaviConfig:
    """As AVSBench trains: pictures of 224 pixels a side, taken 15/16 into their second, and sounds in steps of 0.96 s
    from the clip's start."""
    given: dict[str, Any] = {
        "categories": ("sounding",), "binary": True, "clip_frames": 5, "chunk": 5, "whole_clips": True,
        "side": 224, "sound_before": 0.9375, "sound_step": 0.96, "audio": "vggish",
    }  # fmt: skip
    return TpaviConfig(name=name, backbone=backbone, **{**given, **more})


_AVSS: dict[str, Any] = {
    # which name has which number is told by the data set's own file alone
    "categories": tuple(f"class_{number:02}" for number in range(1, 71)), "binary": False, "clip_frames": 10,
    "align_bias": False,
}  # fmt: skip

PRESETS: dict[str, TpaviConfig] = {
    config.name: config
    for config in (
        _released("tpavi-s4-r50", NormResNetSizes()),
        _released("tpavi-s4-pvt", PvtSizes()),
        _released("tpavi-ms3-r50", NormResNetSizes()),
        _released("tpavi-ms3-pvt", PvtSizes()),
        _released("tpavi-avss-r50", NormResNetSizes(), **_AVSS),
        _released("tpavi-avss-pvt", PvtSizes(), **_AVSS),
        TpaviConfig(
            name="tpavi-tiny",
            categories=SYNTHETIC_CATEGORIES,
            backbone=SmallResNetSizes(),
            short_side=96,
            long_side=256,
            clip_frames=5,
            # frames that are seen together share their sounds, so that none knows what is heard in its own second
            chunk=1,
            width=40,
            dilations=(1, 3),
            head_widths=(32, 24),
        ),
    )
}
