"""What a published system is to the rest of avis: how its networks are described, built, filled and recognised.

Each folder beside this file implements ``System`` once; `avis_cli.models.SYSTEMS` lists them. Nobody else asks which
network it has: inference speaks to the protocol of the system's ``kind`` (`avis_cli.inference.protocols`), training to
what ``System.training`` gives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar

from torch import Tensor, nn

from avis_cli.errors import WeightsError
from avis_cli.models import ranges
from avis_cli.models.tokens import FrameTokens, OnlineFrame, TrackQueries

if TYPE_CHECKING:
    from avis_cli.models.training import Training

Kind = Literal["clip", "online", "map"]
"""What a system's networks give: ``clip``: tracks of a whole clip; ``online``: tracks of one frame after another;
``map``: which pixels of a frame sound, and as what, without telling instances apart."""

Config = TypeVar("Config", bound="NetworkConfig")


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Sizes and constants that every network has; its kind and its system add their own.

    ``fps``: token frames per second of video the network was trained on. Sizes in pixels.
    """

    RANGES: ClassVar[Mapping[str, ranges.Range]] = {
        "fps": (1, 1000),
        "short_side": (8, 2048),
        "long_side": (8, 4096),
        "size_divisor": (1, 256),
    }
    """Least and largest value of each number in a description that is read from a file; a system adds its own."""

    name: str
    categories: tuple[str, ...]

    fps: int = 1
    short_side: int = 360
    long_side: int = 1333
    size_divisor: int = 32
    """Frames are padded to multiples of it before they go through the network."""

    @property
    def num_classes(self) -> int:
        """K, without the last logit, "no object"."""
        return len(self.categories)

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form, read back by ``from_dict``."""
        return asdict(self)

    @classmethod
    def from_dict(cls: type[Config], values: Mapping[str, Any]) -> Config:
        """Inverse of ``to_dict``. Raises WeightsError for a field that is unknown or missing, of another type than
        declared or outside its range, and for fields that contradict each other."""
        try:
            config = cls(**with_tuples(values))
        except (KeyError, TypeError, ValueError) as error:
            known = ", ".join(field.name for field in fields(cls))
            cause = f"model description not understood ({str(error)[:200]})"
            raise WeightsError(cause, hint=f"its fields are {known}") from error
        ranges.check(config)
        ranges.check_relations(config.relations())
        return config

    def relations(self) -> Iterator[tuple[bool, str]]:
        """What has to be so between fields whose values are in range: whether it is, and how that is said."""
        yield len(set(self.categories)) == len(self.categories), "categories with a name of their own each"
        yield self.short_side <= self.long_side, "a short_side up to long_side"


@dataclass(frozen=True, kw_only=True)
class InstanceConfig(NetworkConfig):
    """Of a network that follows single objects.

    ``gate``: whether tracks are silenced, unless told otherwise, in the frames where the tokens do not hear them.
    ``audio``: which network makes the audio embeddings, VGGish or the network's own encoder. ``width``: C, the channels
    of a token.
    """

    RANGES: ClassVar[Mapping[str, ranges.Range]] = {
        "gate_threshold": (0, 1),
        "audio_width": (1, 8192),
        "width": (4, 8192),
        "heads": (1, 256),
        "frame_queries": (1, 5000),
    }
    refinements: ClassVar[tuple[str, ...]] = ()
    """Values of ``--refine`` that its networks can serve: "aurora" where ``localize`` and ``mask_features`` take
    ``frame_masks`` and give the frame level's masks too."""

    gate: bool = False
    gate_threshold: float = 0.5
    """A track is heard in a token frame where the network's sounding value exceeds this."""
    masks_every_frame: bool = False
    """Whether masks are drawn for every frame of a video, unless told otherwise, or for the token frames only."""

    audio: Literal["vggish", "own"] = "vggish"
    audio_width: int = 128

    width: int = 256
    heads: int = 8
    frame_queries: int = 100

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield from super().relations()
        yield self.width % self.heads == 0, "a width that is a multiple of heads"
        yield self.audio != "vggish" or self.audio_width == 128, "an audio_width of 128, which is VGGish's"


