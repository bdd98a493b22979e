"""The heads that exist in training only."""

from __future__ import annotations

import math

import pytest
import torch

from avis_cli.models.avism.auxiliary import IGNORED, CategoryMap, FineMap, balanced_cross_entropy, mean_accuracy
from avis_cli.nn.clip_batch import ClipTargets


def test_the_dense_map_weighs_all_classes_alike_and_skips_the_unknown() -> None:
    logits = torch.zeros(1, 3, 1, 4)
    logits[0, 0, 0, 0] = 100.0
    wanted = torch.tensor([[[0, 1, 1, IGNORED]]])
    assert balanced_cross_entropy(logits, wanted).item() == pytest.approx((0.0 + math.log(3)) / 2, abs=1e-5)
    assert mean_accuracy(logits, wanted).item() == pytest.approx(0.5)


def test_whether_an_object_sounds_is_asked_of_its_picture_only_where_another_is_of_its_category() -> None:
    masks = torch.zeros(1, 1, 2, 8, 8)
    masks[0, 0, 0, :, :4] = masks[0, 0, 1, :, 4:] = 1.0
    sounding, tags = torch.tensor([[[True, False]]]), torch.zeros(1, 1, 3, dtype=torch.bool)
    whole = torch.tensor([True])
    for fine in (True, False):
        torch.manual_seed(0)
        head = FineMap(4, 3) if fine else CategoryMap((4, 4, 4), 3)
        maps = torch.randn(1, 4, 8, 8) if fine else [torch.randn(1, 4, 8 // 2**n, 8 // 2**n) for n in range(3)]
        alike = head(maps, ClipTargets(torch.tensor([[1, 1]]), masks, sounding, tags, whole)).cue
        differing = head(maps, ClipTargets(torch.tensor([[1, 2]]), masks, sounding, tags, whole)).cue
        unknown = head(maps, ClipTargets(torch.tensor([[1, 1]]), masks, sounding, tags, ~whole)).cue
        swapped = head(maps, ClipTargets(torch.tensor([[1, 1]]), masks, ~sounding, tags, whole)).cue
        assert alike.item() > 0.0
        assert swapped.item() != alike.item()
        assert differing.item() == unknown.item() == 0.0
