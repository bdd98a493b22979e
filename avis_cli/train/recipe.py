"""How a network is trained, as data: one recipe a preset, and the switches of the ablations."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from avis_cli.errors import UsageError
from avis_cli.train.augment import Augmentation
from avis_cli.train.losses import LossWeights


@dataclass(frozen=True)
class BatchShape:
    """A step's batch: ``clips`` of ``frames`` token frames each, drawn in ``share`` of the steps."""

    clips: int
    frames: int
    share: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run, apart from data, seed and budget.

    ``reach``: the frames of a clip come from within this many frames of a drawn one, save that a share ``contiguous``
    of the clips are neighbours. ``points``: where masks are compared, None for every pixel. ``judged``: the frames that
    count in a track's mask (`targets.video_targets`). ``token_layers``: on the tokens of how many of the last localizer
    layers the tracker is trained. ``category_map``, ``fine_map``, ``cue``, ``tagging``: weights of the auxiliary
    losses, 0 to go without. ``pretraining``: share of the budget spent on these alone. ``hears``: False gives silence
    to the whole network, ``fuses``: False gives it to the frame level only (ablations)."""

    shapes: tuple[BatchShape, ...] = (BatchShape(8, 5),)
    reach: int = 20
    contiguous: float = 0.0
    points: int | None = 12_544
    judged: Literal["sounding", "seen", "all"] = "all"
    frame: LossWeights = field(default_factory=LossWeights)
    video: LossWeights = field(default_factory=LossWeights)
    token_layers: int = 3
    category_map: float = 0.0
    fine_map: float = 0.0
    cue: float = 0.0
    tagging: float = 0.0
    pretraining: float = 0.0

    learning_rate: float = 1e-4
    pretraining_rate: float = 1e-3
    backbone_factor: float = 0.1
    weight_decay: float = 0.05
    warmup_steps: int = 0
    final_rate: float = 0.01
    """The learning rate at the end, as a share of the highest."""
    clip_norm: float = 0.01
    ema: float = 0.0
    """Decay of the weights' moving average, which is what is saved; 0 for none."""
    saved_half: bool = False
    """Whether the weights file holds float16."""
    augmentation: Augmentation = field(default_factory=Augmentation)

    hears: bool = True
    fuses: bool = True

    def to_dict(self) -> dict[str, Any]:
        """JSON-safe form, for the run's records."""
        return asdict(self)


RELEASED = Recipe(augmentation=Augmentation(colour=0.0, gain=0.0, noise=0.0, bands=0, short_sides=(288, 512), crop=0.5))
"""Section 4 of AVISM (arXiv 2310.18709) with the similarity loss weighted as it names it."""

TINY = Recipe(
    shapes=(BatchShape(8, 5, 0.7), BatchShape(4, 10, 0.2), BatchShape(3, 16, 0.1)),
    reach=12,
    contiguous=0.5,
    points=None,
    token_layers=1,
    judged="seen",
    frame=LossWeights(category=3.0, no_object=0.25, rival=0.5),
    video=LossWeights(category=4.0, no_object=0.4, rival=0.5, similarity=1.0, gate=0.5),
    category_map=1.0,
    fine_map=1.0,
    cue=2.0,
    tagging=0.5,
    pretraining=0.11,
    learning_rate=6e-4,
    pretraining_rate=1.5e-3,
    backbone_factor=0.5,
    weight_decay=0.03,
    warmup_steps=150,
    clip_norm=5.0,
    ema=0.998,
    saved_half=True,
    augmentation=Augmentation(mute=0.03, swap=0.03),
)
"""From scratch on the synthetic world, on two processor cores."""

RECIPES: dict[str, Recipe] = {"avism-tiny": TINY}
"""By preset; every other preset is trained as released."""


def recipe_for(preset: str) -> Recipe:
    """The recipe of a preset."""
    return RECIPES.get(preset, RELEASED)


ABLATIONS: dict[str, dict[str, Any]] = {
    "audio": {"hears": False, "tagging": 0.0},
    "fusion": {"fuses": False},
}
"""What a run goes without -> the fields that say so."""


def chosen_recipe(
    preset: str, *, without: str | None = None, clips: int | None = None, rate: float | None = None, given: bool = False
) -> Recipe:
    """The recipe of a preset, changed: ``without`` a part (an ablation), ``clips`` of five frames in a step (longer
    clips in proportion), the highest learning ``rate``; no pre-training where weights are ``given``. Raises UsageError
    for a part that cannot be left out."""
    recipe = recipe_for(preset)
    if given:
        recipe = replace(recipe, pretraining=0.0)
    if without is not None:
        if without not in ABLATIONS:
            raise UsageError(f"no part named {without!r} can be left out", hint=f"there are {', '.join(ABLATIONS)}")
        recipe = replace(recipe, **ABLATIONS[without])
    if clips is not None:
        scale = clips / recipe.shapes[0].clips
        shapes = tuple(replace(shape, clips=max(1, round(shape.clips * scale))) for shape in recipe.shapes)
        recipe = replace(recipe, shapes=shapes)
    return recipe if rate is None else replace(recipe, learning_rate=rate)
