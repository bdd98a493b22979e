"""Pairs, masks and scores, against the plain way of computing them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from avis_cli.inference.decode_masks import MaskQuality, MaskSizes, candidates, decode_masks


def plain(embed: Tensor, features: Tensor, sizes: MaskSizes) -> tuple[Tensor, Tensor]:
    """Masks (K, T, H, W) and mean sigmoid inside them (K,), every pixel computed in two interpolations."""
    logits = torch.einsum("km,tmhw->tkhw", embed, features)
    fine = F.interpolate(logits, sizes.padded, mode="bilinear", align_corners=False)
    fine = fine[:, :, : sizes.frame[0], : sizes.frame[1]]
    sigmoid = fine.sigmoid().transpose(0, 1).flatten(1).double()
    inside = sigmoid > 0.5
    out = F.interpolate(fine, sizes.output, mode="bilinear", align_corners=False) > 0
    return out.transpose(0, 1), (sigmoid * inside).sum(1) / (inside.sum(1) + 1e-6)


def blobs(seed: int, masks: int, frames: int, height: int, width: int, offset: float) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(frames, 4, 3, 4, generator=random)
    features = F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)
    features = torch.cat([features, torch.ones(frames, 1, height, width)], dim=1)
    embed = torch.cat([torch.randn(masks, 4, generator=random), torch.full((masks, 1), offset)], dim=1)
    return embed, features


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    map_size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    stride=st.sampled_from([2, 4]),
    crop=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    output=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    offset=st.floats(-4, 2),
)
def test_masks_and_quality_are_the_plain_ones(
    seed: int,
    map_size: tuple[int, int],
    stride: int,
    crop: tuple[int, int],
    output: tuple[int, int],
    offset: float,
) -> None:
    padded = (map_size[0] * stride, map_size[1] * stride)
    frame = (max(1, padded[0] - crop[0]), max(1, padded[1] - crop[1]))
    sizes = MaskSizes(padded, frame, output)
    embed, features = blobs(seed, 3, 2, *map_size, offset)
    masks, quality = decode_masks(embed, features, sizes)
    wanted, mean = plain(embed, features, sizes)
    assert (masks != wanted).float().mean() <= 2 / wanted[0].numel()  # a logit may round to either side of 0
    torch.testing.assert_close(quality.mean(), mean, rtol=0, atol=1e-4)


def test_windows_add_up() -> None:
    embed, features = blobs(1, 2, 5, 12, 16, -0.5)
    sizes = MaskSizes((48, 64), (45, 60), (90, 120))
    masks, quality = decode_masks(embed, features, sizes)
    first, second = (decode_masks(embed, part, sizes) for part in (features[:2], features[2:]))
    assert torch.equal(torch.cat([first[0], second[0]], dim=1), masks)
    torch.testing.assert_close((first[1] + second[1]).mean(), quality.mean())


def test_an_empty_mask_scores_nothing() -> None:
    embed, features = torch.full((1, 3), -1.0), torch.ones(2, 3, 4, 4)
    masks, quality = decode_masks(embed, features, MaskSizes((16, 16), (16, 16), (32, 32)))
    assert not masks.any()
    assert quality.mean().tolist() == [0.0]


def test_no_masks_at_all() -> None:
    masks, quality = decode_masks(torch.zeros(0, 3), torch.ones(2, 3, 4, 4), MaskSizes((16, 16), (16, 16), (8, 8)))
    assert masks.shape == (0, 2, 8, 8)
    assert len(quality.mean()) == 0


def test_half_precision_features_are_widened() -> None:
    embed, features = blobs(2, 2, 1, 12, 16, 0.0)
    sizes = MaskSizes((48, 64), (48, 64), (96, 128))
    with torch.autocast("cpu", torch.bfloat16):
        masks, _ = decode_masks(embed, features.bfloat16(), sizes)
    wanted, _ = decode_masks(embed, features, sizes)
    assert (masks != wanted).float().mean() < 0.01


def logits_of(probabilities: list[list[float]]) -> Tensor:
    p = torch.tensor(probabilities)
    return torch.cat([p, 1 - p.sum(1, keepdim=True)], dim=1).log()


def test_pairs_fall_in_probability_and_a_query_of_two_classes_has_one_mask() -> None:
    pairs = candidates(logits_of([[0.1, 0.2], [0.45, 0.5], [0.7, 0.05]]), threshold=0.3)
    assert pairs.queries.tolist() == [2, 1, 1]
    assert pairs.classes.tolist() == [0, 1, 0]
    assert pairs.probabilities.tolist() == pytest.approx([0.7, 0.5, 0.45])
    assert pairs.masks.tolist() == [1, 2]
    assert pairs.masks[pairs.rows].tolist() == pairs.queries.tolist()
    scores = MaskQuality(torch.tensor([3.0, 8.0]).double(), torch.tensor([4.0, 10.0]).double()).scores(pairs)
    assert scores.tolist() == pytest.approx([0.56, 0.375, 0.3375], abs=1e-5)


def test_without_a_threshold_the_best_hundred_stay() -> None:
    torch.manual_seed(0)
    assert len(candidates(torch.randn(100, 27))) == 100
    assert len(candidates(torch.randn(3, 5))) == 12
    assert len(candidates(torch.randn(3, 5), limit=4)) == 4
    assert len(candidates(torch.randn(3, 5), threshold=1.0)) == 0
