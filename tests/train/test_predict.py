"""What validation lets a network hear, level by level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from avis_cli.models.tokens import FrameTokens
from avis_cli.models.training import AudioAblation
from avis_cli.train.predict import AblatedModel


class Listener:
    """Notes what reaches each level."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.patches: Tensor | None = None
        self.localizer: Tensor | None = None
        self.tracker: Tensor | None = None

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        self.patches = patches
        return torch.ones(len(patches), 4)

    def localize(self, frames: Any, audio: Tensor, *, frame_masks: bool = False) -> FrameTokens:
        self.localizer = audio
        return FrameTokens(torch.zeros(len(audio), 1, 2), torch.zeros(len(audio), 1, 3), audio, torch.zeros(0), (8, 8))

    def track(self, tokens: FrameTokens) -> None:
        self.tracker = tokens.audio


def heard(ablation: AudioAblation) -> tuple[float, float, float]:
    """Mean patch, and mean embedding that each level is given."""
    listener = Listener()
    model: Any = AblatedModel(listener, ablation)  # type: ignore[arg-type]
    embeddings = model.embed_log_mel(np.zeros((3, 96, 64), np.float32))
    model.track(model.localize(np.zeros((3, 3, 8, 8), np.uint8), embeddings))
    assert listener.patches is not None
    assert listener.localizer is not None
    assert listener.tracker is not None
    return float(listener.patches.mean()), float(listener.localizer.mean()), float(listener.tracker.mean())


@pytest.mark.parametrize(
    ("ablation", "expected"),
    [
        (AudioAblation(), (0.0, 1.0, 1.0)),
        (AudioAblation(localizer=False), (0.0, 0.0, 1.0)),
        (AudioAblation(tracker=False), (0.0, 1.0, 0.0)),
        (AudioAblation(muted=True), (math.log(0.01), 1.0, 1.0)),
    ],
)
def test_each_level_hears_what_it_may(ablation: AudioAblation, expected: tuple[float, float, float]) -> None:
    assert heard(ablation) == pytest.approx(expected, abs=1e-5)
