"""`--precision bf16`: bfloat16 where the products are, float32 where a rounding would turn a decision over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from avis_cli.inference.model import Model
from avis_cli.models.avism.config import AVISEG_CATEGORIES, PRESETS, AvismConfig, ResNetSizes, SwinSizes
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.system import build
from avis_cli.models.tokens import FrameTokens, TrackQueries
from avis_cli.models.two_level.config import BackboneSizes
from avis_cli.nn.resnet import FrozenNormConv, SmallResNet

BACKBONES: dict[str, BackboneSizes] = {
    "resnet": ResNetSizes((1, 1, 2, 1)),
    "swin": SwinSizes(width=24, depths=(2, 2, 4, 2), heads=(1, 2, 4, 8), window=4),
}
PRODUCTS = (nn.Linear, nn.Conv2d, FrozenNormConv)


def network(backbone: BackboneSizes) -> Avism:
    """The parts of a released network, few and narrow."""
    torch.manual_seed(1)  # masks of a sixth to a third of the frame
    config = AvismConfig(
        name="small", categories=AVISEG_CATEGORIES, backbone=backbone, width=64, norm_groups=8, encoder_layers=3,
        encoder_feed_forward=128, lateral_widths=(64,), mask_width=64, feed_forward=128, frame_queries=12,
        frame_layers=3, video_queries=12, tracker_self_layers=2, tracker_audio_layers=2, tracker_layers=2,
    )  # fmt: skip
    return build(config)


def clip() -> tuple[Tensor, Tensor]:
    """Two frames with large bright shapes, and embeddings."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 60, (2, 3, 128, 160), dtype=np.uint8)
    frames[:, 0, 20:90, 30:80] = 230
    frames[:, 1, 60:120, 90:150] = 180
    return torch.from_numpy(frames), torch.from_numpy(random.random((2, 128), dtype=np.float32))


@pytest.fixture(params=list(BACKBONES))
def net(request: pytest.FixtureRequest) -> Avism:
    return network(BACKBONES[request.param])


def run(net: Avism, precision: str) -> tuple[FrameTokens, TrackQueries]:
    model, (frames, audio) = Model(net, precision=precision), clip()
    tokens = model.localize(frames, audio)
    return tokens, model.track(tokens)


def watched(
    net: Avism, wanted: type[nn.Module] | tuple[type[nn.Module], ...], of: Callable[[tuple[Any, ...], Tensor], Tensor]
) -> dict[str, set[torch.dtype]]:
    """Element types that modules of the ``wanted`` types met in a run in bf16, by name."""
    seen: dict[str, set[torch.dtype]] = {}

    def hook(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        return lambda module, given, out: seen.setdefault(name, set()).add(of(given, out).dtype)

    hooks = [m.register_forward_hook(hook(name)) for name, m in net.named_modules() if isinstance(m, wanted)]
    run(net, "bf16")
    for one in hooks:
        one.remove()
    return seen


def test_products_of_backbone_and_pixel_decoder_are_bfloat16_and_no_others(net: Avism) -> None:
    seen = watched(net, PRODUCTS, lambda given, out: out)
    assert len(seen) > 60
    for name, kinds in seen.items():
        half = name.startswith(("backbone.", "pixel_decoder."))
        assert kinds == {torch.bfloat16 if half else torch.float32}, name


def test_what_layers_add_to_is_float32(net: Avism) -> None:
    """In the encoder and in Swin; norms stand on it."""
    seen = watched(net, nn.LayerNorm, lambda given, out: given[0])
    assert any(name.startswith("pixel_decoder.layers.2") for name in seen)
    assert {name: kinds for name, kinds in seen.items() if kinds != {torch.float32}} == {}


def test_mask_features_are_rounded_once_and_kept_in_half_the_memory(net: Avism) -> None:
    seen: list[Tensor] = []
    hook = net.tracker.mask_projection.register_forward_hook(lambda module, given, out: seen.append(out))
    model, (frames, audio) = Model(net, precision="bf16"), clip()
    kept = [model.localize(frames, audio).mask_features, model.mask_features(frames)]
    hook.remove()
    assert {out.dtype for out in seen} == {torch.float32}
    assert {features.dtype for features in kept} == {torch.bfloat16}
    torch.testing.assert_close(kept[0], kept[1])


def test_the_sound_of_a_track_is_compared_in_float32(net: Avism) -> None:
    tokens, tracks = run(net, "fp32")
    queries, classes = torch.arange(4), torch.arange(4)
    exact, half = (Model(net, precision=name).sounding(tokens, tracks, queries, classes) for name in ("fp32", "bf16"))
    assert torch.equal(exact, half)


def test_bf16_changes_the_numbers_and_hardly_the_masks(net: Avism) -> None:
    (exact, wanted), (tokens, tracks) = run(net, "fp32"), run(net, "bf16")
    apart = (tokens.queries - exact.queries).norm() / exact.queries.norm()
    assert 1e-4 < apart < 0.004  # 0.005 with half precision everywhere
    masks = [
        torch.einsum("nm,tmhw->nthw", q.mask_embed, t.mask_features.float()) > 0
        for q, t in ((wanted, exact), (tracks, tokens))
    ]
    # of all masks together: alone, one of a few cells stands for as much as one of thousands
    overlap = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    assert 0.97 <= overlap < 1.0


def test_the_bundled_network_s_products_are_bfloat16_too() -> None:
    torch.manual_seed(0)
    net = build(PRESETS["avism-tiny"])
    seen: set[torch.dtype] = set()
    assert isinstance(net.backbone, SmallResNet)
    net.backbone.stem[0].register_forward_hook(lambda module, given, out: seen.add(out.dtype))
    Model(net, precision="bf16").mask_features(clip()[0])
    assert seen == {torch.bfloat16}
