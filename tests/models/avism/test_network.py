"""The network and its parts: what holds for any weights."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from avis_cli.errors import UsageError, WeightsError
from avis_cli.models.avism.config import PRESETS, AvismConfig, SwinSizes
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.system import build
from avis_cli.models.tokens import FrameTokens
from avis_cli.nn.deformable_attention import cell_centres, interpolated_points, weighted_points
from avis_cli.nn.layers import Attention, TransformerSizes, sine_position
from avis_cli.nn.pixel_decoder import PixelDecoder
from avis_cli.nn.resnet import FrozenNormConv
from avis_cli.nn.swin import SwinTransformer


@pytest.fixture(scope="module")
def tiny() -> Avism:
    torch.manual_seed(0)
    return build(PRESETS["avism-tiny"]).eval()


def clip(frames: int, height: int = 60, width: int = 100) -> tuple[Tensor, Tensor]:
    torch.manual_seed(frames)
    return torch.randint(0, 256, (frames, 3, height, width), dtype=torch.uint8), torch.randn(frames, 128)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_description_survives_json(preset: str) -> None:
    config = PRESETS[preset]
    assert AvismConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("change", [{"backbone": {"kind": "vgg"}}, {"surplus": 1}, {"backbone": None}])
def test_a_description_that_is_not_understood_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WeightsError, match="not understood"):
        AvismConfig.from_dict({**PRESETS["avism-tiny"].to_dict(), **change})


def test_shapes_of_tokens_and_tracks(tiny: Avism) -> None:
    frames, audio = clip(3)
    tokens = tiny.localize(frames, audio)
    assert tokens.queries.shape == (3, 16, 128)
    assert tokens.class_logits.shape == (3, 16, 11)
    assert tokens.mask_features.shape == (3, 32, 32, 64)  # 60 x 100 padded to 64 x 128, at stride 2
    assert tokens.size == (60, 100)
    tracks = tiny.track(tokens)
    assert tracks.class_logits.shape == (32, 11)
    assert tracks.mask_embed.shape == (32, 32)
    assert tracks.token_similarity.shape == (3, 16, 128)
    bare = tiny.track(tokens.queries, tokens.audio)
    assert torch.equal(bare.class_logits, tracks.class_logits)


def test_windows_of_frames_give_what_the_clip_gives(tiny: Avism) -> None:
    frames, audio = clip(5)
    whole = tiny.localize(frames, audio)
    parts = FrameTokens.join([tiny.localize(frames[:2], audio[:2]), tiny.localize(frames[2:], audio[2:])])
    torch.testing.assert_close(parts.queries, whole.queries, rtol=0, atol=1e-4)
    torch.testing.assert_close(parts.mask_features, tiny.mask_features(frames), rtol=0, atol=1e-4)
    assert len(parts.without_masks().mask_features) == 0
    assert len(parts) == 5


def test_sound_matters_and_silence_of_one_frame_leaves_the_others(tiny: Avism) -> None:
    frames, audio = clip(2)
    louder = audio.clone()
    louder[1] += 1
    one, other = tiny.localize(frames, audio), tiny.localize(frames, louder)
    torch.testing.assert_close(one.queries[0], other.queries[0])
    assert (one.queries[1] - other.queries[1]).abs().max() > 1e-3


def test_sounding_is_the_surest_token_of_the_class_and_object(tiny: Avism) -> None:
    frames, audio = clip(3)
    tokens = tiny.localize(frames, audio)
    tracks = tiny.track(tokens)
    gate = tiny.sounding(tokens, tracks, torch.tensor([4, 7]), torch.tensor([2, 9]))
    probability = tokens.class_logits.softmax(-1)
    alike = (tracks.token_similarity @ tracks.similarity[7]).sigmoid()
    assert gate.shape == (2, 3)
    torch.testing.assert_close(gate[1], (probability[..., 9] * alike).max(dim=1).values)


def test_own_audio_encoder_tells_sounds_apart(tiny: Avism) -> None:
    silence = torch.full((1, 96, 64), -4.6052)
    embedded = tiny.embed_log_mel(torch.cat([silence, silence + 3, torch.randn(1, 96, 64)]))
    assert embedded.shape == (3, 128)
    assert torch.pdist(embedded).min() > 1e-3


def test_a_network_that_reads_vggish_has_no_encoder() -> None:
    model = build(replace(PRESETS["avism-tiny"], audio="vggish"))
    with pytest.raises(UsageError, match="no audio encoder"):
        model.embed_log_mel(torch.zeros(1, 96, 64))


def test_bad_frames_and_audio_are_refused(tiny: Avism) -> None:
    frames, audio = clip(2)
    for bad in (frames.float(), frames[:, :1], frames[0], frames[:0]):
        with pytest.raises(UsageError, match="expected"):
            tiny.localize(bad, audio)
    with pytest.raises(UsageError, match="expected"):
        tiny.localize(frames, audio[:1])
    with pytest.raises(UsageError, match="expected"):
        tiny.track(torch.zeros(2, 16, 128))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near(tiny: Avism, kind: torch.dtype) -> None:
    frames, audio = clip(2)
    exact = tiny.localize(frames, audio)
    with torch.autocast("cpu", kind):
        tokens = tiny.localize(frames, audio)
        tracks = tiny.track(tokens)
    assert tokens.queries.dtype == torch.float32
    assert tokens.mask_features.dtype == kind
    assert torch.isfinite(tracks.class_logits).all()
    assert (tokens.queries - exact.queries).abs().mean() < 0.05


def test_a_folded_norm_follows_its_weights() -> None:
    torch.manual_seed(0)
    layer, x = FrozenNormConv(3, 4, 3), torch.rand(1, 3, 6, 6)

    def expected() -> Tensor:
        out = F.conv2d(x, layer.weight, padding=1)
        return F.batch_norm(out, layer.mean, layer.variance, layer.scale, layer.shift, eps=1e-5)

    for name in ("scale", "shift", "mean", "variance", "weight"):
        with torch.inference_mode():
            layer(x)
        changed = {key: value + (key == name) * torch.rand_like(value) for key, value in layer.state_dict().items()}
        layer.load_state_dict(changed)
        with torch.no_grad():
            torch.testing.assert_close(layer(x), expected())
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        assert layer(x).dtype == torch.bfloat16
    torch.testing.assert_close(layer(x), expected())  # with gradients
    assert layer(x).requires_grad


def test_training_gives_every_layer_and_reaches_every_weight() -> None:
    torch.manual_seed(0)
    model = build(PRESETS["avism-tiny"])
    audio = model.encode_audio(torch.randn(4, 96, 64)).unflatten(0, (2, 2))
    said, tracked = model(torch.randint(0, 256, (2, 2, 3, 64, 64), dtype=torch.uint8), audio)
    assert said.class_logits.shape == (4, 2, 2, 16, 11)
    assert said.mask_logits(0).shape == (2, 2, 16, 32, 32)
    assert tracked.class_logits.shape == (2, 3, 2, 32, 11)
    assert tracked.similarity.shape == (2, 3, 2, 32, 128)
    assert tracked.mask_logits(0, 1).shape == (2, 32, 2, 32, 32)
    outputs = (said.class_logits, said.mask_logits(), tracked.class_logits, tracked.mask_logits(), tracked.similarity)
    torch.stack([x.square().mean() for x in (*outputs, tracked.token_similarity)]).sum().backward()
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []


def test_without_an_encoder_what_is_coarse_reaches_every_finer_level() -> None:
    torch.manual_seed(0)
    decoder = PixelDecoder((8, 8, 8, 8), (16,), TransformerSizes(16, 2, 32), 4, layers=0, norm_groups=4).eval()
    maps = [torch.randn(1, 8, 64 // 2**n, 32 // 2**n) for n in range(4)]
    other = [*maps[:3], torch.randn(1, 8, 8, 4)]
    before, after = decoder(maps), decoder(other)
    assert [tuple(level.shape) for level in before.levels] == [(1, 16, 8, 4), (1, 16, 16, 8), (1, 16, 32, 16)]
    assert before.fine.shape == (1, 16, 64, 32)
    for one, two in zip((*before.levels, before.fine), (*after.levels, after.fine), strict=True):
        assert not torch.allclose(one, two)
    assert torch.equal(before.levels[0], decoder([*(torch.zeros_like(x) for x in maps[:3]), maps[3]]).levels[0])


def test_training_tracker_is_the_inference_tracker_within_a_window(tiny: Avism) -> None:
    frames, audio = clip(2, 64, 64)
    with torch.no_grad():
        _, tracked = tiny(frames[None], audio[None], shifted=True)
    tracks = tiny.track(tiny.localize(frames, audio))
    torch.testing.assert_close(tracked.class_logits[-1, -1, 0], tracks.class_logits, rtol=0, atol=1e-4)
    torch.testing.assert_close(tracked.mask_embed[-1, -1, 0], tracks.mask_embed, rtol=0, atol=1e-4)


def test_deformable_points_are_those_of_grid_sample() -> None:
    torch.manual_seed(0)
    sizes = [(2, 3), (4, 5), (7, 11)]
    cells = sum(h * w for h, w in sizes)
    values = torch.randn(2, cells, 4, 8, requires_grad=True)
    centres = cell_centres(sizes, values.device)[:, None, :, None]
    # some within the map, some across its edge, some far outside
    x, y = (centres[..., i] + torch.randn(2, cells, 4, 3, 5) * 4 for i in (0, 1))
    weights = torch.rand(2, cells, 4, 3, 5)
    fast, plain = (sample(values, x, y, weights, sizes) for sample in (weighted_points, interpolated_points))
    torch.testing.assert_close(fast, plain, rtol=0, atol=1e-4)
    gradients = [torch.autograd.grad(out.square().sum(), values)[0] for out in (fast, plain)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-3)


def test_cells_read_themselves_at_their_own_centre() -> None:
    sizes = [(3, 4)]
    values = torch.randn(1, 12, 1, 6)
    centre = cell_centres(sizes, values.device)[None, :, None, :, None]
    weights = torch.ones(1, 12, 1, 1, 1)
    read = weighted_points(values, centre[..., 0], centre[..., 1], weights, sizes)
    torch.testing.assert_close(read, values[:, :, 0])


def test_attention_is_pytorchs() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(32, 4), torch.nn.MultiheadAttention(32, 4, batch_first=True)
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.in_weight,
            "in_proj_bias": ours.in_bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    query, key, value = torch.randn(2, 3, 32), torch.randn(2, 5, 32), torch.randn(2, 5, 32)
    allowed = torch.rand(2, 3, 5) > 0.3
    allowed[..., 0] = True
    wanted, _ = theirs(query, key, value, attn_mask=~allowed.repeat_interleave(4, 0))
    torch.testing.assert_close(ours(query, key, value, allowed), wanted)


def test_sine_positions_start_after_zero_and_end_at_a_full_turn() -> None:
    position = sine_position(3, 5, 16, torch.device("cpu"))
    assert position.shape == (3, 5, 16)
    torch.testing.assert_close(position[2, 0, :2], torch.tensor([0.0, 1.0]), rtol=0, atol=1e-5)
    torch.testing.assert_close(position[0, 0, 0], torch.tensor(2 * torch.pi / 3).sin())
    assert torch.equal(position[1, 0, :8], position[1, 4, :8]), "rows in the first half"


def test_swin_masks_what_only_the_roll_brought_together() -> None:
    """The far corner of a map that fills its windows must not reach the first cells by way of the roll."""
    torch.manual_seed(0)
    sizes = SwinSizes(width=8, depths=(2, 2, 2, 2), heads=(1, 1, 1, 1), window=2)
    swin = SwinTransformer(sizes.width, sizes.depths, sizes.heads, sizes.window).eval()
    picture = torch.randn(1, 3, 64, 96)
    changed = picture.clone()
    changed[..., -4:, -4:] += 1
    before, after = swin(picture)[0], swin(changed)[0]
    assert [tuple(x.shape[1:]) for x in swin(picture)] == [(8, 16, 24), (16, 8, 12), (32, 4, 6), (64, 2, 3)]
    torch.testing.assert_close(before[..., 0, 0], after[..., 0, 0])
    assert (before[..., -1, -1] - after[..., -1, -1]).abs().max() > 1e-3


def test_padding_is_zero_after_normalisation(tiny: Avism) -> None:
    """A frame of another size padded by hand gives the same features."""
    frames, _ = clip(1, 64, 50)
    grey = torch.tensor(tiny.config.pixel_mean)[:, None, None].expand(3, 64, 14)
    by_hand = torch.cat([frames[0].float(), grey], dim=2)[None]
    with torch.no_grad():
        one, other = tiny.features(frames), tiny.features(by_hand)
    torch.testing.assert_close(one.fine, other.fine)


def test_masks_for_attention_are_the_resized_masks(tiny: Avism) -> None:
    """Resizing features instead of masks changes nothing."""
    frames, _ = clip(1, 64, 96)
    with torch.no_grad():
        features = tiny.features(frames)
        state = torch.randn(1, 16, 128)
        size = features.levels[0].shape[-2:]
        masks = torch.einsum("bqm,bmhw->bqhw", tiny.localizer.mask_head(state), tiny.localizer.mask_features(features))
        wanted = F.interpolate(masks, size, mode="bilinear", align_corners=False).flatten(2)
        shrunk = tiny.localizer._shrunk_mask_features(features.fine, [(size[0], size[1])])[0]
        torch.testing.assert_close(tiny.localizer.mask_head(state) @ shrunk, wanted, rtol=0, atol=1e-4)
