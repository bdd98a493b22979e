"""Released names and our own, both ways, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import parity_fill
import pytest
import torch
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models.avism import checkpoint
from avis_cli.models.avism.config import PRESETS, AvismConfig, ResNetSizes, SwinSizes
from avis_cli.models.avism.network import Avism
from avis_cli.models.avism.system import build

RELEASED = {
    "avism-r50-in": "avism_R50_IN",
    "avism-r50-coco": "avism_R50_COCO",
    "avism-swinl-in": "avism_SwinL_IN",
    "avism-swinl-coco": "avism_SwinL_COCO",
}


def described(preset: str) -> dict[str, Tensor]:
    """A released checkpoint's names and shapes, without memory for the values."""
    keys = json.loads((parity_fill.DATA / f"keys_{RELEASED[preset]}.json").read_text())
    kinds = {"float32": torch.float32, "int64": torch.int64}
    return {name: torch.empty(shape, dtype=kinds[kind], device="meta") for name, (shape, kind) in keys.items()}


@pytest.fixture(scope="module")
def small() -> AvismConfig:
    """A network of the released make that is quick to build."""
    return replace(
        PRESETS["avism-r50-coco"],
        name="small",
        backbone=ResNetSizes((1, 1, 1, 1)),
        encoder_layers=1,
        frame_layers=1,
        tracker_self_layers=2,
        tracker_audio_layers=1,
        tracker_layers=1,
    )


@pytest.fixture(scope="module")
def network(small: AvismConfig) -> Avism:
    torch.manual_seed(0)
    return build(small)


@pytest.fixture(scope="module")
def released(small: AvismConfig, network: Avism) -> dict[str, Tensor]:
    naming = checkpoint.naming(small, "vita")
    weights = naming.to_released(network.state_dict())
    return weights | {name: torch.ones(shape) for name, shape in naming.derived.items()}


@pytest.mark.parametrize("preset", RELEASED)
def test_every_released_name_has_a_place_of_its_shape(preset: str) -> None:
    config = PRESETS[preset]
    with torch.device("meta"):
        wanted = build(config).state_dict()
    given = described(preset)
    naming = checkpoint.naming(config)
    named = naming.from_released(given)
    assert {name: tensor.shape for name, tensor in named.items()} == {n: tensor.shape for n, tensor in wanted.items()}
    back = naming.to_released(wanted)
    assert set(given) - set(back) == set(naming.derived)


def test_released_names_load_with_either_prefix(
    small: AvismConfig, network: Avism, released: dict[str, Tensor]
) -> None:
    renamed = {name.replace("vita_", "avism_"): tensor for name, tensor in released.items()}
    for weights in (released, renamed):
        torch.manual_seed(1)
        other = build(small)
        checkpoint.load(other, weights)
        assert all(
            torch.equal(a, b) for a, b in zip(other.state_dict().values(), network.state_dict().values(), strict=True)
        )


def test_own_names_load_and_half_precision_is_widened(small: AvismConfig, network: Avism) -> None:
    other = build(small)
    checkpoint.load(other, {name: tensor.half() for name, tensor in network.state_dict().items()})
    assert other.tracker.class_head.weight.dtype == torch.float32
    assert torch.equal(other.tracker.class_head.weight, network.tracker.class_head.weight.half().float())


def test_training_buffers_may_be_left_out(small: AvismConfig, released: dict[str, Tensor]) -> None:
    checkpoint.load(build(small), {name: tensor for name, tensor in released.items() if "criterion" not in name})


@pytest.mark.parametrize("own", [False, True])
def test_unknown_name_is_named(network: Avism, released: dict[str, Tensor], own: bool) -> None:
    weights = network.state_dict() if own else released
    with pytest.raises(WeightsError, match=r"unknown: criterion\.extra"):
        checkpoint.load(network, {**weights, "criterion.extra": torch.ones(1)})


@pytest.mark.parametrize("own", [False, True])
def test_missing_name_is_named(network: Avism, released: dict[str, Tensor], own: bool) -> None:
    weights = dict(network.state_dict() if own else released)
    gone = "tracker.norm.weight" if own else "vita_module.decoder_norm.weight"
    del weights[gone]
    with pytest.raises(WeightsError, match=f"missing: {gone}"):
        checkpoint.load(network, weights)


def test_wrong_shape_is_named(network: Avism) -> None:
    weights = {**network.state_dict(), "tracker.norm.weight": torch.ones(255)}
    with pytest.raises(WeightsError, match=r"tracker.norm.weight \(255,\) instead of \(256,\)"):
        checkpoint.load(network, weights)


def test_other_number_of_classes_is_refused(small: AvismConfig, released: dict[str, Tensor]) -> None:
    other = build(replace(small, categories=("bell", "drum")))
    with pytest.raises(WeightsError, match=r"criterion.empty_weight \(27,\) instead of \(3,\)"):
        checkpoint.load(other, released)
    plain = {name: tensor for name, tensor in released.items() if "criterion" not in name}
    with pytest.raises(WeightsError, match=r"class_head.weight \(27, 256\) instead of \(3, 256\)"):
        checkpoint.load(other, plain)


def test_other_backbone_is_refused_and_says_how_much(network: Avism) -> None:
    with pytest.raises(WeightsError, match=r"unknown: backbone.patch_embed.proj.weight, .* and \d+ more"):
        checkpoint.load(network, described("avism-swinl-in"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused_and_nothing_changes(network: Avism, value: float) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    weights = {name: tensor.clone() for name, tensor in before.items()}
    weights["localizer.query_feature"][3, 5] = value
    weights["tracker.norm.weight"] += 1
    with pytest.raises(WeightsError, match=r"not finite: localizer.query_feature"):
        checkpoint.load(network, weights)
    assert torch.equal(network.tracker.norm.weight, before["tracker.norm.weight"])


def test_whole_numbers_and_strangers_are_refused(network: Avism) -> None:
    weights = dict(network.state_dict())
    with pytest.raises(WeightsError, match=r"not floating-point: tracker\.norm\.weight"):
        checkpoint.load(network, {**weights, "tracker.norm.weight": torch.ones(256, dtype=torch.int64)})
    with pytest.raises(WeightsError, match=r"not tensors: tracker\.norm\.weight"):
        checkpoint.load(network, {**weights, "tracker.norm.weight": [1.0]})  # type: ignore[dict-item]


def test_tiny_has_no_released_names() -> None:
    tiny = PRESETS["avism-tiny"]
    with pytest.raises(WeightsError, match="no released naming"):
        checkpoint.naming(tiny)


def test_derived_tables_of_swin_are_known_by_shape() -> None:
    config = PRESETS["avism-swinl-in"]
    assert isinstance(config.backbone, SwinSizes)
    naming = checkpoint.naming(config)
    assert naming.derived["backbone.layers.2.blocks.17.attn.relative_position_index"] == (144, 144)
    wrong = described("avism-swinl-in")
    wrong["backbone.layers.0.blocks.0.attn.relative_position_index"] = torch.empty((49, 49), device="meta")
    with pytest.raises(WeightsError, match=r"\(49, 49\) instead of \(144, 144\)"):
        naming.from_released(wrong)
