"""A head that exists in training only: the categories that are heard. It teaches an audio encoder directly."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from avis_cli.nn.clip_batch import ClipTargets

POSITIVE_WEIGHT = 3.0  # of a category that is heard against one that is not: few are at a time


@dataclass(frozen=True, eq=False)
class TagLoss:
    """Of the sound: the ``loss``, and the mean over categories of the share of sounding frames that are tagged."""

    loss: Tensor
    recall: Tensor


class SoundTags(nn.Module):
    """The categories that are heard in a frame's second, on screen or not."""

    def __init__(self, audio_width: int, categories: int) -> None:
        super().__init__()
        self.tags = nn.Linear(audio_width, categories)

    def forward(self, embeddings: Tensor, targets: ClipTargets) -> TagLoss:
        """``embeddings`` (F, C), ``targets`` of the same F frames."""
        heard: Tensor = self.tags(embeddings).float()
        tags = targets.tags.flatten(0, 1)
        loss = F.binary_cross_entropy_with_logits(heard, tags.float(), pos_weight=heard.new_tensor(POSITIVE_WEIGHT))
        return TagLoss(loss, _recall(heard.detach(), tags))


def _recall(logits: Tensor, tags: Tensor) -> Tensor:
    found = ((logits > 0) & tags).sum(0).float() / tags.sum(0).clamp(min=1)
    return found.sum() / tags.any(0).sum().clamp(min=1)
