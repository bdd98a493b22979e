"""How ACVIS's networks are trained, as data."""

from __future__ import annotations

from dataclasses import dataclass

from avis_cli.models.training import BatchShape
from avis_cli.models.two_level.recipe import RELEASED_AUGMENTATION, TwoLevelRecipe


@dataclass(frozen=True, kw_only=True)
class AcvisRecipe(TwoLevelRecipe):
    """``count``: weight of the counting loss."""

    count: float = 1.0


RELEASED = AcvisRecipe(shapes=(BatchShape(2, 5),), warmup_steps=10, augmentation=RELEASED_AUGMENTATION)
"""As the authors' configuration has it, with AVISM's weight of the similarity loss as AVISM names it."""
