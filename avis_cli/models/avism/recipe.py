"""How AVISM's networks are trained, as data: one recipe a preset, and the switches of the ablations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from avis_cli.models.training import Augmentation, BatchShape
from avis_cli.models.two_level.recipe import RELEASED_AUGMENTATION, TwoLevelRecipe
from avis_cli.nn.set_losses import LossWeights


@dataclass(frozen=True, kw_only=True)
class AvismRecipe(TwoLevelRecipe):
    """``gate``: weight of sounding or not in each frame. ``category_map``, ``fine_map``, ``cue``, ``tagging``: weights
    of the auxiliary losses, 0 to go without. ``hears``: False gives silence to the whole network, ``fuses``: False
    gives it to the frame level only (ablations)."""

    gate: float = 0.0
    category_map: float = 0.0
    fine_map: float = 0.0
    cue: float = 0.0
    tagging: float = 0.0

    hears: bool = True
    fuses: bool = True


RELEASED = AvismRecipe(augmentation=RELEASED_AUGMENTATION)
"""Section 4 of AVISM (arXiv 2310.18709) with the similarity loss weighted as it names it."""

TINY = AvismRecipe(
    shapes=(BatchShape(8, 5, 0.7), BatchShape(4, 10, 0.2), BatchShape(3, 16, 0.1)),
    reach=12,
    contiguous=0.5,
    points=None,
    token_layers=1,
    judged="seen",
    frame=LossWeights(category=3.0, no_object=0.25, rival=0.5),
    video=LossWeights(category=4.0, no_object=0.4, rival=0.5),
    similarity=1.0,
    gate=0.5,
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

RECIPES: dict[str, AvismRecipe] = {"avism-tiny": TINY}
"""By preset; every other preset is trained as released."""

PARTS: dict[str, Mapping[str, Any]] = {
    "audio": {"hears": False, "tagging": 0.0},
    "fusion": {"fuses": False},
}
"""What a network can be trained without -> the fields that say so."""
