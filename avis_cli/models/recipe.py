"""How a network is trained, as data: what every system's recipes have in common."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

R = TypeVar("R", bound="Recipe")


@dataclass(frozen=True)
class BatchShape:
    """A step's batch: ``clips`` of ``frames`` token frames each, drawn in ``share`` of the steps."""

    clips: int
    frames: int
    share: float = 1.0


@dataclass(frozen=True)
class Augmentation:
    """Chances and strengths. ``flip``: chance of a mirrored clip. ``colour``: largest relative change of contrast and
    of each channel's gain, and of brightness as a share of 255. ``gain``: largest change of loudness in dB. ``noise``:
    largest mel magnitude of added noise. ``bands``: most mel bands blanked at once. ``mute``, ``swap``: chances of
    silence and of another clip's sound, in both of which nothing that is seen sounds. ``short_sides``: pixel range the
    shorter side is drawn from, None to keep the size; ``long_side``: its limit for the longer side. ``crop``: chance of
    a crop, of 0.6 to 1 of each side."""

    flip: float = 0.5
    colour: float = 0.15
    gain: float = 6.0
    noise: float = 0.05
    bands: int = 6
    mute: float = 0.0
    swap: float = 0.0
    short_sides: tuple[int, int] | None = None
    long_side: int = 768
    crop: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a run, apart from data, seed and budget; a system adds what its losses need.

    ``reach``: the frames of a clip come from within this many frames of a drawn one, save that a share ``contiguous``
    of the clips are neighbours. ``pretraining``: share of the budget spent on the pre-training losses alone, where a
    system has such. ``ema``: decay of the weights' moving average, which is what is saved; 0 for none.
    """

    shapes: tuple[BatchShape, ...] = (BatchShape(8, 5),)
    reach: int = 20
    contiguous: float = 0.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    pretraining: float = 0.0

    learning_rate: float = 1e-4
    """The highest one, after the warm-up."""
    pretraining_rate: float = 1e-3
    backbone_factor: float = 0.1
    """The backbone's learning rate as a share of the others'."""
    weight_decay: float = 0.05
    warmup_steps: int = 0
    final_rate: float = 0.01
    """The learning rate at the end, as a share of the highest."""
    clip_norm: float = 0.01
    ema: float = 0.0
    saved_half: bool = False
    """Whether the weights file holds float16."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form, for the run's records."""
        return asdict(self)

    def with_clips(self: R, clips: int) -> R:
        """The same with ``clips`` clips in a step of the first shape, and in proportion in those of the others."""
        scale = clips / self.shapes[0].clips
        shapes = tuple(replace(shape, clips=max(1, round(shape.clips * scale))) for shape in self.shapes)
        return replace(self, shapes=shapes)
