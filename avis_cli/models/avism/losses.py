"""AVISM's losses: what a step minimises, and when a track sounds.

Letters: B clips, T token frames, Q frame queries, N video queries, O object slots, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from avis_cli.models.avism.auxiliary import AuxiliaryLosses

GATE_FLOOR = 1e-4  # keeps the logarithms of the gate loss finite


@dataclass(frozen=True, eq=False)
class AvismLoss:
    """``total`` is what is minimised, the others its unweighted parts and two accuracies, for the log (scalars)."""

    total: Tensor
    frame_category: Tensor
    frame_mask: Tensor
    frame_dice: Tensor
    video_category: Tensor
    video_mask: Tensor
    video_dice: Tensor
    rival: Tensor
    similarity: Tensor
    gate: Tensor
    fine_category: Tensor
    centre: Tensor
    cue: Tensor
    map_cue: Tensor
    category_map: Tensor
    map_accuracy: Tensor
    tagging: Tensor
    tag_recall: Tensor

    @classmethod
    def of_pretraining(cls, total: Tensor, auxiliary: AuxiliaryLosses) -> AvismLoss:
        """With nothing but the auxiliary losses; the other parts are 0."""
        return cls(total, *(total.detach() * 0,) * 9, *auxiliary.parts())

    def numbers(self) -> dict[str, float]:
        """Values by name, for the log."""
        names = [field.name for field in fields(self)]
        values = torch.stack([getattr(self, name).detach().float() for name in names]).tolist()
        return dict(zip(names, values, strict=True))


def gate_values(frame_logits: Tensor, similarity: Tensor, categories: Tensor) -> Tensor:
    """How much each track sounds in each token frame: (B, N, T) in 0..1.

    The largest, over the frame queries q, of P(category of the track | q, t) * sigmoid(similarity of track and q).
    ``frame_logits`` (B, T, Q, K+1); ``similarity`` (B, N, T, Q), dot products; ``categories`` (B, N).
    """
    B, N, T, Q = similarity.shape
    chance = frame_logits.float().softmax(-1)  # (B, T, Q, K+1)
    wanted = categories.clamp(min=0)[:, None, None, :].expand(B, T, Q, N)
    return (chance.gather(3, wanted).permute(0, 3, 1, 2) * similarity.float().sigmoid()).amax(-1)


def gate_loss(gates: Tensor, sounding: Tensor, known: Tensor) -> Tensor:
    """Binary cross-entropy of gates (B, O, T) against ``sounding``, over the (B, O) ``known`` tracks, both sides
    balanced."""
    gates = gates.clamp(GATE_FLOOR, 1.0 - GATE_FLOOR)
    known = known.unsqueeze(-1).expand_as(gates)
    parts = []
    for part, logs in ((sounding & known, gates.log()), (~sounding & known, (1.0 - gates).log())):
        parts.append(-(logs * part).sum() / part.sum().clamp(min=1))
    return 0.5 * (parts[0] + parts[1])
