"""How many instances sound in a frame, as two ordered questions: are there more than 0, are there more than 1 (Seo et
al., ICASSP 2026, "Learning What To Hear", arXiv 2509.22740, sound-aware ordinal counting)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 2  # counts above it are told as it


def count_probabilities(logits: Tensor) -> Tensor:
    """Logits (..., 2) of "more than 0" and of "more than 1, given more than 0" -> probabilities (..., 3) of 0, 1, and 2
    or more."""
    some, several = logits.sigmoid().unbind(-1)
    return torch.stack([1.0 - some, some * (1.0 - several), some * several], dim=-1)


def counting_loss(logits: Tensor, counts: Tensor) -> Tensor:
    """Mean binary cross-entropy of the questions that are asked: whether more than 1 sound only where any does.

    ``logits`` (..., 2), as for ``count_probabilities``; ``counts`` (...) integers -> scalar.
    """
    question = torch.arange(MOST, device=logits.device)
    counts = counts.unsqueeze(-1)
    asked = counts >= question
    each = F.binary_cross_entropy_with_logits(logits.float(), (counts > question).float(), reduction="none")
    return (each * asked).sum() / asked.sum().clamp(min=1)
