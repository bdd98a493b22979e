"""A batch of clips -> what a step minimises: the loss of the maps, and of how alike sound and picture are."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from avis_cli.models.tpavi.losses import binary_loss, class_loss, matching_loss
from avis_cli.models.tpavi.network import Tpavi, TpaviOutput
from avis_cli.models.tpavi.recipe import TpaviRecipe
from avis_cli.models.training import Learner
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.nn.half_convolutions import HalfConvolutions
from avis_cli.nn.map_batch import IGNORED, MapBatch


@dataclass(frozen=True, eq=False)
class TpaviLoss:
    """``total`` is what is minimised, ``maps`` and ``matching`` its unweighted parts (scalars)."""

    total: Tensor
    maps: Tensor
    matching: Tensor

    def numbers(self) -> dict[str, float]:
        """Values by name, for the log."""
        parts = {"total": self.total, "maps": self.maps, "matching": self.matching}
        return {name: float(value.detach()) for name, value in parts.items()}


class TpaviLearner(Learner):
    """``network`` and the losses of a recipe. ``audio_network``: log-mel patches -> embeddings, where the network has
    no audio encoder of its own (a frozen VGGish)."""

    network: Tpavi
    shown: ClassVar[tuple[str, ...]] = ("total", "maps", "matching")

    def __init__(self, network: Tpavi, recipe: TpaviRecipe, audio_network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network
        self.recipe = recipe
        # not a submodule: it neither learns nor belongs to the run's state
        self._audio_network = (audio_network.eval().requires_grad_(False),) if audio_network is not None else None

    def forward(self, batch: ClipBatch, pretraining: bool = False, half_convolutions: bool = False) -> TpaviLoss:
        """``half_convolutions``: bfloat16 inside convolutions. There is no pre-training, and its losses are these."""
        maps = MapBatch.of(batch)
        assert maps.log_mel is not None
        audio = self._embed(maps.log_mel.flatten(0, 1))
        with HalfConvolutions() if half_convolutions else nullcontext():
            found = self.network(maps.frames.flatten(0, 1), audio, maps.valid)
        found = TpaviOutput(
            found.logits.float(), [one.float() for one in found.maps],
            [None if one is None else one.float() for one in found.sound],
        )  # fmt: skip
        return self.loss(found, maps)

    def loss(self, found: TpaviOutput, maps: MapBatch) -> TpaviLoss:
        """Of what the network found in the frames of a batch."""
        recipe, how = self.recipe, self.recipe.matching
        truth, labelled = maps.labels.flatten(0, 1), maps.labelled.flatten()
        if recipe.task == "avss":
            drawn = class_loss(found.logits, truth, labelled)
        else:
            binary = torch.where(truth == IGNORED, IGNORED, (truth > 0).long())
            drawn = binary_loss(found.logits[labelled], binary[labelled])
        matched = drawn.new_zeros(())
        if how.weight:
            # the release leaves out what is not labelled here too
            counted = labelled if recipe.task == "avss" else maps.valid.flatten()
            matched = matching_loss(recipe.task, how, found.logits, found.maps, found.sound, counted)
        return TpaviLoss(drawn + how.weight * matched, drawn, matched)

    def _embed(self, patches: Tensor) -> Tensor:
        """Log-mel patches (F, 96, 64) -> embeddings (F, audio width)."""
        if self._audio_network is None:
            return self.network.embed_log_mel(patches).float()
        with torch.no_grad():
            out: Tensor = self._audio_network[0](patches)
        return out
