"""What every system's training has in common."""

from __future__ import annotations

import pytest
from torch import nn

from avis_cli.errors import UsageError
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.system import AvismTraining, build
from avis_cli.models.training import Recipe, parameter_groups


def test_every_parameter_is_in_one_group_norms_and_vectors_undecayed() -> None:
    network = build(PRESETS["avism-tiny"])
    groups = parameter_groups([network], network.backbone, Recipe(backbone_factor=0.1, weight_decay=0.05))
    ids = [id(p) for group in groups for p in group.parameters]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    undecayed = {id(p) for group in groups if group.weight_decay == 0 for p in group.parameters}
    norms = {id(p) for m in network.modules() if isinstance(m, nn.LayerNorm | nn.GroupNorm) for p in m.parameters()}
    assert norms <= undecayed
    assert {group.weight_decay for group in groups} == {0.0, 0.05}
    backbone = {id(p) for p in network.backbone.parameters()}
    for group in groups:
        inside = {id(p) in backbone for p in group.parameters}
        assert inside == {group.factor == 0.1}


def test_a_part_that_cannot_be_left_out_is_refused_with_those_that_can() -> None:
    training = AvismTraining()
    recipe = training.recipe("avism-tiny")
    assert not training.without(recipe, "audio").hears
    with pytest.raises(UsageError, match="--without 'colour', expected one of audio, fusion"):
        training.without(recipe, "colour")
