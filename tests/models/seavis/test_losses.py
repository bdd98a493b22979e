"""The losses of the embeddings against a slow rewriting, number by number, of what their formulas say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from avis_cli.models.seavis.losses import (
    ObjectEmbeddings,
    frame_contrast,
    instance_contrast,
    recognition,
    silent_by_likeness,
    silent_by_masks,
)

TEMPERATURE = 0.07
B, T, Q, C, SLOTS = 2, 5, 6, 4, 3

Vector = list[float]


def objects(seed: int = 0, **changes: Tensor) -> ObjectEmbeddings:
    """Two clips of three objects: one that always sounds, one that pauses, one that never does (of the first clip; of
    the second the last slot is empty and nobody is seen silent)."""
    generator = torch.Generator().manual_seed(seed)
    embed = torch.randn(B, T, Q, C, generator=generator)
    anchor = torch.nn.functional.normalize(torch.randn(B, T, C, generator=generator), dim=-1)
    sounding = torch.tensor(
        [
            [[0, 1, -1], [2, -1, -1], [3, -1, -1], [4, 2, -1], [1, 0, -1]],
            [[5, -1, -1], [0, -1, -1], [-1, 3, -1], [-1, -1, -1], [2, 4, -1]],
        ]
    )
    silent = torch.tensor(
        [
            [[-1, -1, 5], [-1, 4, 5], [-1, 0, -1], [-1, -1, -1], [-1, -1, 2]],
            [[-1, -1, -1]] * T,
        ]
    )
    return replace(ObjectEmbeddings(embed, sounding, silent, anchor), **changes)


def dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def unit(vector: Vector) -> Vector:
    length = math.sqrt(dot(vector, vector))
    return [value / length for value in vector]


def mean(vectors: Sequence[Vector]) -> Vector:
    return [sum(values) / len(vectors) for values in zip(*vectors, strict=True)]


def info_nce(anchor: Vector, positive: Vector, negatives: Sequence[Vector]) -> float:
    """-log(e^p / (e^p + the sum of e^n)), cosines over the temperature."""
    own = math.exp(dot(anchor, unit(positive)) / TEMPERATURE)
    return -math.log(own / (own + sum(math.exp(dot(anchor, unit(n)) / TEMPERATURE) for n in negatives)))


def slow_frame_contrast(found: ObjectEmbeddings) -> float:
    each = []
    for b in range(B):
        for t in range(T):
            positives = {q for q in found.sounding[b, t].tolist() if q >= 0}
            embed: list[Vector] = found.embed[b, t].tolist()
            others = [embed[q] for q in range(Q) if q not in positives]
            each += [info_nce(found.anchor[b, t].tolist(), embed[q], others) for q in sorted(positives)]
    return sum(each) / len(each)


def slow_instance_contrast(found: ObjectEmbeddings) -> float:
    each = []
    for b in range(B):
        embed: list[list[Vector]] = found.embed[b].tolist()
        for o in range(SLOTS):
            on = [(t, q) for t, q in enumerate(found.sounding[b, :, o].tolist()) if q >= 0]
            off = [(t, q) for t, q in enumerate(found.silent[b, :, o].tolist()) if q >= 0]
            if on and off:
                anchor = unit(mean([found.anchor[b, t].tolist() for t, _ in on]))
                each += [info_nce(anchor, embed[t][q], [embed[s][p] for s, p in off]) for t, q in on]
    return sum(each) / len(each)


def slow_recognition(found: ObjectEmbeddings, of_memory: bool) -> tuple[float, float]:
    contrasts, cosines = [], []
    for b in range(B):
        embed: list[list[Vector]] = found.embed[b].tolist()
        for o in range(SLOTS):
            frames = [(t, q) for t, q in enumerate(found.sounding[b, :, o].tolist()) if q >= 0]
            memory: Vector | None = None
            for place, (t, q) in enumerate(frames):
                v = embed[t][q]
                if memory is not None:
                    before, own = frames[place - 1]
                    key = memory if of_memory else embed[before][own]
                    others = [embed[before][n] for n in range(Q) if n != own]
                    contrasts.append(math.log(1 + sum(math.exp(dot(v, n) - dot(v, key)) for n in others)))
                    alike = [dot(unit(embed[before][n]), unit(v)) for n in range(Q)]
                    cosines.append(sum((alike[n] - (n == own)) ** 2 for n in range(Q)) / Q)
                    share = max(0.0, dot(unit(memory), unit(v)))
                    memory = [(1 - share) * m + share * e for m, e in zip(memory, v, strict=True)]
                else:
                    memory = v
    return sum(contrasts) / len(contrasts), sum(cosines) / len(cosines)


@pytest.mark.parametrize("seed", range(3))
def test_within_a_frame_the_sound_attracts_what_sounds_and_repels_the_rest(seed: int) -> None:
    found = objects(seed)
    assert frame_contrast(found).item() == pytest.approx(slow_frame_contrast(found), rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_over_a_clip_the_mean_sound_attracts_an_object_and_repels_its_silent_frames(seed: int) -> None:
    found = objects(seed)
    assert instance_contrast(found).item() == pytest.approx(slow_instance_contrast(found), rel=1e-4)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_an_object_is_known_again_by_its_last_embedding_or_by_its_memory(seed: int, share: float) -> None:
    found = objects(seed)
    contrast, cosine = recognition(found, memory_share=share)
    expected = slow_recognition(found, share == 1.0)
    assert (contrast.item(), cosine.item()) == (pytest.approx(expected[0], rel=1e-4), pytest.approx(expected[1]))
    assert slow_recognition(found, True)[0] != pytest.approx(slow_recognition(found, False)[0], rel=1e-3)


def test_one_half_of_the_pairs_are_held_against_the_memory() -> None:
    found, draws = objects(), []
    for seed in range(200):
        torch.manual_seed(seed)
        draws.append(recognition(found)[0].item())
    of_last, of_memory = (slow_recognition(found, of_memory)[0] for of_memory in (False, True))
    assert sum(draws) / len(draws) == pytest.approx((of_last + of_memory) / 2, abs=0.1 * abs(of_last - of_memory))


def test_the_memory_tells_how_far_to_go_but_nothing_is_learned_from_that() -> None:
    """How much a memory takes of an embedding is a number, not something to be trained."""
    embed = torch.tensor([[[[1.0, 0.0]], [[0.6, 0.8]], [[0.3, 1.0]]]], requires_grad=True)
    one = ObjectEmbeddings(embed, torch.zeros(1, 3, 1, dtype=torch.int64), torch.full((1, 3, 1), -1), embed[:, :, 0])
    # the only query is the object itself, so that there is nothing to tell it from; a second one makes a loss
    other = torch.cat([embed, torch.zeros_like(embed)], dim=2)
    recognition(replace(one, embed=other), memory_share=1.0)[0].backward()
    a, b, v = ([1.0, 0.0], [0.6, 0.8], [0.3, 1.0])
    share = 0.6
    # log(1 + e^(0 - v.m)) of both pairs: with s = sigmoid(-v.m) the gradient at a is -s v and its share in the memory
    memory = [(1 - share) * x + share * y for x, y in zip(a, b, strict=True)]
    s_first, s_second = (1 / (1 + math.exp(dot(x, y))) for x, y in ((b, a), (v, memory)))
    expected = [-(s_first * x + s_second * (1 - share) * y) / 2 for x, y in zip(b, v, strict=True)]
    assert embed.grad is not None
    assert embed.grad[0, 0, 0].tolist() == pytest.approx(expected, abs=1e-5)


# --- the query that stands for a silent object


def slow_positive(sounding: Tensor) -> Tensor:
    out = torch.zeros(*sounding.shape[:2], Q, dtype=torch.bool)
    for b, t, o in (sounding >= 0).nonzero().tolist():
        out[b, t, sounding[b, t, o]] = True
    return out


def test_the_queries_that_sound_are_those_of_the_objects_that_do() -> None:
    found = objects()
    assert torch.equal(found.is_positive, slow_positive(found.sounding))
    assert found.is_positive.any()


def test_a_silent_object_is_the_query_that_draws_it_best() -> None:
    generator = torch.Generator().manual_seed(3)
    coarse = 3 * torch.randn(B, T, Q, 8, 12, generator=generator) + torch.randn(B, T, Q, 1, 1, generator=generator)
    truth = (torch.rand(B, T, SLOTS, 8, 12, generator=generator) > 0.6).float()
    # blocks of four cells: which of them are compared makes no difference
    logits, masks = (maps.repeat_interleave(2, -1).repeat_interleave(2, -2) for maps in (coarse, truth))
    seen = torch.rand(B, T, SLOTS, generator=generator) > 0.3
    found = objects()
    sounding = found.sounding >= 0
    got = silent_by_masks(logits, masks, seen, sounding, found.is_positive)
    positive = slow_positive(found.sounding)
    for b in range(B):
        for t in range(T):
            for o in range(SLOTS):
                if sounding[b, t, o] or not seen[b, t, o]:
                    assert got[b, t, o] == -1
                    continue
                dice: list[float] = []
                for q in range(Q):
                    chance, mask = coarse[b, t, q].sigmoid(), truth[b, t, o]
                    overlap = 2 * (chance * mask).sum() / (chance.sum() + mask.sum())
                    dice.append(-1.0 if positive[b, t, q] else overlap.item())
                assert got[b, t, o] == dice.index(max(dice))
    assert (got >= 0).any()
    assert (got < 0).any()
    # truth of the pictures' own size, two cells of which are one of a mask's
    finer = masks.repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert torch.equal(silent_by_masks(logits, finer, seen, sounding, found.is_positive), got)


@pytest.mark.parametrize("seed", range(8))
def test_a_silent_object_whose_truth_nobody_has_is_the_query_most_like_it(seed: int) -> None:
    found = objects(seed)
    seen = torch.rand(B, T, SLOTS, generator=torch.Generator().manual_seed(1)) > 0.2
    got = silent_by_likeness(found.embed, found.sounding, seen, found.is_positive)
    positive = slow_positive(found.sounding)
    for b in range(B):
        embed: list[list[Vector]] = found.embed[b].tolist()
        for o in range(SLOTS):
            on = [(t, q) for t, q in enumerate(found.sounding[b, :, o].tolist()) if q >= 0]
            for t in range(T):
                if not on or not seen[b, t, o] or found.sounding[b, t, o] >= 0:
                    assert got[b, t, o] == -1
                    continue
                own = mean([unit(embed[s][q]) for s, q in on])
                alike = [-9.0 if positive[b, t, q] else dot(unit(embed[t][q]), own) for q in range(Q)]
                assert got[b, t, o] == alike.index(max(alike))
    assert (got >= 0).any()


# --- where there is nothing to learn from

NONE = torch.full((B, T, SLOTS), -1)


def both_of_recognition(found: ObjectEmbeddings) -> Tensor:
    return torch.stack(recognition(found)).sum()


@pytest.mark.parametrize("loss", [frame_contrast, instance_contrast, both_of_recognition])
def test_without_objects_a_loss_is_zero_and_so_is_its_gradient(loss: Callable[[ObjectEmbeddings], Tensor]) -> None:
    found = objects(sounding=NONE, silent=NONE)
    embed, anchor = found.embed.clone().requires_grad_(), found.anchor.clone().requires_grad_()
    value = loss(replace(found, embed=embed, anchor=anchor))
    assert value.item() == 0.0
    value.backward()
    for leaf in (embed, anchor):
        assert leaf.grad is None or not leaf.grad.any()  # nor is it not a number, which counts as true
    assert embed.grad is not None, "the embeddings stay in the graph, so that processes can share their gradients"


def test_a_frame_in_which_every_query_sounds_has_nothing_to_be_told_from() -> None:
    every = torch.arange(Q).expand(1, 2, Q)
    embed = torch.randn(1, 2, Q, C, generator=torch.Generator().manual_seed(0)).requires_grad_()
    anchor = torch.nn.functional.normalize(torch.ones(1, 2, C), dim=-1)
    found = ObjectEmbeddings(embed, every, torch.full_like(every, -1), anchor)
    value = frame_contrast(found) + instance_contrast(found)
    value.backward()
    assert value.item() == 0.0
    assert embed.grad is not None
    assert not embed.grad.any()


def test_objects_that_are_never_silent_or_never_sound_are_left_out_of_the_clips_loss() -> None:
    found = objects()
    embed = found.embed.clone().requires_grad_()
    instance_contrast(replace(found, embed=embed)).backward()
    assert embed.grad is not None
    moved = embed.grad.abs().sum(-1) > 0
    wanted = torch.zeros(B, T, Q, dtype=torch.bool)
    # of the first clip only the second object is heard and seen silent
    for t, q in ((0, 1), (3, 2), (4, 0), (1, 4), (2, 0)):
        wanted[0, t, q] = True
    assert torch.equal(moved, wanted)


def test_of_one_frame_nothing_can_be_known_again() -> None:
    found = objects()
    one = ObjectEmbeddings(
        found.embed[:, :1].clone().requires_grad_(), found.sounding[:, :1], found.silent[:, :1], found.anchor[:, :1]
    )
    contrast, cosine = recognition(one)
    assert (contrast.item(), cosine.item()) == (0.0, 0.0)
    (contrast + cosine).backward()
    assert one.embed.grad is not None
    assert not one.embed.grad.any()
    assert frame_contrast(one).isfinite()


def test_huge_embeddings_give_finite_losses_and_gradients() -> None:
    embed = (1e4 * objects().embed).requires_grad_()
    found = objects(embed=embed)
    value = frame_contrast(found) + instance_contrast(found) + both_of_recognition(found)
    value.backward()
    assert value.isfinite()
    assert embed.grad is not None
    assert embed.grad.isfinite().all()
