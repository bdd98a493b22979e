"""What the training of both levels needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from avis_cli.models.training import Augmentation, Recipe
from avis_cli.nn.set_losses import LossWeights


@dataclass(frozen=True, kw_only=True)
class TwoLevelRecipe(Recipe):
    """``points``: where masks are compared, None for every pixel. ``judged``: the frames that count in a track's mask
    (`clip_batch.video_targets`). ``frame``, ``video``: weights of the set losses of the two levels; ``similarity``: of
    frame tokens against video queries. ``token_layers``: on the tokens of how many of the last localizer layers the
    tracker is trained."""

    points: int | None = 12_544
    judged: Literal["sounding", "seen", "all"] = "all"
    frame: LossWeights = field(default_factory=LossWeights)
    video: LossWeights = field(default_factory=LossWeights)
    similarity: float = 0.5
    token_layers: int = 3

    def target_stride(self, mask_stride: int) -> int:
        """Pixels of a frame along one side of a target mask's cell; ``mask_stride``: of a mask feature's."""
        # points are sampled from masks at the frames' own size
        return mask_stride if self.points is None else 1


RELEASED_AUGMENTATION = Augmentation(colour=0.0, gain=0.0, noise=0.0, bands=0, short_sides=(288, 512), crop=0.5)
"""As AVISM's authors train it (arXiv 2310.18709, section 4), and ACVIS's after them."""
