"""Parameter groups, the learning rate over a run, and the moving average."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from avis_cli.models.avism.build import build
from avis_cli.models.avism.config import PRESETS
from avis_cli.train.optimizer import MovingAverage, adamw, parameter_groups, rate_at, set_rate
from avis_cli.train.recipe import Recipe


def test_every_parameter_is_in_one_group_norms_and_vectors_undecayed() -> None:
    network = build(PRESETS["avism-tiny"])
    groups = parameter_groups([network], network.backbone, Recipe(backbone_factor=0.1, weight_decay=0.05))
    ids = [id(p) for group in groups for p in group["params"]]  # type: ignore[attr-defined]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    undecayed = {id(p) for group in groups if group["weight_decay"] == 0 for p in group["params"]}  # type: ignore[attr-defined]
    norms = {id(p) for m in network.modules() if isinstance(m, nn.LayerNorm | nn.GroupNorm) for p in m.parameters()}
    assert norms <= undecayed
    optimizer = adamw(groups, 1.0)
    set_rate(optimizer, 1e-3)
    backbone = {id(p) for p in network.backbone.parameters()}
    for group in optimizer.param_groups:
        expected = 1e-4 if id(group["params"][0]) in backbone else 1e-3
        assert group["lr"] == pytest.approx(expected)


def test_the_rate_warms_up_then_falls_to_its_end() -> None:
    rates = [rate_at(s, s / 1000, highest=1.0, warmup_steps=99, final=0.1) for s in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == rates[99] == pytest.approx(1.0, abs=0.03)
    assert all(a >= b for a, b in pairwise(rates[99:]))
    assert rates[-1] == pytest.approx(0.1)


def test_the_average_is_a_mean_at_first_and_forgets_later() -> None:
    network = build(PRESETS["avism-tiny"])
    average = MovingAverage(network, 0.75)
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
