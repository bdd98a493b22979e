"""Counts as two ordered questions, worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from avis_cli.nn.counting import count_probabilities, counting_loss


def test_the_second_question_is_asked_where_the_first_is_true() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0], [-50.0, 50.0]])
    wanted = torch.tensor([[0.25, 0.375, 0.375], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(count_probabilities(logits), wanted)


def test_the_loss_is_the_mean_over_the_questions_that_are_asked() -> None:
    logits = torch.tensor([[[math.log(3.0), 9.0], [math.log(3.0), 0.0]]])  # P(n > 0) = 3/4
    counts = torch.tensor([[0, 1]])
    terms = [-math.log(0.25), -math.log(0.75), -math.log(0.5)]
    assert counting_loss(logits, counts).item() == pytest.approx(sum(terms) / 3, abs=1e-6)
    assert counting_loss(logits, counts * 5).item() == counting_loss(logits, counts * 2).item()


def test_without_frames_there_is_no_loss() -> None:
    assert counting_loss(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64)).item() == 0.0
