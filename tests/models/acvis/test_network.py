"""ACVIS's network: what holds for any weights."""

from __future__ import annotations

import json

import pytest
import torch
from acvis_examples import small
from torch import Tensor

from avis_cli.models.acvis.config import PRESETS, AcvisConfig
from avis_cli.models.acvis.network import Acvis
from avis_cli.models.acvis.system import build
from avis_cli.models.tokens import FrameTokens
from avis_cli.nn.layers import CrossAttentionBlock


@pytest.fixture(scope="module")
def network() -> Acvis:
    torch.manual_seed(0)
    return build(small("acvis-r50-in")).eval()


def clip(frames: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(frames)
    return torch.randint(0, 256, (frames, 3, 60, 90), dtype=torch.uint8), torch.randint(0, 256, (frames, 128)).float()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_description_survives_json(preset: str) -> None:
    config = PRESETS[preset]
    assert AcvisConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_frames_have_queries_without_the_count_token_and_three_chances(network: Acvis) -> None:
    tokens = network.localize(*clip(3))
    assert tokens.queries.shape == (3, 6, 32)
    assert tokens.class_logits.shape == (3, 6, 27)
    assert tokens.count is not None
    assert tokens.count.shape == (3, 3)
    torch.testing.assert_close(tokens.count.sum(-1), torch.ones(3))
    assert network.track(tokens).class_logits.shape == (6, 27)


def test_parts_of_a_clip_give_what_the_clip_gives(network: Acvis) -> None:
    frames, audio = clip(4)
    whole = network.localize(frames, audio)
    joined = FrameTokens.join([network.localize(frames[:1], audio[:1]), network.localize(frames[1:], audio[1:])])
    for parts in (joined, joined.copy().without_masks(), FrameTokens.join([joined.part(0, 2), joined.part(2, 4)])):
        torch.testing.assert_close(parts.queries, whole.queries, rtol=0, atol=1e-4)
        torch.testing.assert_close(parts.count, whole.count, rtol=0, atol=1e-5)


def test_what_a_generator_layer_adds_is_the_same_for_every_token(network: Acvis) -> None:
    """With one key the weights of queries and keys have no effect, nor has the position."""
    tokens, position = torch.randn(7, 32), torch.randn(7, 32)
    audio = torch.randn(2, 128)
    block = network.localizer.generator.blocks[0]
    assert isinstance(block, CrossAttentionBlock)
    heard = network.localizer.generator.inward(audio)
    with torch.no_grad():
        value = heard @ block.attention.in_weight[64:].T + block.attention.in_bias[64:]
        wanted = block.norm(tokens + block.attention.out(value)[:, None])
        got = block(tokens.expand(2, -1, -1), heard[:, None], heard[:, None], position)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_the_count_token_sees_everything_and_the_queries_their_masks(network: Acvis) -> None:
    localizer = network.localizer
    state, features = torch.randn(2, 7, 32), torch.randn(2, 32, 50)
    allowed = localizer.where_to_look(state, features)
    masks = localizer.mask_head(state[:, 1:]) @ features >= 0
    assert allowed[:, 0].all()
    assert torch.equal(allowed[:, 1:], masks | ~masks.any(-1, keepdim=True))
    assert not allowed[:, 1:].all()


def test_the_count_depends_on_the_sound_and_the_queries_on_the_count_token(network: Acvis) -> None:
    frames, audio = clip(1)
    before = network.localize(frames, audio)
    assert before.count is not None
    quieter = network.localize(frames, audio / 2)
    assert quieter.count is not None
    assert not torch.equal(quieter.count, before.count)
    token = network.localizer.count_token
    kept = token.detach().clone()
    with torch.no_grad():
        token.add_(1)
        changed = network.localize(frames, audio)
        token.copy_(kept)
    assert (changed.queries - before.queries).abs().max() > 1e-4


def test_sound_is_heard_in_whole_numbers_also_in_half_precision(network: Acvis) -> None:
    patches = torch.cat([torch.full((1, 96, 64), -4.6052), torch.randn(3, 96, 64), torch.zeros(1, 96, 64)])
    plain = network.embed_log_mel(patches)
    with torch.autocast("cpu", torch.bfloat16):
        half = network.embed_log_mel(patches)
    for told in (plain, half):
        assert told.shape == (5, 128)
        assert told.dtype == torch.float32
        assert torch.equal(told, told.round())
        assert told.min() >= 0
        assert told.max() <= 255
    assert (plain - half).abs().max() <= 4
    torch.testing.assert_close(network.embed_log_mel(patches[1:2]), plain[1:2])


def test_components_are_those_of_the_centred_embedding(network: Acvis) -> None:
    hearing = build(small("acvis-r50-in")).audio_network
    torch.manual_seed(3)
    hearing.pca_vectors.copy_(torch.randn(128, 128) * 0.2)
    hearing.pca_means.copy_(torch.randn(128, 1))
    embedding = torch.rand(4, 128)
    components = torch.stack([hearing.pca_vectors @ (row - hearing.pca_means[:, 0]) for row in embedding])
    wanted = (components.clamp(-2, 2) + 2) * 63.75
    torch.testing.assert_close(hearing.scaled(embedding), wanted, rtol=0, atol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(hearing.scaled(embedding), wanted, rtol=0, atol=1e-3)
    assert bool((wanted == 0).any()), "some are clipped"
    assert bool((wanted == 255).any())
