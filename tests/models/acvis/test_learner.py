"""What ACVIS's learner minimises, and what moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from acvis_examples import QUICK, small
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.models import find_preset
from avis_cli.models.acvis.learner import AcvisLearner, AcvisLoss
from avis_cli.models.acvis.recipe import RELEASED, AcvisRecipe
from avis_cli.models.acvis.system import AcvisTraining, build
from avis_cli.models.two_level.config import SmallResNetSizes
from avis_cli.nn.clip_batch import ClipBatch, ClipTargets
from avis_cli.nn.layers import CrossAttentionBlock

CONFIG = small(
    "acvis-r50-in", backbone=SmallResNetSizes((8, 16, 32, 32, 32), (1, 1, 1, 1, 1), 4), lateral_widths=(16, 32),
    mask_width=16, mask_stride=2,
)  # fmt: skip
EVERY_PIXEL = replace(QUICK, points=None)


def batch(frames: int = 3) -> ClipBatch:
    """A clip of two objects, both of which sound in the first frame, one in the second and none in the third."""
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(1, frames, 2, 32, 32)
    masks[:, :, 0, :16, :16] = masks[:, :, 1, 16:, 16:] = 1.0
    sounding = torch.tensor([[True, True], [True, False], [False, False]])[None, :frames]
    pictures = torch.randint(0, 60, (1, frames, 3, 64, 64), dtype=torch.uint8, generator=generator)
    pictures[..., 0, :32, :32] = pictures[..., 1, 32:, 32:] = 220
    patches = torch.randn(1, frames, 96, 64, generator=generator) - 2.0 + torch.arange(frames)[None, :, None, None]
    tags = torch.zeros(1, frames, 26, dtype=torch.bool)
    targets = ClipTargets(torch.tensor([[4, 7]]), masks, sounding, tags, torch.tensor([True]))
    return ClipBatch(pictures, patches, targets)


def learner(recipe: AcvisRecipe = EVERY_PIXEL) -> AcvisLearner:
    torch.manual_seed(0)
    network = build(CONFIG)
    with torch.no_grad():
        # drawn at random its features are nearly the same for every sound, and large
        network.audio_network.pca_vectors.mul_(30)
        network.audio_network.pca_means.fill_(0.02)
        network.localizer.generator.inward.weight.div_(100)
        network.tracker.audio_projection.weight.div_(100)
    return AcvisLearner(network, recipe)


def steps(trained: AcvisLearner, count: int, rate: float) -> list[AcvisLoss]:
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=rate, weight_decay=0.0)
    losses = []
    for _ in range(count):
        torch.manual_seed(1)
        optimizer.zero_grad()
        loss = trained(batch())
        loss.total.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 5.0)
        optimizer.step()
        losses.append(loss)
    return losses


def test_every_weight_that_can_learn_does_and_the_audio_network_does_not() -> None:
    trained = learner()
    steps(trained, 2, 1e-4)
    network = trained.network
    frozen = {name for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {
        *(f"audio_network.{name}" for name, _ in network.audio_network.named_parameters()),
        *(f"localizer.unused_projection.{leaf}" for leaf in ("weight", "bias")),
    }
    still = [name for name, p in network.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert still == []
    block = network.localizer.generator.blocks[0]
    assert isinstance(block, CrossAttentionBlock)
    gradient = block.attention.in_weight.grad
    assert gradient is not None
    # zero but for rounding, which is not the same on every processor
    queries, values = gradient[:64].abs().max(), gradient[-32:].abs().max()
    assert queries < 1e-5 * values, "with one key, queries and keys have no effect"


@pytest.mark.slow
def test_the_loss_falls_and_the_counts_are_learned() -> None:
    trained = learner()
    losses = steps(trained, 40, 2e-3)
    first, last = losses[0].numbers(), losses[-1].numbers()
    assert last["total"] < 0.6 * first["total"]
    assert last["count"] < 0.5 * first["count"]
    assert last["count_accuracy"] == 1.0
    assert last["frame_category"] < first["frame_category"]


@pytest.mark.parametrize("part", ["similarity", "count"])
def test_the_loss_holds_each_part_at_its_weight(part: str) -> None:

    def weighing(weight: float) -> AcvisRecipe:
        weights: dict[str, Any] = {part: weight}
        return replace(EVERY_PIXEL, **weights)

    trained = learner(weighing(0.7))
    with torch.no_grad():
        whole = trained(batch()).numbers()
        trained.recipe = weighing(0.0)
        without = trained(batch()).numbers()
    assert whole[part] > 0.01
    assert whole["total"] - without["total"] == pytest.approx(0.7 * whole[part], rel=1e-3)


def test_the_count_is_that_before_any_crop() -> None:
    trained = learner()
    clips = batch()
    counts = torch.tensor([[0, 2, 3]])
    cropped = replace(clips, targets=replace(clips.targets, annotated=counts))
    with torch.no_grad():
        asked: list[Tensor] = [trained(clip).count for clip in (clips, cropped)]
    assert clips.targets.counts.tolist() == [[2, 1, 0]]
    assert asked[0] != asked[1]
    assert cropped.targets.to("cpu").counts.tolist() == [[0, 2, 3]]


def test_recipe_of_the_presets_and_what_cannot_be_left_out() -> None:
    training = find_preset("acvis-r50-coco").system.training()
    recipe = training.recipe("acvis-r50-coco")
    assert recipe == RELEASED
    assert recipe.count == 1.0
    assert training.target_stride(recipe, CONFIG) == 1
    assert training.target_stride(EVERY_PIXEL, CONFIG) == 2
    with pytest.raises(UsageError, match="this system is trained whole only"):
        AcvisTraining().without(recipe, "audio")


def test_the_optimizer_gets_what_is_trained_once() -> None:
    trained = learner()
    groups = AcvisTraining().parameter_groups(trained, RELEASED)
    moved = [id(parameter) for group in groups for parameter in group.parameters]
    wanted = [id(parameter) for parameter in trained.parameters() if parameter.requires_grad]
    assert sorted(moved) == sorted(wanted)
    slow = {id(p) for group in groups if group.factor == RELEASED.backbone_factor for p in group.parameters}
    assert slow == {id(p) for p in trained.network.backbone.parameters()}
