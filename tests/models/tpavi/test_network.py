"""What TPAVI's network makes of clips, chunks, padding and sizes; and how it learns."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from avis_cli.errors import UsageError, WeightsError
from avis_cli.models import find_preset
from avis_cli.models.tpavi.config import PRESETS, NormResNetSizes, TpaviConfig
from avis_cli.models.tpavi.losses import Matching, binary_loss, class_loss, matching_loss
from avis_cli.models.tpavi.network import InteractionBlock, Tpavi, TpaviOutput
from avis_cli.models.tpavi.recipe import RECIPES, TINY
from avis_cli.models.tpavi.system import TpaviTraining, build
from avis_cli.nn.map_batch import IGNORED, MapBatch

TINY_SIZES = PRESETS["tpavi-tiny"]


def tiny(**changes: Any) -> Tpavi:
    torch.manual_seed(0)
    made = build(replace(TINY_SIZES, **changes)).eval()
    for block in made.blocks.values():
        assert isinstance(block, InteractionBlock)
        torch.nn.init.normal_(block.out_norm.weight)  # zero at first, which would hide the attention
    return made


def clips(count: int, height: int = 32, width: int = 64) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    frames = torch.randint(0, 256, (count, 3, height, width), generator=draw, dtype=torch.uint8)
    return frames, torch.randn(count, TINY_SIZES.audio_width, generator=draw)


def segment(network: Tpavi, *given: Any) -> Tensor:
    with torch.inference_mode():
        return network.segment(*given)


def plain(block: InteractionBlock, x: Tensor, audio: Tensor | None) -> Tensor:
    """The published formula, with its matrix of all pairs of positions."""
    frames, width, height, across = x.shape
    a = x if audio is None else block.align(audio)[:, :, None, None].expand(frames, width, height, across)

    def rows(map: Tensor) -> Tensor:
        return map.permute(0, 2, 3, 1).flatten(0, 2)

    theta, phi, g = rows(block.theta(x)), rows(block.phi(a)), rows(block.g(x))
    y = (theta @ phi.T / len(theta)) @ g
    z = block.out_norm(block.out(y.view(frames, height, across, -1).permute(0, 3, 1, 2))) + x
    return block.norm(z.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@pytest.mark.parametrize("hears", [True, False])
def test_the_block_is_the_formula_with_all_pairs(hears: bool) -> None:
    torch.manual_seed(1)
    block = InteractionBlock(8, 5, align_bias=True).eval()
    torch.nn.init.normal_(block.out_norm.weight)
    x, audio = torch.randn(4, 8, 3, 5), torch.randn(4, 5) if hears else None
    group = torch.tensor([0, 0, 1, 1])
    with torch.inference_mode():
        out, _ = block(x, audio, group, torch.ones(4))
        for part in (slice(0, 2), slice(2, 4)):
            expected = plain(block, x[part], None if audio is None else audio[part])
            torch.testing.assert_close(out[part], expected, atol=1e-5, rtol=1e-4)


def test_frames_of_one_clip_are_seen_together_and_those_of_two_are_not() -> None:
    network = tiny(chunk=None)
    frames, audio = clips(6)
    two = torch.ones(2, 3, dtype=torch.bool)
    apart = segment(network, frames, audio, two)
    torch.testing.assert_close(apart[:3], segment(network, frames[:3], audio[:3]), atol=1e-4, rtol=1e-3)
    together = segment(network, frames, audio)
    assert (together[:3] - apart[:3]).abs().max() > 1e-3
    chunked = segment(tiny(chunk=3), frames, audio)
    torch.testing.assert_close(chunked, apart, atol=1e-4, rtol=1e-3)


def test_padding_changes_nothing_and_is_nothing() -> None:
    network = tiny()
    frames, audio = clips(5)
    valid = torch.tensor([[True, True, True, False, False]])
    padded = segment(network, frames, audio, valid)
    assert not padded[3:].any()
    torch.testing.assert_close(padded[:3], segment(network, frames[:3], audio[:3]), atol=1e-4, rtol=1e-3)
    # what stands in the padding is never looked at
    other = frames.clone()
    other[3:] = 255
    torch.testing.assert_close(segment(network, other, audio, valid), padded)


def test_the_sound_decides() -> None:
    network = tiny()
    frames, audio = clips(3)
    assert (segment(network, frames, audio) - segment(network, frames, -audio)).abs().max() > 1e-3


def test_clips_that_are_not_whole_and_sizes_that_do_not_fit_are_refused() -> None:
    released = tiny(whole_clips=True, clip_frames=5)
    frames, audio = clips(5)
    assert segment(released, frames, audio).shape == (5, 11, 32, 64)
    with pytest.raises(UsageError, match="3 frames, expected a multiple of 5"):
        segment(released, frames[:3], audio[:3])
    with pytest.raises(UsageError, match="64x33 pixels, expected sides that are multiples of 32"):
        segment(released, torch.zeros(5, 3, 33, 64, dtype=torch.uint8), audio)
    with pytest.raises(UsageError, match=r"valid of shape \(2, 2\) for 5 frames"):
        segment(released, frames, audio, torch.ones(2, 2, dtype=torch.bool))


def test_no_matrix_of_all_pairs_is_made() -> None:
    """At 640x352 five frames have 70,400 positions a quarter of the size: all pairs would take 20 GB."""
    block = InteractionBlock(16, 8, align_bias=True).eval()
    largest = 0

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            if isinstance(out, Tensor):
                largest = max(largest, out.numel())
            return out

    x = torch.randn(5, 16, 88, 160)
    tracemalloc.start()
    with torch.inference_mode(), Watch():
        block(x, torch.randn(5, 8), torch.zeros(5, dtype=torch.long), torch.ones(5))
    tracemalloc.stop()
    assert largest <= 2 * x.numel()


def test_configurations_survive_their_files() -> None:
    for config in PRESETS.values():
        assert TpaviConfig.from_dict(config.to_dict()) == config
    broken = {**PRESETS["tpavi-tiny"].to_dict(), "backbone": {"kind": "norm-resnet", "depths": [3, 4]}}
    with pytest.raises(WeightsError, match="4 depths of a ResNet"):
        TpaviConfig.from_dict(broken)
    with pytest.raises(WeightsError, match="backbone"):
        TpaviConfig.from_dict({**broken, "backbone": {"kind": "norm-resnet", "width": 3}})


def test_the_tiny_network_is_small_enough_to_come_along() -> None:
    assert sum(parameter.numel() for parameter in build(TINY_SIZES).parameters()) * 2 < 6_000_000


# --- losses, corrected


def test_frames_with_an_empty_map_say_nothing_about_the_sound() -> None:
    logits = torch.tensor([5.0, -5.0])[:, None, None, None].expand(2, 1, 8, 8)
    seen, heard = torch.rand(2, 4, 4, 4) + 0.1, torch.rand(2, 4) + 0.1
    how = Matching(stages=(1,))
    both = matching_loss("s4", how, logits, [seen], [heard], torch.ones(2, dtype=torch.bool))
    first = matching_loss("s4", how, logits[:1], [seen[:1]], [heard[:1]], torch.ones(1, dtype=torch.bool))
    torch.testing.assert_close(both, first)
    released = matching_loss("s4", replace(how, released=True), logits, [seen], [heard], torch.ones(2).bool())
    assert released > 6  # half of -log 1e-6


def test_the_distance_is_a_mean_over_frames() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 1, 8, 8, generator=draw)
    seen, heard = torch.rand(6, 4, 4, 4, generator=draw), torch.rand(6, 4, generator=draw)
    every = torch.ones(6, dtype=torch.bool)
    mean = matching_loss("ms3", Matching(stages=(1,)), logits, [seen], [heard], every)
    summed = matching_loss("ms3", Matching(stages=(1,), released=True), logits, [seen], [heard], every)
    torch.testing.assert_close(summed, 6 * mean)


def test_a_frame_is_never_its_own_partner_and_padding_is_nobodys() -> None:
    heard = torch.tensor([[0.0, 0], [30.0, 0], [30.0, 1], [0.0, 0.1]])
    seen = torch.arange(4.0)[:, None, None, None].expand(4, 2, 2, 2) + 1
    logits = torch.zeros(4, 1, 4, 4)
    how = Matching(stages=(1,), partner="picture", distance="euclidean")
    valid = torch.tensor([True, True, True, False])
    # pictures under a map of one half: 0.5, 1, 1.5; partners 0 -> 1, 1 -> 2, 2 -> 1
    loss = matching_loss("ms3", how, logits, [seen], [heard], valid)
    torch.testing.assert_close(loss, torch.tensor(0.5 * 2**0.5), atol=1e-4, rtol=1e-4)


def test_pixels_without_a_truth_count_nowhere() -> None:
    draw = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 3, 4, 4, generator=draw)
    truth = torch.randint(0, 3, (2, 4, 4), generator=draw)
    hidden = truth.clone()
    hidden[:, :2] = IGNORED
    every = torch.ones(2, dtype=torch.bool)
    torch.testing.assert_close(class_loss(logits, hidden, every), class_loss(logits[:, :, 2:], truth[:, 2:], every))
    first = class_loss(logits, truth, torch.tensor([True, False]))
    torch.testing.assert_close(first, class_loss(logits[:1], truth[:1], every[:1]))
    binary = (truth > 0).long()
    masked = torch.where(hidden == IGNORED, IGNORED, binary)
    torch.testing.assert_close(binary_loss(logits[:, :1], masked), binary_loss(logits[:, :1, 2:], binary[:, 2:]))


def test_a_stage_that_hears_nothing_cannot_be_matched() -> None:
    with pytest.raises(ValueError, match="stage 2 hears nothing"):
        matching_loss("ms3", Matching(stages=(2,)), torch.zeros(1, 1, 4, 4), [], [None, None], torch.ones(1).bool())


# --- training


def batch(labels: Tensor, **more: Any) -> MapBatch:
    count, length = labels.shape[:2]
    given: dict[str, Any] = {
        "frames": torch.zeros(count, length, 3, *labels.shape[2:], dtype=torch.uint8), "log_mel": None,
        "samples": None, "labels": labels, "valid": torch.ones(count, length, dtype=torch.bool),
        "labelled": torch.ones(count, length, dtype=torch.bool),
    }  # fmt: skip
    return MapBatch(**{**given, **more})


def output(logits: Tensor) -> TpaviOutput:
    draw = torch.Generator().manual_seed(2)
    maps = [torch.rand(len(logits), 4, 2, 2, generator=draw) for _ in range(4)]
    return TpaviOutput(logits, maps, [torch.rand(len(logits), 4, generator=draw) for _ in range(4)])


def test_every_part_of_a_recipe_has_its_weight() -> None:
    network = tiny()
    labels = torch.randint(0, 11, (1, 5, 4, 4), generator=torch.Generator().manual_seed(1))
    found = output(torch.randn(5, 11, 4, 4, generator=torch.Generator().manual_seed(4)))
    training = TpaviTraining()
    full = training.learner(network, TINY, None).loss(found, batch(labels))
    assert float(full.matching) > 0
    torch.testing.assert_close(full.total, full.maps + TINY.matching.weight * full.matching)
    without = training.learner(network, training.without(TINY, "matching"), None).loss(found, batch(labels))
    torch.testing.assert_close(without.total, full.maps)
    assert full.numbers().keys() == {"total", "maps", "matching"}


def test_s4_learns_from_the_frames_that_are_labelled() -> None:
    labels = torch.randint(0, 2, (1, 5, 4, 4), generator=torch.Generator().manual_seed(1)) * 3
    logits = torch.randn(5, 1, 4, 4, generator=torch.Generator().manual_seed(4))
    first = torch.tensor([[True, False, False, False, False]])
    learner = TpaviTraining().learner(tiny(), RECIPES["tpavi-s4-r50"], None)
    loss = learner.loss(output(logits), batch(labels, labelled=first))
    torch.testing.assert_close(loss.total, binary_loss(logits[:1], (labels[0, :1] > 0).long()))
    every = TpaviTraining().learner(tiny(), RECIPES["tpavi-ms3-r50"], None).loss(output(logits), batch(labels))
    torch.testing.assert_close(every.maps, binary_loss(logits, (labels[0] > 0).long()))


def test_weights_of_another_system_give_what_fits() -> None:
    fresh = build(TINY_SIZES).state_dict()
    given = {name: torch.full_like(tensor, 7) for name, tensor in fresh.items() if name.startswith("backbone.")}
    given["audio_encoder.linear2.bias"] = torch.full_like(fresh["audio_encoder.linear2.bias"], 7)
    given["tracker.anything"] = torch.zeros(3)
    taken = TpaviTraining().taken_over(given, fresh)
    assert taken.keys() == fresh.keys()
    assert (taken["audio_encoder.linear2.bias"] == 7).all()
    assert taken["head.conv1.weight"] is fresh["head.conv1.weight"]
    del given["backbone.stem.0.weight"]
    with pytest.raises(WeightsError, match=r"another backbone \(the first tensor that does not fit is backbone\.stem"):
        TpaviTraining().taken_over(given, fresh)


def test_presets_are_what_was_released() -> None:
    for name in ("tpavi-s4-r50", "tpavi-ms3-pvt", "tpavi-avss-r50"):
        config = find_preset(name).config
        assert (config.side, config.whole_clips, config.sound_step, config.chunk) == (224, True, 0.96, 5)
        assert config.outputs == (71 if "avss" in name else 1)
        assert config.clip_frames == (10 if "avss" in name else 5)
    assert isinstance(find_preset("tpavi-s4-r50").config.backbone, NormResNetSizes)
