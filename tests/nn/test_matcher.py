"""Assignment of queries to objects, against costs worked out by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avis_cli.nn.set_losses import UNMATCHED, MatchWeights, assign, pair_costs


def test_costs_are_the_weighted_sum_of_class_mask_and_dice() -> None:
    # one prediction, one query, one object, two points: p = 0.5 at the first (true), 0.5 at the second (false)
    class_logits = torch.log(torch.tensor([[[0.7, 0.2, 0.1]]]))
    logits = torch.zeros(1, 1, 2)
    targets = torch.tensor([[[1.0, 0.0]]])
    counted = torch.ones(1, 1, 2)
    costs = pair_costs(class_logits, torch.tensor([[1]]), logits, targets, counted, MatchWeights(2.0, 5.0, 3.0))
    dice = 1 - (2 * 0.5 + 1) / (1.0 + 1.0 + 1)
    assert costs.item() == pytest.approx(2.0 * -0.2 + 5.0 * math.log(2) + 3.0 * dice, abs=1e-5)


def test_points_that_do_not_count_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    class_logits = torch.randn(2, 3, 5, generator=generator)
    categories = torch.tensor([[0, 3], [2, -1]])
    logits = torch.randn(2, 3, 8, generator=generator)
    targets = (torch.rand(2, 2, 8, generator=generator) > 0.5).float()
    counted = torch.ones(2, 2, 8)
    counted[..., 5:] = 0
    whole = pair_costs(class_logits, categories, logits, targets, counted, MatchWeights())
    cut = pair_costs(class_logits, categories, logits[..., :5], targets[..., :5], counted[..., :5], MatchWeights())
    torch.testing.assert_close(whole, cut)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 3))
def test_the_assignment_is_the_cheapest_of_all(seed: int, queries: int, objects: int) -> None:
    costs = torch.randn(1, queries, objects, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assigned = assign(costs, torch.ones(1, objects, dtype=torch.bool))[0]
    chosen = [(int(q), o) for o, q in enumerate(assigned) if q != UNMATCHED]
    assert len({q for q, _ in chosen}) == len(chosen) == min(queries, objects)
    total = sum(float(costs[0, q, o]) for q, o in chosen)
    if objects <= queries:
        ways = itertools.permutations(range(queries), objects)
        best = min(sum(float(costs[0, q, o]) for o, q in enumerate(way)) for way in ways)
    else:
        ways = itertools.permutations(range(objects), queries)
        best = min(sum(float(costs[0, q, o]) for q, o in enumerate(way)) for way in ways)
    assert total == pytest.approx(best)


def test_empty_slots_stay_unmatched_and_numbers_that_are_not_finite_do_not_stop() -> None:
    costs = torch.tensor([[[math.nan, 1.0], [math.inf, 5.0]]])
    assigned = assign(costs, torch.tensor([[False, True]]))
    assert assigned.tolist() == [[UNMATCHED, 0]]
    assert sorted(assign(costs, torch.tensor([[True, True]]))[0].tolist()) == [0, 1]
