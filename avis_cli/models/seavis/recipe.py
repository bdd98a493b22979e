"""How SeaVIS's networks are trained, as data: one recipe a preset, and the switches of the ablations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from avis_cli.models.training import Augmentation, BatchShape
from avis_cli.models.two_level.recipe import RELEASED_AUGMENTATION, FrameStageRecipe
from avis_cli.nn.set_losses import LossWeights


@dataclass(frozen=True, kw_only=True)
class SeavisRecipe(FrameStageRecipe):
    """``recognition``, ``cosine``: weights of the embedding loss and of its auxiliary; ``frame_contrast``,
    ``instance_contrast``: of audio-guided contrastive learning on its two levels; ``tagging``: of the categories that
    are heard, for an audio encoder of the network's own. ``silent``: what an object's silent embedding is: "truth", the
    query that draws it best, where silent objects are marked, or "likeness", the query most like its sounding
    embedding."""

    recognition: float = 2.0
    cosine: float = 3.0
    frame_contrast: float = 1.0
    instance_contrast: float = 1.0
    tagging: float = 0.0
    silent: Literal["truth", "likeness"] = "truth"


RELEASED = SeavisRecipe(
    shapes=(BatchShape(4, 6),), contiguous=1.0, augmentation=RELEASED_AUGMENTATION, silent="likeness"
)
"""For AVISeg, from the frame stage of AVISM or ACVIS."""

TINY = SeavisRecipe(
    shapes=(BatchShape(8, 6, 0.6), BatchShape(5, 10, 0.4)),
    contiguous=1.0,
    points=None,
    frame=LossWeights(category=3.0, no_object=0.25, rival=0.5),
    learning_rate=4e-4,
    backbone_factor=0.5,
    weight_decay=0.03,
    warmup_steps=100,
    clip_norm=5.0,
    ema=0.998,
    saved_half=True,
    augmentation=Augmentation(mute=0.03, swap=0.03),
)
"""On the synthetic world, from the bundled offline network's frame stage, on two processor cores."""

RECIPES: dict[str, SeavisRecipe] = {"seavis-tiny": TINY}
"""By preset; every other preset is trained as for AVISeg."""

PARTS: dict[str, Mapping[str, Any]] = {
    "contrast": {"frame_contrast": 0.0, "instance_contrast": 0.0},
    "frame-contrast": {"frame_contrast": 0.0},
    "instance-contrast": {"instance_contrast": 0.0},
    "silent-truth": {"silent": "likeness"},
}
"""What a network can be trained without -> the fields that say so."""
