"""The losses on predictions whose loss can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from avis_cli.nn.clip_batch import LevelTargets
from avis_cli.nn.set_losses import (
    LossWeights,
    class_loss,
    dice_loss,
    level_loss,
    mask_loss,
    rival_loss,
    sample,
    unsure_points,
)

SURE = 20.0


def level(masks: torch.Tensor, categories: list[int], counted: torch.Tensor | None = None) -> LevelTargets:
    """One prediction's targets from masks (O, S, h, w)."""
    return LevelTargets(
        categories=torch.tensor([categories]),
        masks=masks.unsqueeze(0),
        counted=torch.ones(1, len(masks), masks.shape[1], dtype=torch.bool) if counted is None else counted,
        rivals=torch.zeros_like(masks).unsqueeze(0),
    )


def two_squares() -> torch.Tensor:
    masks = torch.zeros(2, 1, 8, 8)
    masks[0, 0, :4, :4] = 1
    masks[1, 0, 4:, 4:] = 1
    return masks


def in_turns() -> torch.Tensor:
    """Two frames: the first object fills the first, the second the second."""
    masks = torch.zeros(2, 2, 8, 8)
    masks[0, 0] = masks[1, 1] = 1
    return masks


@pytest.mark.parametrize(("masks", "points"), [(two_squares(), None), (in_turns(), None), (in_turns(), 50)])
def test_a_perfect_prediction_costs_nothing_in_any_order_of_its_queries(
    masks: torch.Tensor, points: int | None
) -> None:
    mask_logits = torch.full((1, 3, *masks.shape[1:]), -SURE)
    mask_logits[0, 2], mask_logits[0, 0] = SURE * (2 * masks[0] - 1), SURE * (2 * masks[1] - 1)
    class_logits = torch.zeros(1, 3, 4)
    class_logits[0, 2, 1] = class_logits[0, 0, 2] = class_logits[0, 1, 3] = SURE
    loss = level_loss(class_logits, mask_logits, level(masks, [1, 2]), LossWeights(), points=points)
    assert loss.assigned.tolist() == [[2, 0]]
    assert loss.total.item() == pytest.approx(0.0, abs=1e-3)


def test_without_objects_the_gradient_reaches_everything_and_is_finite() -> None:
    class_logits = torch.zeros(1, 3, 4, requires_grad=True)
    mask_logits = torch.zeros(1, 3, 1, 8, 8, requires_grad=True)
    loss = level_loss(class_logits, mask_logits, level(two_squares(), [-1, -1]), LossWeights())
    loss.total.backward()
    assert loss.total.item() == pytest.approx(2.0 * math.log(4))
    assert class_logits.grad is not None
    assert class_logits.grad.abs().sum() > 0
    assert mask_logits.grad is not None
    assert mask_logits.grad.abs().sum() == 0


def test_unmatched_queries_weigh_little_in_the_class_loss() -> None:
    logits = torch.zeros(1, 2, 3)
    logits[0, 1, 0] = 2.0  # the unmatched query, wrong
    loss = class_loss(logits, torch.tensor([[0]]), torch.tensor([[0]]), no_object=0.1)
    unmatched = F.cross_entropy(logits[0, 1:], torch.tensor([2]))
    assert loss.item() == pytest.approx((math.log(3) + 0.1 * unmatched.item()) / 1.1, abs=1e-6)


def test_mask_and_dice_by_hand_and_only_where_judged() -> None:
    logits, truth = torch.tensor([[0.0, 0.0, 50.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    judged = torch.tensor([[1.0, 1.0, 0.0]])
    assert mask_loss(logits, truth, judged).item() == pytest.approx(math.log(2))
    assert dice_loss(logits, truth, judged).item() == pytest.approx(1 - (2 * 0.5 + 1) / (1.0 + 1.0 + 1))


def test_a_mask_on_a_rival_is_punished_and_elsewhere_not() -> None:
    spill = torch.tensor([[0.0, 1.0]])
    assert rival_loss(torch.tensor([[5.0, -SURE]]), spill).item() == pytest.approx(0.0, abs=1e-6)
    assert rival_loss(torch.tensor([[-5.0, 5.0]]), spill).item() == pytest.approx(math.log1p(math.exp(5.0)), abs=1e-5)
    assert rival_loss(torch.tensor([[9.0, 9.0]]), torch.zeros(1, 2)).item() == 0.0


def test_points_read_pixel_centres_and_gather_where_the_mask_is_unsure() -> None:
    maps = torch.arange(8.0).view(1, 1, 2, 4)
    centres = torch.tensor([[[0.125, 0.25], [0.875, 0.75]]])
    assert sample(maps, centres).flatten().tolist() == [0.0, 7.0]
    logits = torch.linspace(9.0, -9.0, 16).expand(1, 1, 16, 16)
    x = unsure_points(logits, 64, torch.Generator().manual_seed(0))[0, :48, 0]
    assert (x - 0.5).abs().max() < 0.2


@pytest.mark.parametrize("part", ["category", "mask", "dice", "rival"])
def test_each_part_counts_at_its_weight(part: str) -> None:
    generator = torch.Generator().manual_seed(0)
    class_logits = torch.randn(1, 3, 4, generator=generator)
    mask_logits = torch.randn(1, 3, 1, 8, 8, generator=generator)
    targets = level(two_squares(), [1, 1])
    targets = replace(targets, rivals=targets.masks.flip(1))
    loss = level_loss(class_logits, mask_logits, targets, LossWeights(2.0, 3.0, 4.0, rival=5.0))
    weights = {"category": 2.0, "mask": 3.0, "dice": 4.0, "rival": 5.0}
    assert getattr(loss, part).item() > 0.05
    others = sum(weight * getattr(loss, name).item() for name, weight in weights.items() if name != part)
    assert loss.total.item() - others == pytest.approx(weights[part] * getattr(loss, part).item(), rel=1e-4)


def test_the_sums_over_matched_pairs_are_divided_by_the_number_of_objects_given() -> None:
    mask_logits = torch.zeros(1, 3, 1, 8, 8)
    targets = level(two_squares(), [1, 2])
    one = level_loss(torch.zeros(1, 3, 4), mask_logits, targets, LossWeights(), objects=2.0)
    other = level_loss(torch.zeros(1, 3, 4), mask_logits, targets, LossWeights(), objects=8.0)
    assert one.mask.item() == pytest.approx(4 * other.mask.item())
    assert one.category.item() == other.category.item()
