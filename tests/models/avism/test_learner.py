"""What AVISM's learner minimises, what it may hear, and what moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from train_examples import SMALL

from avis_cli.models import find_preset
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.avism.learner import AvismLearner
from avis_cli.models.avism.recipe import RELEASED, TINY, AvismRecipe
from avis_cli.models.avism.system import AvismTraining, build
from avis_cli.nn.clip_batch import ClipBatch, ClipTargets


def batch(
    size: tuple[int, int] = (64, 64), *, frames: int = 3, stride: int = 2, categories: int = 10, seed: int = 0
) -> ClipBatch:
    """A clip of two objects of one category, of which one sounds at a time, and a silent one of another."""
    generator = torch.Generator().manual_seed(seed)
    h, w = size[0] // stride, size[1] // stride
    masks = torch.zeros(1, frames, 3, h, w)
    masks[:, :, 0, : h // 2, : w // 2] = masks[:, :, 1, h // 2 :, w // 2 :] = 1.0
    masks[:, :, 2, : h // 2, w // 2 :] = 1.0
    sounding = torch.zeros(1, frames, 3, dtype=torch.bool)
    sounding[0, 0, 0] = sounding[0, 1:, 1] = True
    tags = torch.zeros(1, frames, categories, dtype=torch.bool)
    tags[..., 4] = True
    return ClipBatch(
        torch.randint(0, 256, (1, frames, 3, *size), dtype=torch.uint8, generator=generator),
        torch.randn(1, frames, 96, 64, generator=generator) - 2.0,
        ClipTargets(torch.tensor([[4, 4, 7]]), masks, sounding, tags, torch.tensor([True])),
    )


def tiny(recipe: AvismRecipe) -> AvismLearner:
    torch.manual_seed(0)
    return AvismLearner(build(PRESETS["avism-tiny"]), recipe)


@pytest.mark.parametrize(
    ("field", "parts"),
    [
        ("similarity", ("similarity",)),
        ("gate", ("gate",)),
        ("category_map", ("category_map",)),
        ("fine_map", ("fine_category", "centre")),
        ("cue", ("cue", "map_cue")),
        ("tagging", ("tagging",)),
    ],
)
def test_the_tiny_network_s_loss_holds_each_part_at_its_weight(field: str, parts: tuple[str, ...]) -> None:
    learner = tiny(TINY)
    with torch.no_grad():
        whole = learner(batch()).numbers()
        nothing: dict[str, Any] = {field: 0.0}
        learner.recipe = replace(TINY, **nothing)
        without = learner(batch()).numbers()
    part = getattr(TINY, field) * sum(whole[name] for name in parts)
    assert part > 0.01
    assert whole["total"] - without["total"] == pytest.approx(part, rel=1e-3)


@pytest.mark.parametrize("level", ["frame", "video"])
@pytest.mark.parametrize("recipe", [TINY, RELEASED], ids=["tiny", "released"])
def test_classes_masks_and_overlaps_count_at_both_levels(level: str, recipe: AvismRecipe) -> None:
    weights = getattr(recipe, level)
    assert min(weights.category, weights.mask, weights.dice, weights.no_object) > 0
    assert recipe.similarity > 0


def test_pre_training_is_the_auxiliary_losses_alone() -> None:
    learner = tiny(TINY)
    numbers = learner(batch(), pretraining=True).numbers()
    auxiliary = (
        TINY.category_map * numbers["category_map"]
        + TINY.fine_map * (numbers["fine_category"] + numbers["centre"])
        + TINY.cue * (numbers["cue"] + numbers["map_cue"])
        + TINY.tagging * numbers["tagging"]
    )
    assert numbers["total"] == pytest.approx(auxiliary, rel=1e-4)
    assert numbers["video_category"] == 0.0


def heard_by(learner: AvismLearner, clips: ClipBatch) -> tuple[bool, bool]:
    """Whether the frame level and the tracker get anything to hear."""
    heard: dict[str, bool] = {}

    def listen(name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            heard[name] = bool(inputs[1].any())

        return hook

    network = learner.network
    hooks = [part.register_forward_hook(listen(name)) for name, part in network.named_children() if name in LEVELS]
    learner(clips)
    for hook in hooks:
        hook.remove()
    return heard["localizer"], heard["tracker"]


LEVELS = ("localizer", "tracker")


@pytest.mark.parametrize(
    ("part", "heard"), [(None, (True, True)), ("audio", (False, False)), ("fusion", (False, True))]
)
def test_ablations_hear_what_they_should_in_training_and_in_validation(
    part: str | None, heard: tuple[bool, bool]
) -> None:
    training = AvismTraining()
    recipe = SMALL if part is None else training.without(SMALL, part)
    assert heard_by(tiny(recipe), batch()) == heard
    ablation = training.audio_ablation(recipe)
    assert (ablation.localizer, ablation.tracker, ablation.muted) == (*heard, False)


def test_without_audio_nothing_depends_on_the_sound() -> None:
    learner = tiny(AvismTraining().without(TINY, "audio"))
    one, other = batch(), replace(batch(), patches=batch(seed=5).patches)
    learner(one).total.backward()
    assert learner.network.audio_encoder is not None
    assert all(p.grad is None or not p.grad.any() for p in learner.network.audio_encoder.parameters())
    with torch.no_grad():
        assert learner(one).total == learner(other).total


class Patchwise(nn.Module):
    """In VGGish's place."""

    def forward(self, patches: Tensor) -> Tensor:
        return patches.flatten(1)[:, :128].clone()


@pytest.mark.slow
def test_a_released_network_learns_with_every_parameter_and_its_loss_falls() -> None:
    torch.manual_seed(0)
    found = find_preset("avism-r50-in")
    training = found.system.training()
    usual = training.recipe(found.config.name)
    assert isinstance(usual, AvismRecipe)
    recipe = replace(usual, points=400)
    learner = training.learner(found.system.build(found.config), recipe, Patchwise())
    stride, categories = training.target_stride(recipe, found.config), len(found.config.categories)
    clips = batch((64, 64), frames=2, stride=stride, categories=categories)
    groups = training.parameter_groups(learner, recipe)
    optimizer = torch.optim.AdamW(
        [{"params": group.parameters, "lr": 3e-5 * group.factor, "weight_decay": 0.0} for group in groups]
    )
    totals = []
    for _ in range(2):
        torch.manual_seed(1)
        optimizer.zero_grad()
        loss = learner(clips)
        loss.total.backward()
        nn.utils.clip_grad_norm_(learner.parameters(), recipe.clip_norm)
        optimizer.step()
        totals.append(loss.total.item())
    # in the first step deformable attention, whose offsets begin as constants, passes no gradient to the positions
    still = [name for name, p in learner.network.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert totals[1] < 0.95 * totals[0]
