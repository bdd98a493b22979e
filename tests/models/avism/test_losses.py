"""The losses that tie frames to tracks, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from avis_cli.models.avism.losses import gate_loss, gate_values
from avis_cli.models.two_level.losses import similarity_loss


def test_similarity_is_a_balanced_cross_entropy_of_matched_pairs() -> None:
    # two objects in one frame; frame queries 1 and 0, video queries 0 and 1; dot products 2 for pairs, 0 across
    tokens = torch.tensor([[[[0.0, 2.0], [2.0, 0.0], [9.0, 9.0]]]])
    tracks = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    loss = similarity_loss(tokens, torch.tensor([[[1, 0]]]), tracks, torch.tensor([[0, 1]]))
    assert loss.item() == pytest.approx(0.5 * (math.log1p(math.exp(-2.0)) + math.log(2)), abs=1e-6)
    nothing = similarity_loss(tokens, torch.tensor([[[-1, -1]]]), tracks, torch.tensor([[0, 1]]))
    assert nothing.item() == 0.0


def test_the_gate_is_the_best_query_that_is_both_the_class_and_the_object() -> None:
    frame_logits = torch.log(torch.tensor([[[[0.8, 0.2], [0.3, 0.7]]]]))  # one frame, two queries, one class
    similarity = torch.tensor([[[[0.0, 50.0]]]])
    gates = gate_values(frame_logits, similarity, torch.tensor([[0]]))
    assert gates.item() == pytest.approx(max(0.8 * 0.5, 0.3), abs=1e-5)
    known = torch.tensor([[True]])
    assert gate_loss(gates, torch.tensor([[[True]]]), known).item() == pytest.approx(-0.5 * math.log(0.4), abs=1e-5)
    assert gate_loss(gates, torch.tensor([[[True]]]), ~known).item() == 0.0