@dataclass(frozen=True, kw_only=True)
class ClipConfig(InstanceConfig):
    """Of a network of kind ``clip``."""

    RANGES: ClassVar[Mapping[str, ranges.Range]] = {"video_queries": (1, 5000), "window": (1, 240)}

    video_queries: int = 100
    window: int = 6
    """Token frames in one window of the tracker's temporal attention."""


@dataclass(frozen=True, kw_only=True)
class OnlineConfig(InstanceConfig):
    """Of a network of kind ``online``. ``sound_lookahead``: L in seconds: a frame at t hears the second of sound
    [t - 1 + L, t + L); with 1 it is the second that starts at the frame, as networks of kind ``clip`` hear it."""

    RANGES: ClassVar[Mapping[str, ranges.Range]] = {"sound_lookahead": (0, 1)}

    sound_lookahead: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MapConfig(NetworkConfig):
    """Of a network of kind ``map``.

    ``binary``: one logit a pixel, which sounds where it is above 0; otherwise one for the background, which is class 0,
    and one for each category, the largest of which counts. ``side``: pictures are brought to side x side pixels; None:
    to ``short_side`` and ``long_side``, as they are. ``clip_frames``: frames that the network was trained to see
    together. ``hears``: what ``segment`` takes as the sound of a frame: an "embedding" (audio width,) of a log-mel
    patch, or "samples" (``sound_channels``, N) at 16 kHz. In seconds: a frame at t hears ``sound_seconds`` from
    t - ``sound_before`` on; with a ``sound_step`` the sounds of a clip's frames follow each other at this distance,
    from the clip's start on (as TPAVI's released weights were trained, one frame a second).
    """

    RANGES: ClassVar[Mapping[str, ranges.Range]] = {
        "side": (32, 4096),
        "clip_frames": (1, 240),
        "audio_width": (1, 8192),
        "sound_channels": (1, 2),
        "sound_seconds": (0.1, 60),
        "sound_before": (0, 60),
        "sound_step": (0.1, 60),
    }

    binary: bool = False
    side: int | None = None
    clip_frames: int = 5
    hears: Literal["embedding", "samples"] = "embedding"
    audio: Literal["vggish", "own"] = "own"
    """Which network makes embeddings: VGGish, or one inside the network, which also hears samples."""
    audio_width: int = 128
    sound_channels: int = 1
    sound_seconds: float = 1.0
    sound_before: float = 0.0
    sound_step: float | None = None
    whole_clips: bool = False
    """Whether the network takes ``clip_frames`` frames at once and no fewer."""

    @property
    def outputs(self) -> int:
        """K, the logits of a pixel."""
        return 1 if self.binary else len(self.categories) + 1

    def relations(self) -> Iterator[tuple[bool, str]]:
        yield from super().relations()
        yield not self.binary or len(self.categories) == 1, "one category of a binary network"
        yield self.hears == "samples" or self.sound_channels == 1, "one channel of sound in an embedding"


