"""The loss that ties frames to tracks, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from avis_cli.models.two_level.losses import similarity_loss


def test_similarity_is_a_balanced_cross_entropy_of_matched_pairs() -> None:
    # two objects in one frame; frame queries 1 and 0, video queries 0 and 1; dot products 2 for pairs, 0 across
    tokens = torch.tensor([[[[0.0, 2.0], [2.0, 0.0], [9.0, 9.0]]]])
    tracks = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    loss = similarity_loss(tokens, torch.tensor([[[1, 0]]]), tracks, torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(0.5 * (math.log1p(math.exp(-2.0)) + math.log(2)), abs=1e-6)
    nothing = similarity_loss(tokens, torch.tensor([[[-1, -1]]]), tracks, torch.tensor([[0, 1]]))
    assert nothing.item() == 0.0
