"""What CAVP's network makes of sound and channels, and how it learns: contrast, bank, groups of the optimizer."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models.cavp.config import PRESETS, VPO_CATEGORIES, CavpConfig
from avis_cli.models.cavp.hearing import LogMel, loudness_by_direction
from avis_cli.models.cavp.losses import contrastive_loss, relabelled
from avis_cli.models.cavp.network import Cavp, places
from avis_cli.models.cavp.recipe import AVSBENCH, RECIPES, SWAPPED, TINY, CavpRecipe
from avis_cli.models.cavp.shuffle import shuffle
from avis_cli.models.cavp.system import CavpTraining, build
from avis_cli.nn.clip_batch import ClipBatch, ClipTargets
from avis_cli.nn.map_batch import IGNORED
from avis_cli.train.optimizer import Several, optimizer_of, rate_at, set_rate


def tiny(name: str = "cavp-tiny", **changes: Any) -> Cavp:
    torch.manual_seed(0)
    return build(replace(PRESETS[name], **changes)).eval()


def frames(count: int = 2, height: int = 32, width: int = 64) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, height, width), generator=draw, dtype=torch.uint8)


def sounds(count: int = 2, channels: int = 1) -> Tensor:
    return 0.3 * torch.randn(count, channels, 16_000, generator=torch.Generator().manual_seed(2))


def test_frames_are_seen_one_by_one_with_their_own_sound() -> None:
    network = tiny()
    with torch.inference_mode():
        both = network.segment(frames(), sounds())
        assert both.shape == (2, 11, 32, 64)
        one = network.segment(frames()[1:], sounds()[1:])
        torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=1e-4)
        swapped = network.segment(frames(), sounds().flip(0))
    assert (both - swapped).abs().max() > 1e-4


def test_the_channels_are_told_apart() -> None:
    network = tiny("cavp-tiny-stereo")
    heard = sounds(channels=2)
    with torch.inference_mode():
        assert (network.hear(heard) - network.hear(heard.flip(1))).abs().max() > 1e-4
    assert PRESETS["cavp-vpo-ms-stereo"].sound_channels == 2
    assert len(VPO_CATEGORIES) == 21


def test_sizes_that_are_no_multiples_of_anything() -> None:
    with torch.inference_mode():
        assert tiny().segment(frames(1, 45, 61), sounds(1)).shape == (1, 11, 45, 61)


def test_what_is_heard_has_full_precision_beside_a_network_that_has_not() -> None:
    network = tiny()
    spectrum = network.log_mel(0.01 * sounds())
    with torch.autocast("cpu", torch.float16):
        torch.testing.assert_close(network.log_mel(0.01 * sounds()), spectrum)
        assert (network.log_mel(torch.zeros(1, 1, 16_000, dtype=torch.float16)) == -1).all()


def test_how_far_the_pyramid_looks() -> None:
    """A bright pixel is seen at as many pixels to its right as a branch is dilated."""
    seen = torch.zeros(1, 2, 1, 40)
    seen[..., 0] = 1
    for branch, far in zip(tiny().pyramid.branches, (0, 6, 12, 18), strict=True):
        assert isinstance(branch, torch.nn.Conv2d)
        branch.weight.data = torch.ones(1, 2, *branch.kernel_size)
        branch.in_channels = 2
        places = branch(seen)[0, 0, 0].nonzero()[:, 0]
        assert places.tolist() == ([0, far] if far else [0])


def test_pictures_are_not_padded() -> None:
    assert {config.size_divisor for config in PRESETS.values()} == {1}


def test_the_tiny_networks_are_small_enough_to_come_along() -> None:
    for name in ("cavp-tiny", "cavp-tiny-stereo"):
        assert sum(tensor.numel() for tensor in tiny(name).state_dict().values()) * 2 < 6_000_000


def test_configurations_survive_their_files() -> None:
    for config in PRESETS.values():
        assert CavpConfig.from_dict(config.to_dict()) == config
    with pytest.raises(WeightsError, match="one sound channel of a VGGish"):
        CavpConfig.from_dict({**PRESETS["cavp-avss"].to_dict(), "sound_channels": 2})


# --- learning


def learner(**changes: Any) -> Any:
    recipe = replace(TINY, **{"views": 4, "bank": 2, **changes})
    return CavpTraining().learner(tiny(), recipe, None)


def labels(*numbers: int) -> Tensor:
    """A label map for each: the left half is of the class."""
    made = torch.zeros(len(numbers), 32, 64, dtype=torch.long)
    for row, number in zip(made, numbers, strict=True):
        row[:, :32] = number
    return made


def test_the_contrast_has_its_weight_and_can_be_left_out() -> None:
    torch.manual_seed(3)
    whole = learner(contrast=0.5).loss(frames(), sounds(), labels(1, 2))
    assert float(whole.contrast.detach()) > 0
    torch.testing.assert_close(whole.total, whole.maps + 0.5 * whole.contrast)
    without = learner(**CavpTraining.parts["contrast"]).loss(frames(), sounds(), labels(1, 2))
    torch.testing.assert_close(without.total, without.maps)
    assert float(without.contrast) == 0
    alone = learner().loss(frames(1), sounds(1), labels(1))
    assert float(alone.contrast) == 0
    assert whole.numbers().keys() == {"total", "maps", "contrast"}


def test_pixels_whose_sound_was_taken_away_are_what_the_contrast_is_about() -> None:
    own = torch.nn.functional.one_hot(labels(1, 2)[:, ::4, ::4], 3).permute(0, 3, 1, 2).float()
    silent = torch.zeros_like(own)
    silent[:, 0] = 1
    label = labels(1, 2)
    none_fits = relabelled(label, [False, False])
    right = contrastive_loss(own, silent, label, none_fits, views=4)
    deaf = contrastive_loss(own, own, label, none_fits, views=4)
    assert float(right) < float(deaf)
    assert relabelled(label, [True, False])[1].max() == 0


def test_a_class_needs_as_many_pixels_as_it_has_views_and_a_lone_anchor_counts_as_nothing() -> None:
    """Four pixels of class 1 with a sound that still fits, and one of the background, which has no other like it."""
    draw = torch.Generator().manual_seed(5)
    own, other = (torch.randn(1, 3, 1, 5, generator=draw) for _ in range(2))
    label = torch.tensor([[[1, 1, 1, 1, 0]]])

    def order(count: int) -> Tensor:
        return torch.arange(count)

    found = contrastive_loss(own, other, label, label, views=4, temperature=0.5, permute=order)
    rows = [own[0, :, 0, place] for place in range(5)] + [other[0, :, 0, 0]]
    units, classes = [row / row.norm() for row in rows], [1, 1, 1, 1, 0, 1]
    parts = []
    for i, number in enumerate(classes):
        alike = [j for j, one in enumerate(classes) if one == number and j != i]
        power = [float(torch.exp(units[i] @ one / 0.5)) for one in units]
        against = sum(power[j] for j, one in enumerate(classes) if one != number)
        parts.append(sum(math.log(power[j] / (power[j] + against)) for j in alike) / max(len(alike), 1))
    assert float(found) == pytest.approx(-sum(parts) / 6, rel=1e-5)
    assert parts[4] == 0
    assert float(contrastive_loss(own, other, label, label, views=5, permute=order)) == 0


def test_of_stereo_a_sound_of_the_same_class_neither_fits_nor_is_silent() -> None:
    """It may come from the other of two objects of one category: nothing is learnt from it."""
    recipe = RECIPES["cavp-tiny-stereo"]
    assert (recipe.class_fits, recipe.replaced, RECIPES["cavp-tiny"].class_fits) == (False, 0.0, True)
    assert RECIPES["cavp-vpo-msmi-stereo"].class_fits, "as released"
    given = learner(class_fits=False, replaced=0.0)

    def order(count: int) -> Tensor:
        return torch.arange(count).roll(1) if count == 3 else torch.arange(count)

    sound, label = sounds(3), labels(1, 1, 2)
    assert given._shuffled(sound, label, order)[1].flatten(1).unique(dim=1).tolist() == [[0], [IGNORED], [0]]
    itself = given._shuffled(sound, label, torch.arange)[1]
    assert torch.equal(itself, label), "a frame's own sound fits"


def test_what_is_not_known_to_sound_is_no_anchor() -> None:
    draw = torch.Generator().manual_seed(5)
    own, other = (torch.randn(2, 3, 8, 16, generator=draw) for _ in range(2))
    label, spoilt = labels(1, 1), other.clone()
    changed = relabelled(label, [False, True], known=torch.tensor([True, False]))
    spoilt[1] = 1e3

    def last_first(count: int) -> Tensor:
        return torch.arange(count).flip(0)

    first, second = (
        float(contrastive_loss(own, one, label, changed, views=8, permute=last_first)) for one in (other, spoilt)
    )
    assert first == second
    spoilt[0] = 1e3
    assert float(contrastive_loss(own, spoilt, label, changed, views=8, permute=last_first)) != first


def test_half_of_three_sounds_that_no_longer_fit_is_one() -> None:
    classes = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]).bool()
    assert shuffle(classes, replace=0.5, permute=lambda count: torch.arange(count).roll(1)).replaced == {2: 3}


def test_sounds_come_from_the_bank_once_it_has_enough() -> None:
    given = learner(replaced=1.0, bank=2)
    seen: list[Tensor] = []
    hear = given.network.hear

    def watched(samples: Tensor) -> Tensor:
        seen.append(samples)
        heard: Tensor = hear(samples)
        return heard

    given.network.hear = watched
    for _ in range(3):
        given.loss(frames(2), sounds(2), labels(1, 2), permute=lambda count: torch.arange(count).flip(0))
    own, first, third = sounds(2), seen[0][2:], seen[2][2:]
    torch.testing.assert_close(first, own.flip(0))  # nothing in the bank: another's
    torch.testing.assert_close(third, own)  # of its own class


def test_a_bank_that_is_not_full_gives_silence_where_that_is_asked_for() -> None:
    given = learner(replaced=1.0, bank=2, bank_silence=True)
    heard: list[Tensor] = []
    given.network.log_mel.register_forward_pre_hook(lambda _module, sound: heard.append(sound[0]))
    given.loss(frames(2), sounds(2), labels(1, 2), permute=lambda count: torch.arange(count).flip(0))
    assert not heard[0][2:].any()
    plain = learner(replaced=1.0, bank=2)
    how = shuffle(torch.tensor([[1, 1, 0], [1, 0, 1]]).bool(), replace=1.0, permute=lambda n: torch.arange(n).flip(0))
    assert (given._fitting(how).tolist(), plain._fitting(how).tolist()) == ([True, True], [False, False])


def test_a_resumed_run_has_the_bank_that_the_run_had() -> None:
    given, resumed = learner(bank=2), learner(bank=2)
    first = [given.loss(frames(2), sounds(2), labels(1, 2)) for _ in range(2)]
    resumed.load_state_dict(given.state_dict())
    assert resumed.bank.has(1)
    assert resumed.bank.has(2)
    assert torch.equal(resumed.bank.oldest(2, sounds(1)[0]), sounds(2)[1])
    given.bank.push(torch.tensor([[1, 0, 1]]).bool(), sounds(1))
    assert torch.equal(resumed.bank.oldest(2, sounds(1)[0]), sounds(2)[1]), "a bank of its own"
    assert len(first) == 2


def test_batches_with_one_picture_or_none_that_is_known() -> None:
    given = learner()
    given.train()
    before = {name: tensor.clone() for name, tensor in given.network.state_dict().items()}
    one = given.loss(frames(1), sounds(1), labels(1))
    one.total.backward()
    assert torch.equal(given.network.pyramid.pool_norm.running_var, before["pyramid.pool_norm.running_var"])
    assert all(parameter.grad.isfinite().all() for parameter in given.parameters() if parameter.grad is not None)
    given.zero_grad()
    none = given.loss(frames(2)[:0], sounds(2)[:0], labels(1)[:0])
    none.total.backward()
    assert none.numbers() == {"total": 0.0, "maps": 0.0, "contrast": 0.0}
    assert all(not parameter.grad.any() for parameter in given.parameters())


def test_batches_of_clips_become_frames_with_their_labels() -> None:
    masks = torch.zeros(1, 2, 1, 32, 64)
    masks[..., :32] = 1
    targets = ClipTargets(
        categories=torch.tensor([[4]]), masks=masks, sounding=torch.tensor([[[True], [False]]]),
        tags=torch.zeros(1, 2, 10, dtype=torch.bool), complete=torch.tensor([True]),
    )  # fmt: skip
    batch = ClipBatch(frames()[None], torch.zeros(1, 2, 96, 64), targets, samples=sounds()[None])
    found = learner(contrast=0.0)(batch)
    expected = learner(contrast=0.0).loss(frames(), sounds(), torch.stack([labels(5)[0], labels(0)[0]]))
    torch.testing.assert_close(found.total, expected.total)
    first = learner(contrast=0.0)(replace(batch, labelled=torch.tensor([[True, False]])))
    torch.testing.assert_close(first.total, learner(contrast=0.0).loss(frames()[:1], sounds()[:1], labels(5)).total)
    with pytest.raises(ValueError, match="hears samples, which this batch does not have"):
        learner()(replace(batch, samples=None))


def test_only_items_of_one_class_get_another_sound_of_it() -> None:
    classes = torch.tensor([[1, 1, 0, 0], [1, 0, 1, 1], [1, 0, 0, 0]]).bool()
    found = shuffle(classes, replace=1.0, permute=lambda count: torch.arange(count).roll(1))
    assert found.replaced == {0: 1}
    assert found.match.tolist() == [True, False, False]


def test_the_released_recipe_moves_each_part_in_its_own_way() -> None:
    recipe, network = RECIPES["cavp-avss"], tiny()
    training = CavpTraining()
    made = training.learner(network, recipe, None)
    groups = training.parameter_groups(made, recipe)
    by_name = {id(p): group for group in groups for p in group.parameters}
    assert len(by_name) == sum(1 for _ in made.parameters())

    def of(name: str) -> Any:
        return by_name[id(dict(network.named_parameters())[name])]

    head, norm, fusion, heard = (
        of(name)
        for name in ("classifier.out.weight", "pyramid.norm.weight", "fusion.norm.weight", "hearing.out.weight")
    )
    assert (head.factor, head.optimizer, head.weight_decay) == (10.0, "sgd", 1e-4)
    assert (norm.factor, norm.weight_decay) == (10.0, 0.0)
    assert (fusion.factor, fusion.weight_decay) == (1.0, 1e-4)
    assert (heard.optimizer, heard.weight_decay, heard.constant) == ("adam", 0.0, True)
    optimizer = optimizer_of(groups, recipe.learning_rate)
    assert isinstance(optimizer, Several)
    set_rate(optimizer, 1e-4)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(network.named_parameters())
    assert rates[id(parameters["hearing.out.weight"])] == recipe.learning_rate
    assert rates[id(parameters["classifier.out.weight"])] == pytest.approx(1e-3)
    assert rates[id(parameters["backbone.stem.0.weight"])] == pytest.approx(1e-4)
    assert all(group.optimizer == "adamw" for group in training.parameter_groups(made, TINY))


def test_the_groups_that_the_released_semantic_run_takes_for_each_other() -> None:
    network, training = tiny(), CavpTraining()
    parts = {
        "backbone": network.backbone, "pyramid": network.pyramid, "low": network.low, "projector": network.projector,
        "fusion": network.fusion, "classifier": network.classifier, "hearing": network.hearing,
    }  # fmt: skip

    def factors(recipe: CavpRecipe) -> dict[str, set[float]]:
        groups = training.parameter_groups(training.learner(network, recipe, None), recipe)
        factor = {id(p): group.factor for group in groups for p in group.parameters}
        return {name: {factor[id(p)] for p in module.parameters()} for name, module in parts.items()}

    meant, swapped = factors(AVSBENCH), factors(replace(AVSBENCH, **SWAPPED))  # type: ignore[arg-type]
    heads = {"pyramid", "low", "classifier"}
    assert meant == {name: {10.0 if name in heads else 1.0} for name in parts}
    assert swapped == {name: {1.0 if name in ("classifier", "hearing") else 10.0} for name in parts}


def test_several_optimizers_move_and_are_taken_up_again() -> None:
    recipe, training = RECIPES["cavp-avss"], CavpTraining()
    made = training.learner(tiny(), recipe, None)
    optimizer = optimizer_of(training.parameter_groups(made, recipe), 1e-2)
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    for p in made.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    assert all(not torch.equal(before[name], p) for name, p in made.named_parameters())
    other = optimizer_of(training.parameter_groups(made, recipe), 1e-2)
    other.load_state_dict(optimizer.state_dict())
    set_rate(other, 5e-3)
    assert {group["lr"] for group in other.optimizers[0].param_groups} == {1e-2}  # type: ignore[attr-defined]
    optimizer.zero_grad()
    assert all(p.grad is None for p in made.parameters())


def test_a_rate_that_falls_by_a_power() -> None:
    half = rate_at(50, 0.5, highest=1.0, warmup_steps=0, final=0.5, schedule="power")
    assert half == pytest.approx(0.5**0.9)
    assert rate_at(100, 1.0, highest=1.0, warmup_steps=0, final=0.5, schedule="power") == 1e-8
    assert CavpRecipe().schedule == "cosine"


def test_a_placed_network_knows_where_a_pixel_is() -> None:
    grid = places(3, 4).unflatten(0, (3, 4))
    assert grid.shape == (3, 4, 18)
    assert grid[:, 0, 0].tolist() == pytest.approx([1 / 6, 3 / 6, 5 / 6]), "down"
    assert grid[0, :, 9].tolist() == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8]), "across"
    assert grid[0, 1, 10].item() == pytest.approx(math.sin(math.pi * 3 / 8))
    network = tiny("cavp-tiny-stereo")
    seen = network.see(torch.full((1, 3, 96, 160), 128, dtype=torch.uint8))
    joint = network.join(seen, network.hear(torch.zeros(1, 2, 16_000)))
    assert network.place is not None
    network.place.weight.data.zero_()
    unplaced = network.join(seen, network.hear(torch.zeros(1, 2, 16_000)))
    assert (joint - unplaced).abs().max() > 1e-3


def tones(*sources: tuple[float, float]) -> Tensor:
    """Pitches in Hz, each from a place between 0, left, and 1: (1, 2, 16000)."""
    times = torch.arange(16_000) / 16_000
    found = torch.zeros(1, 2, 16_000)
    for pitch, place in sources:
        found += torch.tensor([1 - place, place])[:, None] * torch.sin(2 * torch.pi * pitch * times)
    return found


@pytest.mark.parametrize("place", [0.1, 0.35, 0.8])
def test_each_band_is_heard_from_where_its_source_is(place: float) -> None:
    other = 1 - place
    spectrum = LogMel(96)(tones((500, place), (2500, other)))
    loud = loudness_by_direction(spectrum)
    assert loud.shape == (1, 24, 128)
    low, high = spectrum[0].amax((0, 1))[:25].argmax(), 40 + spectrum[0].amax((0, 1))[40:].argmax()
    middles = (torch.arange(24) + 0.5) / 24
    for kind in (0, 64):  # the mean over time, and the largest
        for band, wanted in ((low, place), (high, other)):
            found = middles[loud[0, :, kind + band].argmax()]
            assert abs(float(found) - wanted) <= 1 / 48 + 1e-6
    assert not loudness_by_direction(LogMel(96)(torch.zeros(1, 2, 16_000))).any(), "silence"


def test_only_pixels_near_a_sound_are_told_of_it() -> None:
    """What comes from the left is nothing to what is at the right edge. Faint cells, of which one channel is below the
    quietest power, seem to come from nearer to the middle than they do."""
    network = tiny("cavp-tiny-stereo")
    seen = network.see(frames(1, 32, 96))
    heard = network.hear(torch.zeros(1, 2, 16_000))  # the same for both
    with torch.inference_mode():
        left, silent = (
            network.join(seen, heard, network.directions(sound))
            for sound in (tones((900, 0.1)), torch.zeros(1, 2, 16_000))
        )
    change = (left - silent).abs().amax((0, 1, 2))
    assert float(change[: len(change) // 4].max()) > 1e-3
    assert float(change[: len(change) // 4].max()) > 5 * float(change[len(change) // 2 :].max())
    assert float(change[-3:].max()) < 1e-5
    both = network.segment(frames(1, 32, 96), tones((900, 0.1)))
    assert (both - network.segment(frames(1, 32, 96), tones((900, 0.9)))).abs().max() > 1e-4
    assert tiny().directions(sounds()) is None


def test_the_learner_tells_directions_of_both_halves() -> None:
    recipe = replace(RECIPES["cavp-tiny-stereo"], views=4)
    given: Any = CavpTraining().learner(tiny("cavp-tiny-stereo"), recipe, None)
    told: list[Tensor] = []

    def kept(method: Any) -> Any:
        def call(sound: Tensor) -> Any:
            told.append(sound)
            return method(sound)

        return call

    given.network.hear, given.network.directions = kept(given.network.hear), kept(given.network.directions)
    for contrast in (1.0, 0.0):
        given.recipe = replace(recipe, contrast=contrast)
        given.zero_grad()
        given.loss(
            frames(), sounds(channels=2), labels(1, 2), lambda count: torch.arange(count).flip(0)
        ).total.backward()
        assert all(p.grad.abs().max() > 0 for p in given.network.direction.parameters())
        heard, placed = told
        assert torch.equal(heard, placed), "the places of the sounds that are heard"
        assert len(heard) == (4 if contrast else 2)
        told.clear()


def test_released_networks_are_not_placed() -> None:
    assert {name for name, config in PRESETS.items() if config.placed} == {"cavp-tiny", "cavp-tiny-stereo"}
