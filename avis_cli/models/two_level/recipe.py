"""What the training of both levels needs to know."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from avis_cli.models.training import Augmentation, Recipe
from avis_cli.nn.set_losses import LossWeights


@dataclass(frozen=True, kw_only=True)
class FrameStageRecipe(Recipe):
    """``points``: where masks are compared, None for every pixel. ``frame``: weights of the localizer's set losses."""

    points: int | None = 12_544
    frame: LossWeights = field(default_factory=LossWeights)

    def target_stride(self, mask_stride: int) -> int:
        """Pixels of a frame along one side of a target mask's cell; ``mask_stride``: of a mask feature's."""
        # points are sampled from masks at the frames' own size
        return mask_stride if self.points is None else 1


@dataclass(frozen=True, kw_only=True)
class TwoLevelRecipe(FrameStageRecipe):
    """``judged``: the frames that count in a track's mask (`clip_batch.video_targets`). ``video``: weights of the
    tracker's set losses; ``similarity``: of frame tokens against video queries. ``token_layers``: on the tokens of how
    many of the last localizer layers the tracker is trained."""

    judged: Literal["sounding", "seen", "all"] = "all"
    video: LossWeights = field(default_factory=LossWeights)
    similarity: float = 0.5
    token_layers: int = 3


RELEASED_AUGMENTATION = Augmentation(colour=0.0, gain=0.0, noise=0.0, bands=0, short_sides=(288, 512), crop=0.5)
"""As AVISM's authors train it (arXiv 2310.18709, section 4), and ACVIS's after them."""
