"""What a network of two levels is made of, as data: the sizes that travel with its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

from avis_cli.errors import WeightsError
from avis_cli.models.ranges import Range
from avis_cli.models.system import ClipConfig, InstanceConfig, with_tuples

AVISEG_CATEGORIES = (
    "person", "violin", "guitar", "cello", "flute", "piano", "ukulele", "accordion", "guzheng", "clarinet", "cat",
    "car", "saxophone", "dog", "lawn_mover", "tuba", "banjo", "pipa", "bassoon", "airplane", "tree_harvester",
    "trumpet", "lion", "bass", "erhu", "horse",
)  # fmt: skip
"""The 26 categories of AVISeg in the order of its ids 1..26, spelled as there."""

SYNTHETIC_CATEGORIES = ("bell", "drum", "bird", "car", "phone", "kettle", "trumpet", "robot", "clock", "cat")
"""The 10 categories of the synthetic world."""


@dataclass(frozen=True)
class ResNetSizes:
    """ResNet of bottleneck blocks with frozen batch norm (He et al. 2016): features at strides 4, 8, 16, 32."""

    kind: ClassVar[str] = "resnet"
    maps: ClassVar[int] = 4
    RANGES: ClassVar[Mapping[str, Range]] = {"depths": (1, 64)}
    depths: tuple[int, ...] = (3, 4, 6, 3)

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield len(self.depths) == self.maps, f"{self.maps} depths of a ResNet"


@dataclass(frozen=True)
class SmallResNetSizes:
    """ResNet of basic blocks with group norm: features at strides 2, 4, 8, 16, 32 of the given widths."""

    kind: ClassVar[str] = "small-resnet"
    maps: ClassVar[int] = 5
    RANGES: ClassVar[Mapping[str, Range]] = {"widths": (1, 4096), "depths": (1, 64), "norm_groups": (1, 1024)}
    widths: tuple[int, ...] = (24, 48, 96, 160, 224)
    depths: tuple[int, ...] = (1, 2, 2, 2, 1)
    norm_groups: int = 8

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield len(self.depths) == len(self.widths) == self.maps, f"{self.maps} depths and widths of a small ResNet"
        yield (
            all(width % self.norm_groups == 0 for width in self.widths),
            "widths of a small ResNet that are multiples of norm_groups",
        )


@dataclass(frozen=True)
class SwinSizes:
    """Swin Transformer (Liu et al. 2021): features at strides 4, 8, 16, 32; width doubles from stage to stage."""

    kind: ClassVar[str] = "swin"
    maps: ClassVar[int] = 4
    RANGES: ClassVar[Mapping[str, Range]] = {
        "width": (1, 1024),
        "depths": (1, 64),
        "heads": (1, 256),
        "window": (1, 24),
    }
    width: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (6, 12, 24, 48)
    window: int = 12

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield len(self.depths) == len(self.heads) == self.maps, f"{self.maps} depths and heads of a Swin Transformer"
        yield (
            all(self.width * 2**stage % heads == 0 for stage, heads in enumerate(self.heads)),
            "widths of a Swin Transformer's stages that are multiples of their heads",
        )


Config = TypeVar("Config", bound="FrameStageConfig")
BackboneSizes = ResNetSizes | SmallResNetSizes | SwinSizes
_BACKBONES: dict[str, type[BackboneSizes]] = {sizes.kind: sizes for sizes in (ResNetSizes, SmallResNetSizes, SwinSizes)}


@dataclass(frozen=True, kw_only=True)
class FrameStageConfig(InstanceConfig):
    """Sizes and constants of what looks at single frames; the defaults are those of the released networks of AVISM.

    Means and deviations of pixels are on the 0..255 scale of RGB.
    """

    RANGES: ClassVar[Mapping[str, Range]] = {
        "pixel_mean": (-1000, 1000),
        "pixel_std": (0.001, 1_000_000),
        "norm_groups": (1, 1024),
        "encoder_layers": (0, 64),
        "encoder_feed_forward": (1, 32_768),
        "encoder_points": (1, 64),
        "lateral_widths": (4, 4096),
        "mask_width": (1, 4096),
        "mask_stride": (1, 32),
        "feed_forward": (1, 32_768),
        "frame_layers": (1, 64),
    }

    backbone: BackboneSizes

    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)

    norm_groups: int = 32
    encoder_layers: int = 6
    """0 for a plain feature pyramid in the encoder's place."""
    encoder_feed_forward: int = 1024
    encoder_points: int = 4
    lateral_widths: tuple[int, ...] = (256,)
    """Widths of the maps finer than the encoder's, finest first; the first is the clip feature's."""
    mask_width: int = 256
    mask_stride: int = 4

    feed_forward: int = 2048
    frame_layers: int = 9

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form, read back by ``from_dict``."""
        return {**super().to_dict(), "backbone": {"kind": self.backbone.kind, **asdict(self.backbone)}}

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Inverse of ``to_dict``. Raises WeightsError as it does for every system's."""
        values = dict(values)
        try:
            backbone = dict(values.pop("backbone"))
            sizes = _BACKBONES[backbone.pop("kind")](**with_tuples(backbone))
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"model description not understood (backbone: {str(error)[:200]})",
                hint=f"its kinds are {', '.join(_BACKBONES)}",
            ) from error
        return super().from_dict({**values, "backbone": sizes})

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield from super().relations()
        yield from self.backbone.relations()
        yield self.width % 4 == 0, "a width that is a multiple of 4"
        yield self.width % self.norm_groups == 0, "a width that is a multiple of norm_groups"
        yield self.size_divisor % 32 == 0, "a size_divisor that is a multiple of 32, the backbone's coarsest stride"
        finer = self.backbone.maps - 3
        yield len(self.lateral_widths) == finer, f"{finer} lateral_widths, one for each finer map of the backbone"
        yield (
            all(width % min(self.norm_groups, width // 4) == 0 for width in self.lateral_widths),
            "lateral_widths that are multiples of norm_groups",
        )


@dataclass(frozen=True, kw_only=True)
class TwoLevelConfig(FrameStageConfig, ClipConfig):
    """And of the tracker that reads the frames' tokens; the defaults are AVISM's here too."""

    refinements: ClassVar[tuple[str, ...]] = ("aurora",)

    RANGES: ClassVar[Mapping[str, Range]] = {
        "tracker_self_layers": (0, 64),
        "tracker_audio_layers": (0, 64),
        "tracker_layers": (1, 64),
    }

    tracker_self_layers: int = 6
    tracker_audio_layers: int = 6
    tracker_layers: int = 3
