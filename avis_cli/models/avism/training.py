"""What training asks of AVISM."""

from __future__ import annotations

from torch import nn

from avis_cli.models.avism.config import AvismConfig
from avis_cli.models.avism.learner import AvismLearner
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.recipe import PARTS, RECIPES, RELEASED, AvismRecipe
from avis_cli.models.training import AudioAblation, Training


class AvismTraining(Training):
    """AVISM as its authors train it, and the tiny network from scratch."""

    parts = PARTS
    class_heads = ("localizer.class_head", "tracker.class_head")

    def recipe(self, preset: str) -> AvismRecipe:
        return RECIPES.get(preset, RELEASED)

    def learner(self, network: Avism, recipe: AvismRecipe, audio_network: nn.Module | None) -> AvismLearner:
        return AvismLearner(network, recipe, audio_network)

    def target_stride(self, recipe: AvismRecipe, config: AvismConfig) -> int:
        # points are sampled from masks at the frames' own size
        return config.mask_stride if recipe.points is None else 1

    def audio_ablation(self, recipe: AvismRecipe) -> AudioAblation:
        return AudioAblation(localizer=recipe.hears and recipe.fuses, tracker=recipe.hears)
