"""What a network is made of, as data: the sizes that travel with its weights, and the presets by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal

from avis_cli.errors import WeightsError

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
    depths: tuple[int, ...] = (3, 4, 6, 3)


@dataclass(frozen=True)
class SmallResNetSizes:
    """ResNet of basic blocks with group norm: features at strides 2, 4, 8, 16, 32 of the given widths."""

    kind: ClassVar[str] = "small-resnet"
    widths: tuple[int, ...] = (24, 48, 96, 160, 224)
    depths: tuple[int, ...] = (1, 2, 2, 2, 1)
    norm_groups: int = 8


@dataclass(frozen=True)
class SwinSizes:
    """Swin Transformer (Liu et al. 2021): features at strides 4, 8, 16, 32; width doubles from stage to stage."""

    kind: ClassVar[str] = "swin"
    width: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    heads: tuple[int, ...] = (6, 12, 24, 48)
    window: int = 12


BackboneSizes = ResNetSizes | SmallResNetSizes | SwinSizes
_BACKBONES: dict[str, type[BackboneSizes]] = {sizes.kind: sizes for sizes in (ResNetSizes, SmallResNetSizes, SwinSizes)}


@dataclass(frozen=True)
class AvismConfig:
    """Sizes and constants of one network; the defaults are those of the released ResNet-50 networks.

    ``fps``: token frames per second of video the network was trained on. ``audio``: which network makes the audio
    embeddings, VGGish or the network's own encoder. ``gate``: whether tracks are silenced, unless told otherwise, in
    the frames where the tokens do not hear them. Sizes in pixels, means and deviations on the 0..255 scale of RGB.
    """

    name: str
    categories: tuple[str, ...]
    backbone: BackboneSizes
    released_as: Literal["avism", "vita"] | None = None
    """Prefix of the video-level names in the released checkpoint; None where nothing was released."""

    fps: int = 1
    short_side: int = 360
    long_side: int = 1333
    size_divisor: int = 32
    pixel_mean: tuple[float, float, float] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, float, float] = (58.395, 57.12, 57.375)
    gate: bool = False
    gate_threshold: float = 0.5
    """A track is heard in a token frame where the network's sounding value exceeds this."""
    masks_every_frame: bool = False
    """Whether masks are drawn for every frame of a video, unless told otherwise, or for the token frames only."""

    audio: Literal["vggish", "own"] = "vggish"
    audio_width: int = 128
    audio_in_every_layer: bool = False

    width: int = 256
    heads: int = 8
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
    frame_queries: int = 100
    frame_layers: int = 9
    video_queries: int = 100
    window: int = 6
    """Token frames in one window of the tracker's temporal attention."""
    tracker_self_layers: int = 6
    tracker_audio_layers: int = 6
    tracker_layers: int = 3

    @property
    def num_classes(self) -> int:
        """K, without the last logit, "no object"."""
        return len(self.categories)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form, read back by ``from_dict``."""
        values = asdict(self)
        values["backbone"] = {"kind": self.backbone.kind, **asdict(self.backbone)}
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> AvismConfig:
        """Inverse of ``to_dict``; raises WeightsError for a field that is unknown or missing."""
        values = dict(values)
        try:
            backbone = dict(values.pop("backbone"))
            sizes = _BACKBONES[backbone.pop("kind")](**_tuples(backbone))
            return cls(backbone=sizes, **_tuples(values))
        except (KeyError, TypeError, ValueError) as error:
            known = ", ".join(field.name for field in fields(cls))
            raise WeightsError(f"model description not understood ({error})", hint=f"its fields are {known}") from error


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def _released(name: str, released_as: Literal["avism", "vita"], **sizes: Any) -> AvismConfig:
    return AvismConfig(name=name, categories=AVISEG_CATEGORIES, released_as=released_as, **sizes)


_SWIN_L: dict[str, Any] = {"backbone": SwinSizes(), "short_side": 448, "frame_queries": 200}

PRESETS: dict[str, AvismConfig] = {
    config.name: config
    for config in (
        _released("avism-r50-in", "avism", backbone=ResNetSizes()),
        _released("avism-r50-coco", "vita", backbone=ResNetSizes()),
        _released("avism-swinl-in", "avism", **_SWIN_L),
        _released("avism-swinl-coco", "vita", **_SWIN_L),
        AvismConfig(
            name="avism-tiny",
            categories=SYNTHETIC_CATEGORIES,
            backbone=SmallResNetSizes(),
            short_side=96,
            long_side=256,
            gate=True,
            masks_every_frame=True,
            audio="own",
            audio_in_every_layer=True,
            width=128,
            norm_groups=16,
            encoder_layers=0,
            lateral_widths=(32, 64),
            mask_width=32,
            mask_stride=2,
            feed_forward=512,
            frame_queries=16,
            frame_layers=3,
            video_queries=32,
            tracker_self_layers=2,
            tracker_audio_layers=2,
            tracker_layers=2,
        ),
    )
}
