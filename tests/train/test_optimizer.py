"""The learning rate over a run, clipped gradients, and the moving average."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.system import build
from avis_cli.models.training import ParameterGroup
from avis_cli.train.optimizer import MovingAverage, clip_gradients, optimizer_of, rate_at, set_rate


def test_each_group_moves_at_its_factor_of_the_rate() -> None:
    slow, fast = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    optimizer = optimizer_of([ParameterGroup([slow], 0.1, 0.0), ParameterGroup([fast], 1.0, 0.5)], 1.0)
    set_rate(optimizer, 1e-3)
    assert [group["lr"] for group in optimizer.param_groups] == [pytest.approx(1e-4), pytest.approx(1e-3)]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 0.5]


def test_the_rate_warms_up_then_falls_to_its_end() -> None:
    rates = [rate_at(s, s / 1000, highest=1.0, warmup_steps=99, final=0.1) for s in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[99] == pytest.approx(1.0, abs=0.03)
    assert all(a >= b for a, b in pairwise(rates[99:]))
    assert rates[-1] == pytest.approx(0.1)


def test_the_average_is_a_mean_at_first_and_forgets_later() -> None:
    network = build(PRESETS["avism-tiny"])
    average = MovingAverage(network, 0.75)
    assert isinstance(average.network, Avism)
    parameter, kept = network.tracker.query_feature, average.network.tracker.query_feature
    seen, expected = [], math.nan
    for step in range(6):
        with torch.no_grad():
            parameter.fill_(float(step))
        average.update(network)
        seen.append(float(step))
        expected = sum(seen) / len(seen) if step < 4 else 0.75 * expected + 0.25 * step
        assert kept.flatten()[0].item() == pytest.approx(expected, abs=1e-5)
    assert not kept.requires_grad


def test_gradients_are_scaled_down_together_to_the_norm_and_never_up() -> None:
    a, b = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    unused = nn.Parameter(torch.zeros(1))
    a.grad, b.grad = torch.tensor([3.0]), torch.tensor([4.0])
    assert float(clip_gradients([a, b, unused], 1.0)) == pytest.approx(5.0)
    assert [a.grad.item(), b.grad.item()] == [pytest.approx(0.6), pytest.approx(0.8)]
    assert float(clip_gradients([a, b, unused], 7.0)) == pytest.approx(1.0)
    assert a.grad.item() == pytest.approx(0.6)
