"""How CAVP's networks are trained, as data: one recipe a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from avis_cli.models.cavp.config import PRESETS
from avis_cli.models.cavp.losses import TEMPERATURE, VIEWS
from avis_cli.models.cavp.shuffle import REPLACED
from avis_cli.models.training import Augmentation, BatchShape, Recipe


@dataclass(frozen=True, kw_only=True)
class CavpRecipe(Recipe):
    """``contrast``: weight of the contrastive loss, 0 for none; ``views``, ``temperature``: of it; ``replaced``: share
    of the shuffled sounds that no longer fit which are replaced from the bank of ``bank`` sounds a class;
    ``bank_silence``: whether a bank that is not full gives silence, which then counts as a sound that fits, as
    released, and not nothing. ``class_fits``: whether another picture's sound of the same classes fits, as released; of
    two channels it may come from another place, and what sounds is not known then. Learning rates as a share of the
    run's, beside ``backbone_factor``: ``joint_factor`` of projector and fusion, ``pyramid_factor`` of pyramid and finer
    map, ``head_factor`` of the classifier."""

    contrast: float = 1.0
    views: int = VIEWS
    temperature: float = TEMPERATURE
    replaced: float = REPLACED
    bank: int = 16
    bank_silence: bool = False
    class_fits: bool = True
    joint_factor: float = 1.0
    pyramid_factor: float = 1.0
    head_factor: float = 1.0


def _released(**changes: Any) -> CavpRecipe:
    """SGD with a rate that falls by a power, Adam at a constant one for the audio network, no warm-up, no clipping."""
    given: dict[str, Any] = {
        "shapes": (BatchShape(16, 1),), "augmentation": Augmentation(colour=0.0, gain=0.0, noise=0.0, bands=0),
        "learning_rate": 1e-3, "backbone_factor": 1.0, "weight_decay": 1e-4, "clip_norm": 1e9, "schedule": "power",
        "optimizer": "sgd", "pyramid_factor": 10.0, "head_factor": 10.0,
    }  # fmt: skip
    return CavpRecipe(**{**given, **changes})


AVSBENCH = _released()
BINARY = _released(replaced=0.0)
VPO = _released(
    shapes=(BatchShape(8, 1),), learning_rate=5e-4, weight_decay=5e-4, bank=8,
    augmentation=Augmentation(colour=0.5, gain=0.0, noise=0.0, bands=0),
)  # fmt: skip

SWAPPED: Mapping[str, float] = {
    "backbone_factor": 10.0, "joint_factor": 10.0, "pyramid_factor": 10.0, "head_factor": 1.0,
}  # fmt: skip
"""The rates of the released run on AVSBench-semantic from its second step on: its scheduler takes the groups for each
other. `AVSBENCH` has them as they were meant; ``dataclasses.replace(AVSBENCH, **SWAPPED)`` is as released."""

TINY = CavpRecipe(
    shapes=(BatchShape(16, 1),),
    augmentation=Augmentation(mute=0.05, swap=0.05),
    views=64,
    bank=8,
    learning_rate=1e-3,
    backbone_factor=0.5,
    weight_decay=0.02,
    warmup_steps=50,
    clip_norm=5.0,
    ema=0.995,
    saved_half=True,
)
"""On the synthetic world, from the bundled offline network's backbone, on a processor core."""

TINY_STEREO = replace(TINY, class_fits=False, replaced=0.0)
"""Of two channels, by which two objects of one category can be told apart: with ``class_fits`` they are drawn together,
as the contrastive loss takes a sound from the left for one that fits what is at the right."""

_BINARY = ("cavp-s4", "cavp-ms3")
RECIPES: Mapping[str, CavpRecipe] = {
    name: TINY_STEREO
    if name == "cavp-tiny-stereo"
    else TINY
    if "tiny" in name
    else VPO
    if "vpo" in name
    else BINARY
    if name in _BINARY
    else AVSBENCH
    for name in PRESETS
}

PARTS: dict[str, Mapping[str, Any]] = {"contrast": {"contrast": 0.0}}
"""What a network can be trained without -> the fields that say so."""
