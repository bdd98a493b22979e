"""The gate's loss, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from avis_cli.models.avism.losses import gate_loss, gate_values


def test_the_gate_is_the_best_query_that_is_both_the_class_and_the_object() -> None:
    frame_logits = torch.log(torch.tensor([[[[0.8, 0.2], [0.3, 0.7]]]]))  # one frame, two queries, one class
    similarity = torch.tensor([[[[0.0, 50.0]]]])
    gates = gate_values(frame_logits, similarity, torch.tensor([[0]]))
    assert gates.item() == pytest.approx(max(0.8 * 0.5, 0.3), abs=1e-5)
    known = torch.tensor([[True]])
    assert gate_loss(gates, torch.tensor([[[True]]]), known).item() == pytest.approx(-0.5 * math.log(0.4), abs=1e-5)
    assert gate_loss(gates, torch.tensor([[[True]]]), ~known).item() == 0.0
