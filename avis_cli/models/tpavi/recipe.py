"""How TPAVI's networks are trained, as data: one recipe a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from avis_cli.models.tpavi.losses import Matching, Task
from avis_cli.models.training import Augmentation, BatchShape, Recipe

NO_MATCHING = Matching(weight=0.0)


@dataclass(frozen=True, kw_only=True)
class TpaviRecipe(Recipe):
    """``task``: what is learnt: "s4", a binary map from the frames that are labelled; "ms3", from all frames; "avss",
    classes. ``matching``: the loss of sound and picture."""

    task: Task = "avss"
    matching: Matching = field(default_factory=lambda: NO_MATCHING)


_UNCHANGED = Augmentation(flip=0.0, colour=0.0, gain=0.0, noise=0.0, bands=0)
_RELEASED: dict[str, Any] = {
    "contiguous": 1.0, "augmentation": _UNCHANGED, "learning_rate": 1e-4, "backbone_factor": 1.0, "weight_decay": 0.0,
    "final_rate": 1.0, "clip_norm": 1e9,
}  # fmt: skip
_MATCHED = Matching(released=True)

S4 = TpaviRecipe(task="s4", shapes=(BatchShape(4, 5),), **_RELEASED)
MS3 = TpaviRecipe(task="ms3", shapes=(BatchShape(4, 5),), matching=_MATCHED, **_RELEASED)
AVSS = TpaviRecipe(task="avss", shapes=(BatchShape(4, 10),), matching=_MATCHED, **_RELEASED)
"""As AVSBench trains: Adam at a constant rate, whole clips, nothing augmented, no decay."""

TINY = TpaviRecipe(
    task="avss",
    shapes=(BatchShape(8, 5),),
    contiguous=1.0,
    augmentation=Augmentation(mute=0.05, swap=0.05),
    matching=Matching(weight=0.5, stages=(2, 3, 4)),
    learning_rate=1e-3,
    backbone_factor=0.5,
    weight_decay=0.02,
    warmup_steps=50,
    clip_norm=5.0,
    ema=0.995,
    saved_half=True,
)
"""On the synthetic world, from the bundled offline network's backbone and audio encoder, on a processor core."""

RECIPES: Mapping[str, TpaviRecipe] = {
    "tpavi-s4-r50": S4, "tpavi-s4-pvt": S4, "tpavi-ms3-r50": MS3, "tpavi-ms3-pvt": MS3, "tpavi-avss-r50": AVSS,
    "tpavi-avss-pvt": AVSS, "tpavi-tiny": TINY,
}  # fmt: skip

PARTS: dict[str, Mapping[str, Any]] = {"matching": {"matching": NO_MATCHING}}
"""What a network can be trained without -> the fields that say so."""