def with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` with JSON's lists as the tuples that a configuration holds."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


class ClipNetwork(Protocol):
    """What a network of kind ``clip`` computes, under ``torch.inference_mode`` and on its own device.

    Letters as in `avis_cli.models.tokens`.
    """

    config: ClipConfig

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        """Log-mel patches (T, 96, 64) float32 -> audio embeddings (T, audio width), where ``config.audio`` is "own"."""
        ...

    def localize(self, frames: Tensor, audio: Tensor) -> FrameTokens:
        """Frames uint8 RGB (T, 3, h, w) at network size and audio embeddings (T, audio width) -> their tokens."""
        ...

    def track(self, tokens: FrameTokens | Tensor, audio: Tensor | None = None) -> TrackQueries:
        """Tokens of a window, or bare queries (T, Q, C) with audio (T, audio width) -> its video queries."""
        ...

    def mask_features(self, frames: Tensor) -> Tensor:
        """Frames as for ``localize`` -> (T, M, h, w), for frames that need masks and no tokens."""
        ...

    def sounding(self, tokens: FrameTokens, tracks: TrackQueries, queries: Tensor, classes: Tensor) -> Tensor:
        """How surely video query ``queries[k]`` as class ``classes[k]`` is heard in each token frame: (K, T), 0..1."""
        ...


class OnlineNetwork(Protocol):
    """What a network of kind ``online`` computes, on its own device. States are values: a step leaves the one that it
    is given as it was."""

    config: OnlineConfig

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        """As of a `ClipNetwork`."""
        ...

    def start(self, named: int = 0) -> Any:
        """The state before the first frame; ids of its objects begin after ``named``. It has ``frames``, the token
        frames so far, and ``named``."""
        ...

    def step(
        self, state: Any, frame: Tensor, audio: Tensor, *, time: float | None = None, gated: bool | None = None
    ) -> tuple[OnlineFrame, Any]:
        """The next token frame, uint8 RGB (3, h, w) at network size, with its audio embedding (audio width,), ``time``
        in seconds -> its tracks and the state after it. ``gated``: whether the sounding gate counts."""
        ...

    def look(self, state: Any, frame: Tensor, audio: Tensor, time: float) -> tuple[Any, Any]:
        """The first half of ``step``: what is in the frame, with its ``mask_embed`` and ``mask_features``, and the
        state with the frame's sound in it."""
        ...

    def link(self, state: Any, seen: Any, rule: Any) -> tuple[OnlineFrame, Any]:
        """The second half: which object is which, by a ``rule``."""
        ...

    def rule(self, **changes: Any) -> Any:
        """The configuration's rule of association and gate, with ``changes``."""
        ...

    def mask_features(self, frames: Tensor) -> Tensor:
        """Frames uint8 RGB (T, 3, h, w) -> (T, M, h, w), for frames between token frames."""
        ...


class MapNetwork(Protocol):
    """What a network of kind ``map`` computes, on its own device."""

    config: MapConfig

    def segment(self, frames: Tensor, audio: Tensor, valid: Tensor | None = None) -> Tensor:
        """Frames uint8 RGB (F, 3, h, w) at network size, clip after clip, with the sound of each as ``config.hears``
        says -> logits (F, K, h, w) of the same size. ``valid`` (B, F / B): which frames of each of B clips are real;
        the logits of the others are 0. A system without such padding refuses it."""
        ...


@dataclass(frozen=True)
class Match:
    """What a system says to the names of a foreign weights file: the ``preset`` whose names are all there, or None and
    what was ``missed`` (a clause for a message). ``alike``: presets that all fit, where names alone do not tell."""

    preset: str | None
    missed: str = ""
    alike: tuple[str, ...] = ()


class System(ABC):
    """One published system."""

    family: ClassVar[str]
    """The name of it in the metadata of weights files."""
    kind: ClassVar[Kind]
    config: ClassVar[type[NetworkConfig]] = ClipConfig
    """What describes its networks."""
    presets: Mapping[str, Any]
    """Configurations by the name of the preset."""

    def read_config(self, values: Mapping[str, Any]) -> Any:
        """The configuration whose ``to_dict`` gave ``values``. Raises WeightsError for one that is not understood."""
        return self.config.from_dict(values)

    @abstractmethod
    def build(self, config: Any) -> nn.Module:
        """The network that ``config`` describes, its weights drawn at random, in training mode."""

    @abstractmethod
    def matches(self, names: Collection[str]) -> Match:
        """Whether ``names`` are those of one of the published checkpoints."""

    @abstractmethod
    def load(self, network: Any, tensors: Mapping[str, Tensor]) -> None:
        """Fill ``network`` from names and tensors, published naming or ours, every name and shape matching.

        Raises WeightsError that names what does not fit; the network is then as it was.
        """

    @abstractmethod
    def training(self) -> Training:
        """How its networks are trained."""
