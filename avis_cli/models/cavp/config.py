"""What a network of CAVP is made of, as data, and the presets by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from avis_cli.models.ranges import Range
from avis_cli.models.system import MapConfig, with_tuples
from avis_cli.models.two_level.config import SYNTHETIC_CATEGORIES, SmallResNetSizes

VPO_CATEGORIES = (
    "airplane", "baby", "bird", "bus", "car", "cat", "cell phone", "cow", "dog", "elephant", "female", "horse",
    "keyboard", "male", "motorcycle", "mouse", "sheep", "skateboard", "sports ball", "tennis racket", "zebra",
)  # fmt: skip
"""The 21 categories of VPO in the order of their indices, from 1."""


@dataclass(frozen=True)
class DilatedResNetSizes:
    """ResNet with a deep stem whose last stage is dilated in place of strided; ``dense``: the third one too."""

    kind: ClassVar[str] = "dilated-resnet"
    RANGES: ClassVar[Mapping[str, Range]] = {"depths": (1, 64)}
    depths: tuple[int, ...] = (3, 4, 6, 3)
    dense: bool = False

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield len(self.depths) == 4, "4 depths of a ResNet"


Backbone = DilatedResNetSizes | SmallResNetSizes
KINDS: dict[str, type[Any]] = {sizes.kind: sizes for sizes in (DilatedResNetSizes, SmallResNetSizes)}


@dataclass(frozen=True, kw_only=True)
class CavpConfig(MapConfig):
    """``backbone``: of a small ResNet the last stage is left out. ``pyramid_width``, ``low_width``: channels of the
    pyramid and of the finer map, which together are the joint features; ``projector_width``: of the layer between them
    and the fusion; ``heads``: of the fusion; ``head_width``: of the classifier. ``hearing``: the audio network, of
    VGGish's or of ResNet-18's shape, of ``hearing_widths``; ``mel_frames``: frames of the log-mel that it takes.
    ``placed``: whether a pixel is told where in the picture it is and, of two channels of sound, what is heard from
    there. No released network is: they have to learn both, from the zeros beyond the edges and from the channels, which
    takes more training than a small network is given."""

    RANGES: ClassVar[Mapping[str, Range]] = {
        "pyramid_width": (1, 4096),
        "low_width": (1, 4096),
        "projector_width": (1, 4096),
        "heads": (1, 256),
        "head_width": (1, 4096),
        "hearing_widths": (1, 4096),
        "hearing_hidden": (1, 8192),
        "mel_frames": (1, 10_000),
    }

    size_divisor: int = 1
    """Pictures have the size that they have: the mean over all pixels would see what they are padded with."""

    backbone: Backbone = DilatedResNetSizes()
    pyramid_width: int = 256
    low_width: int = 48
    projector_width: int = 256
    heads: int = 4
    head_width: int = 256
    hearing: Literal["vggish", "resnet"] = "resnet"
    hearing_widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    hearing_hidden: int = 4096
    mel_frames: int = 300
    placed: bool = False

    @property
    def joint_width(self) -> int:
        """D, channels of the joint features."""
        return self.pyramid_width + self.low_width

    def to_dict(self) -> dict[str, Any]:
        values = super().to_dict()
        return {**values, "backbone": {"kind": self.backbone.kind, **values["backbone"]}}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CavpConfig:
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
        yield self.joint_width % self.heads == 0, "a joint width that is a multiple of heads"
        yield self.hears == "samples", "samples, which its audio network hears"
        yield not self.binary, "an output for the background"
        yield self.hearing != "vggish" or self.mel_frames == 96, "96 mel_frames of a VGGish"
        yield self.hearing != "vggish" or self.sound_channels == 1, "one sound channel of a VGGish"


def _avsbench(name: str, categories: tuple[str, ...], **more: Any) -> CavpConfig:
    """One second of sound a frame, heard as VGGish does."""
    return CavpConfig(
        name=name, categories=categories, hears="samples", clip_frames=1, hearing="vggish", mel_frames=96,
        sound_before=0.9375, **more,
    )  # fmt: skip


def _vpo(name: str, channels: int) -> CavpConfig:
    """Three seconds of sound around a still picture."""
    return CavpConfig(
        name=name, categories=VPO_CATEGORIES, hears="samples", clip_frames=1, sound_channels=channels,
        sound_seconds=3.0, sound_before=1.5, backbone=DilatedResNetSizes(dense=True),
    )  # fmt: skip


_TINY: dict[str, Any] = {
    "categories": SYNTHETIC_CATEGORIES, "hears": "samples", "clip_frames": 4, "short_side": 96, "long_side": 256,
    "backbone": SmallResNetSizes(), "pyramid_width": 64, "low_width": 24, "projector_width": 64, "head_width": 64,
    "hearing_widths": (16, 32, 64, 96), "mel_frames": 96, "placed": True,
}  # fmt: skip

PRESETS: dict[str, CavpConfig] = {
    config.name: config
    for config in (
        _avsbench("cavp-s4", ("sounding",), side=224),
        _avsbench("cavp-ms3", ("sounding",), side=224),
        # which name has which number is told by the data set's own file alone
        _avsbench("cavp-avss", tuple(f"class_{number:02}" for number in range(1, 71))),
        *(_vpo(f"cavp-vpo-{setting}", 1) for setting in ("ss", "ms", "msmi")),
        *(_vpo(f"cavp-vpo-{setting}-stereo", 2) for setting in ("ss", "ms", "msmi")),
        CavpConfig(name="cavp-tiny", **_TINY),
        CavpConfig(name="cavp-tiny-stereo", sound_channels=2, **_TINY),
    )
}
