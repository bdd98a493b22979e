"""What training asks of a system: its recipes, its losses, what the optimizer moves how fast, and how it is validated.

``System.training()`` gives a `Training`; `avis_cli.train` knows nothing else of the network that it trains.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from torch import Tensor, nn

from avis_cli.errors import UsageError, WeightsError
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.text import meant

# modules whose own parameters are not decayed, as in the released training: norms and embeddings
_UNDECAYED = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d, nn.Embedding)

Metrics = Literal["instances", "online", "maps"]
"""How networks are validated: ``instances``, by the tracks that they find in whole clips; ``online``, by those that
they find frame by frame; ``maps``, by the class of each pixel."""


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
    schedule: Literal["cosine", "power"] = "cosine"
    """How the rate falls: along half a cosine, or with the power 0.9 of what is left, to nothing."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """What moves the parameters, where a system's groups do not say otherwise; SGD with momentum 0.9."""
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


class StepLoss(Protocol):
    """What a step minimises."""

    @property
    def total(self) -> Tensor:
        """A scalar that has a gradient."""
        ...

    def numbers(self) -> dict[str, float]:
        """``total`` and whatever else is worth a line in the log, by name; the same names in every step."""
        ...


class Learner(nn.Module, ABC):
    """``network`` and whatever it is trained with (heads that exist in training only), as one module: its parameters
    are those of the run, its state goes into the checkpoints."""

    network: nn.Module
    shown: ClassVar[tuple[str, ...]] = ("total",)
    """Of the numbers of a loss, those that belong into the line that is printed now and then."""

    @abstractmethod
    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> StepLoss:
        """The loss of a batch. ``pretraining``: the losses of the recipe's first phase alone; ``half_convolutions``:
        bfloat16 inside convolutions, float32 elsewhere."""


@dataclass(frozen=True)
class AudioAblation:
    """What a network is given to hear: ``localizer``, ``tracker``: whether that level hears, or gets embeddings of
    zeros; ``muted``: digital silence in place of the clip's sound."""

    localizer: bool = True
    tracker: bool = True
    muted: bool = False


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Parameters that move alike: their learning rate is ``factor`` times the run's."""

    parameters: list[nn.Parameter]
    factor: float
    weight_decay: float
    optimizer: Literal["adamw", "sgd", "adam"] = "adamw"
    constant: bool = False
    """Whether their rate stays the run's highest."""


class Training(ABC):
    """How the networks of one system are trained."""

    metrics: ClassVar[Metrics] = "instances"
    parts: Mapping[str, Mapping[str, Any]] = {}
    """What a network can be trained without -> the fields of its recipe that say so."""
    class_heads: tuple[str, ...] = ()
    """Names of the linear layers whose rows are the categories, "no object" in the last: they are refitted where
    weights go on to be trained for other categories."""
    starts_from: tuple[str, ...] = ()
    """Families of other systems whose weights a network can begin with, by ``taken_over``."""

    def taken_over(self, given: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a ``fresh`` network with those that it has in common with ``given`` weights of a system in
        ``starts_from``. Raises WeightsError where too little fits."""
        raise NotImplementedError

    def sound_lookahead(self, config: Any) -> float:
        """L in seconds: a frame at t hears the second [t - 1 + L, t + L)."""
        return 1.0

    @abstractmethod
    def recipe(self, preset: str) -> Recipe:
        """The recipe of a preset."""

    @abstractmethod
    def learner(self, network: Any, recipe: Any, audio_network: nn.Module | None) -> Learner:
        """What trains ``network``. ``audio_network``: log-mel patches -> embeddings, frozen, for networks without an
        audio encoder of their own."""

    @abstractmethod
    def target_stride(self, recipe: Any, config: Any) -> int:
        """Pixels of a frame along one side of a target mask's cell."""

    def without(self, recipe: R, part: str) -> R:
        """``recipe`` for an ablation that goes without ``part``. Raises UsageError for one of which there is none."""
        if part not in self.parts:
            if not self.parts:
                raise UsageError(f"--without {part!r}", hint="this system is trained whole only")
            raise UsageError(
                f"--without {part!r}, expected one of {', '.join(self.parts)}", hint=meant(part, self.parts)
            )
        return replace(recipe, **self.parts[part])

    def audio_ablation(self, recipe: Any) -> AudioAblation:
        """What a network trained by ``recipe`` may hear when it is validated."""
        return AudioAblation()

    def parameter_groups(self, learner: Learner, recipe: Recipe) -> list[ParameterGroup]:
        """The learner's parameters for the optimizer: the network's ``backbone`` learns slower; norms, embeddings and
        vectors do not decay."""
        return parameter_groups([learner], getattr(learner.network, "backbone", None), recipe)


def fitting(given: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a ``fresh`` network with all of ``given`` that have the same name and shape. Raises WeightsError
    where the backbone is not among them."""
    same = {name for name in fresh if name in given and given[name].shape == fresh[name].shape}
    missing = sorted(name for name in fresh if name.startswith("backbone.") and name not in same)
    if missing:
        raise WeightsError(
            f"these weights have another backbone (the first tensor that does not fit is {missing[0]})",
            hint="start from weights of the same backbone",
        )
    return {name: given[name] if name in same else tensor for name, tensor in fresh.items()}


def parameter_groups(modules: Iterable[nn.Module], backbone: nn.Module | None, recipe: Recipe) -> list[ParameterGroup]:
    """Each parameter of ``modules`` that is to be trained, once: the backbone's with the recipe's factor; no decay of
    norms, embeddings and vectors."""
    in_backbone = set() if backbone is None else {id(parameter) for parameter in backbone.parameters()}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for parameter, decayed in _each_parameter(modules):
        groups.setdefault((id(parameter) in in_backbone, decayed), []).append(parameter)
    return [
        ParameterGroup(
            parameters,
            factor=recipe.backbone_factor if backboned else 1.0,
            weight_decay=recipe.weight_decay if decayed else 0.0,
        )
        for (backboned, decayed), parameters in groups.items()
    ]


def _each_parameter(modules: Iterable[nn.Module]) -> Iterator[tuple[nn.Parameter, bool]]:
    """Parameters and whether they decay."""
    seen: set[int] = set()
    for root in modules:
        for module in root.modules():
            for parameter in module.parameters(recurse=False):
                if parameter.requires_grad and id(parameter) not in seen:
                    seen.add(id(parameter))
                    yield parameter, not isinstance(module, _UNDECAYED) and parameter.ndim > 1


R = TypeVar("R", bound="Recipe")
