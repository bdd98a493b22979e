"""What SeaVIS's learner minimises, what moves, and the weights that it begins with and leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from acvis_examples import SMALL as ACVIS_SMALL
from acvis_examples import small
from torch import Tensor, nn

from avis_cli.errors import UsageError, WeightsError
from avis_cli.inference.loading import load_model
from avis_cli.models import Preset, find_preset, find_system
from avis_cli.models.acvis.system import build as build_acvis
from avis_cli.models.avism.config import AvismConfig
from avis_cli.models.avism.system import build as build_avism
from avis_cli.models.seavis import losses
from avis_cli.models.seavis.config import PRESETS, SeavisConfig
from avis_cli.models.seavis.learner import SeavisLearner, SeavisLoss
from avis_cli.models.seavis.recipe import RELEASED, TINY, SeavisRecipe
from avis_cli.models.seavis.system import SeavisTraining, build
from avis_cli.models.training import BatchShape
from avis_cli.models.two_level.config import SmallResNetSizes
from avis_cli.models.two_level.losses import frame_level
from avis_cli.nn.clip_batch import NO_OBJECT, ClipBatch, ClipTargets
from avis_cli.nn.set_losses import LossWeights
from avis_cli.train.initial_weights import Start, save_model, start
from avis_cli.train.train_request import Budget, TrainRequest

SIZES: dict[str, Any] = {
    "backbone": SmallResNetSizes((8, 8, 8, 16, 16), (1,) * 5, 4), "categories": ("bell", "drum", "bird"),
    "short_side": 32, "long_side": 64, "audio": "own", "audio_width": 8, "width": 16, "heads": 2, "norm_groups": 4,
    "encoder_layers": 0, "lateral_widths": (8, 8), "mask_width": 8, "mask_stride": 2, "feed_forward": 16,
    "frame_queries": 6, "frame_layers": 3, "audio_in_every_layer": True,
}  # fmt: skip
CONFIG = SeavisConfig(name="seavis-tiny", gate=True, history=3, **SIZES)
AVISM = AvismConfig(
    name="avism-tiny", video_queries=4, tracker_self_layers=1, tracker_audio_layers=1, tracker_layers=1, **SIZES
)
RECIPE = SeavisRecipe(
    shapes=(BatchShape(1, 4),), points=None, tagging=0.5, frame=LossWeights(category=3.0, no_object=0.25)
)
PARTS = ("recognition", "cosine", "frame_contrast", "instance_contrast")


def batch(*, complete: bool = True, seen: bool = True, stride: int = 2) -> ClipBatch:
    """A clip of four frames and two objects, the first of which is silent in the third, the second in the two in the
    middle. ``complete``: silent objects are marked; ``seen``: they are in the picture."""
    generator = torch.Generator().manual_seed(0)
    side = 64 // stride
    masks = torch.zeros(1, 4, 3, side, side)
    masks[:, :, 0, : side // 2, : side // 2] = masks[:, :, 1, side // 2 :, side // 2 :] = 1.0
    sounding = torch.tensor([[[True, True, False], [True, False, False], [False, False, False], [True, True, False]]])
    if not seen:
        masks *= sounding[..., None, None]
    pictures = torch.randint(0, 60, (1, 4, 3, 64, 64), dtype=torch.uint8, generator=generator)
    pictures[..., 0, :32, :32] = pictures[..., 1, 32:, 32:] = 220
    patches = torch.randn(1, 4, 96, 64, generator=generator) - 2.0 + torch.arange(4.0)[None, :, None, None]
    tags = torch.zeros(1, 4, 3, dtype=torch.bool)
    targets = ClipTargets(torch.tensor([[1, 2, NO_OBJECT]]), masks, sounding, tags, torch.tensor([complete]))
    return ClipBatch(pictures, patches, targets)


def learner(recipe: SeavisRecipe = RECIPE, seed: int = 0) -> SeavisLearner:
    torch.manual_seed(seed)
    return SeavisLearner(build(CONFIG), recipe)


def loss_of(trained: SeavisLearner, clips: ClipBatch, **recipe: Any) -> dict[str, float]:
    """Of the learner with some numbers of its recipe changed."""
    before = trained.recipe
    trained.recipe = replace(before, **recipe)
    torch.manual_seed(1)  # which pairs are held against the memory
    with torch.no_grad():
        found: SeavisLoss = trained(clips)
    trained.recipe = before
    return found.numbers()


def steps(trained: SeavisLearner, count: int, rate: float) -> list[dict[str, float]]:
    optimizer = torch.optim.AdamW(trained.parameters(), lr=rate, weight_decay=0.0)
    out = []
    for _ in range(count):
        torch.manual_seed(1)
        optimizer.zero_grad()
        loss: SeavisLoss = trained(batch())
        loss.total.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 5.0)
        optimizer.step()
        out.append(loss.numbers())
    return out


def test_a_step_moves_every_weight() -> None:
    trained = learner()
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    # several draws: a pair is held against the memory in some only
    steps(trained, 2, 1e-3)
    still = [name for name, p in trained.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained.parameters())
    assert [name for name, value in trained.state_dict().items() if torch.equal(value, before[name])] == []


def test_the_loss_falls() -> None:
    found = steps(learner(), 40, 3e-3)
    assert all(torch.tensor(list(numbers.values())).isfinite().all() for numbers in found)
    for part in ("total", "frame_category", "frame_dice", *PARTS):
        # a match that changes lifts a part for a step, and when it does is not the same on every processor
        assert min(numbers[part] for numbers in found[-10:]) < 0.5 * found[0][part], part


@pytest.mark.parametrize("part", PARTS)
def test_the_loss_holds_each_part_at_its_weight(part: str) -> None:
    trained = learner()
    whole, without = (loss_of(trained, batch(), **{part: weight}) for weight in (0.7, 0.0))
    assert whole[part] > 0.01
    assert without[part] == whole[part], "it is told, and not minimised"
    assert whole["total"] - without["total"] == pytest.approx(0.7 * whole[part], rel=1e-3)


def test_what_is_left_of_the_loss_is_the_sum_over_the_layers_of_the_localizer() -> None:
    bare = loss_of(learner(), batch(), **dict.fromkeys(PARTS, 0.0))
    frame = RECIPE.frame
    last = frame.category * bare["frame_category"] + frame.mask * bare["frame_mask"] + frame.dice * bare["frame_dice"]
    assert bare["total"] > 2 * last, "the queries before the first layer and after each of three"


def test_the_losses_of_the_embeddings_are_of_the_queries_that_the_last_layer_was_matched_with() -> None:
    trained, clips = learner(seed=1), batch()
    with torch.no_grad():
        found = trained.network(clips.frames, trained.network.encode_audio(clips.patches[0])[None])
        levels = frame_level(found.frames, clips.targets, RECIPE)
    contrasts = []
    for level in levels:
        sounding = level.assigned.unflatten(0, (1, 4))
        objects = losses.ObjectEmbeddings(found.embed, sounding, torch.full_like(sounding, -1), found.anchor)
        contrasts.append(losses.frame_contrast(objects).item())
    assert loss_of(trained, clips)["frame_contrast"] == pytest.approx(contrasts[-1], rel=1e-5)
    assert all(value != pytest.approx(contrasts[-1], rel=1e-3) for value in contrasts[:-1]), "other matches, other sums"


# --- what is silent


def test_silent_objects_are_known_by_their_masks_or_guessed_by_likeness() -> None:
    trained = learner()
    by_truth, guessed = (loss_of(trained, batch(), silent=silent) for silent in ("truth", "likeness"))
    assert by_truth["instance_contrast"] > 0.01
    assert guessed["instance_contrast"] > 0.01
    assert by_truth["instance_contrast"] != pytest.approx(guessed["instance_contrast"], abs=1e-4)
    for part in ("recognition", "cosine", "frame_contrast"):
        assert by_truth[part] == guessed[part]


def test_where_silent_objects_are_not_marked_only_likeness_knows_any() -> None:
    trained, clips = learner(), batch(complete=False, seen=False)
    assert loss_of(trained, clips, silent="truth")["instance_contrast"] == 0.0
    assert loss_of(trained, batch(complete=False), silent="truth")["instance_contrast"] == 0.0, "whatever is marked"
    assert loss_of(trained, clips, silent="likeness")["instance_contrast"] > 0.01


def test_what_is_not_seen_is_not_silent_where_that_is_known() -> None:
    trained = learner()
    assert loss_of(trained, batch(seen=False), silent="truth")["instance_contrast"] == 0.0
    # nor is it by less than a cell
    clips = batch(seen=False)
    speck = clips.targets.masks.clone()
    speck[0, 2, 0, 0, 0] = 0.9
    covered = loss_of(trained, replace(clips, targets=replace(clips.targets, masks=speck)), silent="truth")
    assert covered["instance_contrast"] == 0.0
    speck[0, 2, 0, 0, 1] = 0.2
    covered = loss_of(trained, replace(clips, targets=replace(clips.targets, masks=speck)), silent="truth")
    assert covered["instance_contrast"] > 0.0


@pytest.mark.parametrize("silent", ["truth", "likeness"])
def test_a_clip_without_sound_has_finite_losses(silent: Literal["truth", "likeness"]) -> None:
    trained = learner(replace(RECIPE, silent=silent))
    clips = batch()
    quiet = replace(clips, targets=replace(clips.targets, sounding=torch.zeros_like(clips.targets.sounding)))
    loss: SeavisLoss = trained(quiet)
    loss.total.backward()
    assert [loss.numbers()[part] for part in PARTS] == [0.0] * 4
    assert all(p.grad is not None and p.grad.isfinite().all() for p in trained.parameters())


@pytest.mark.parametrize("silent", ["truth", "likeness"])
def test_masks_that_are_compared_at_points_are_of_the_frames_own_size(silent: Literal["truth", "likeness"]) -> None:
    recipe = replace(RECIPE, points=64, silent=silent)
    stride = SeavisTraining().target_stride(recipe, CONFIG)
    assert stride == 1
    loss: SeavisLoss = learner(recipe)(batch(stride=stride))
    assert loss.total.isfinite()
    assert loss.numbers()["instance_contrast"] > 0.01


def test_half_convolutions_give_nearly_the_same() -> None:
    trained = learner()
    torch.manual_seed(1)
    with torch.no_grad():
        half: SeavisLoss = trained(batch(), half_convolutions=True)
    assert half.total.item() == pytest.approx(loss_of(trained, batch())["total"], rel=0.05)


def test_an_audio_network_from_elsewhere_is_frozen_and_not_the_runs() -> None:
    class Elsewhere(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(64, 8)

        def forward(self, patches: Tensor) -> Tensor:
            out: Tensor = self.linear(patches.mean(1))
            return out

    torch.manual_seed(0)
    elsewhere = Elsewhere()
    trained = SeavisLearner(build(replace(CONFIG, audio="vggish")), RECIPE, elsewhere)
    assert not any("audio_encoder" in name or name == "linear.weight" for name in trained.state_dict())
    loss: SeavisLoss = trained(batch())
    loss.total.backward()
    assert elsewhere.linear.weight.grad is None
    assert not elsewhere.linear.weight.requires_grad
    assert trained.network.anchor.weight.grad is not None


# --- recipes


def test_recipes_of_the_presets() -> None:
    training = find_preset("seavis-tiny").system.training()
    assert training.metrics == "online"
    assert training.recipe("seavis-tiny") == TINY
    assert training.recipe("seavis-r50") == RELEASED
    assert (RELEASED.silent, TINY.silent) == ("likeness", "truth"), "AVISeg marks no silent object"
    assert (TINY.recognition, TINY.cosine, TINY.frame_contrast, TINY.instance_contrast) == (2.0, 3.0, 1.0, 1.0)
    assert RELEASED.frame == LossWeights(category=2.0, mask=5.0, dice=5.0, no_object=0.1)
    for recipe in (RELEASED, TINY):
        assert recipe.contiguous == 1.0, "frames in order"
        assert all(5 <= shape.frames <= 10 for shape in recipe.shapes)
    assert training.sound_lookahead(PRESETS["seavis-tiny"]) == 0.0
    assert training.sound_lookahead(PRESETS["seavis-r50"]) == 1.0
    assert training.target_stride(TINY, PRESETS["seavis-tiny"]) == 2
    assert training.target_stride(RELEASED, PRESETS["seavis-r50"]) == 1


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("contrast", ["frame_contrast", "instance_contrast"]),
        ("frame-contrast", ["frame_contrast"]),
        ("instance-contrast", ["instance_contrast"]),
    ],
)
def test_a_network_can_be_trained_without_a_part(part: str, gone: list[str]) -> None:
    training, trained = SeavisTraining(), learner()
    without = training.without(RECIPE, part)
    assert [name for name in PARTS if getattr(without, name) == 0.0] == gone
    whole, less = loss_of(trained, batch()), loss_of(trained, batch(), **dict.fromkeys(gone, 0.0))
    assert whole["total"] - less["total"] == pytest.approx(sum(whole[name] for name in gone), rel=1e-3)


def test_a_network_can_be_trained_without_the_truth_of_silence() -> None:
    training = SeavisTraining()
    assert training.without(TINY, "silent-truth") == replace(TINY, silent="likeness")
    with pytest.raises(UsageError, match="--without 'fusion', expected one of contrast, frame-contrast"):
        training.without(TINY, "fusion")


def test_the_optimizer_gets_every_weight_once_and_the_backbone_slower() -> None:
    trained = learner()
    groups = SeavisTraining().parameter_groups(trained, TINY)
    assert sorted(id(p) for group in groups for p in group.parameters) == sorted(id(p) for p in trained.parameters())
    slow = {id(p) for group in groups if group.factor == TINY.backbone_factor for p in group.parameters}
    assert slow == {id(p) for p in trained.network.backbone.parameters()}


# --- weights


@pytest.mark.parametrize("half", [False, True])
def test_weights_come_back_as_they_were_saved_with_what_was_fitted(half: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    network, system = build(CONFIG), find_system("seavis")
    path = tmp_path / "model.safetensors"
    fitted: dict[str, Any] = {"gate_cosine": 0.25, "gate_softness": 0.125, "gate_threshold": 0.375}
    save_model(path, Start(Preset(system, CONFIG), network, None), network, constants=fitted, source="x", half=half)
    model = load_model(path)
    assert model.is_online
    assert model.config == replace(CONFIG, **fitted)
    state = model.network.state_dict()
    assert set(state) == set(network.state_dict())
    for name, value in network.state_dict().items():
        assert torch.equal(state[name], value.half().float() if half else value), name
    if not half:
        frame, audio = torch.full((3, 32, 64), 90, dtype=torch.uint8), torch.ones(8)
        expected, _ = network.eval().step(network.start(), frame, audio)
        got, _ = model.observe(model.start(), frame, audio)
        assert torch.equal(got.mask_embed, expected.mask_embed)


def test_a_frame_stage_is_taken_over_and_nothing_of_how_it_fused() -> None:
    torch.manual_seed(1)
    given, fresh = build_avism(AVISM).state_dict(), build(CONFIG).state_dict()
    taken = SeavisTraining().taken_over(given, fresh)
    assert set(taken) == set(fresh)
    for name, tensor in taken.items():
        own = name.startswith(("localizer.fusion.", "embed_head.", "anchor."))
        assert torch.equal(tensor, fresh[name] if own else given[name]), name
    changed = {name.split(".")[0] for name in taken if not torch.equal(taken[name], fresh[name])}
    assert changed == {"backbone", "pixel_decoder", "localizer", "audio_encoder"}
    network = build(CONFIG)
    find_system("seavis").load(network, taken)
    assert torch.equal(network.localizer.query_feature, given["localizer.query_feature"])


def test_an_encoder_that_looks_at_the_end_of_the_second_apart_begins_as_one_that_does_not() -> None:
    torch.manual_seed(1)
    avism, wide = build_avism(AVISM), build(replace(CONFIG, latest_sound=True))
    name = "audio_encoder.linear1.weight"
    given, fresh = avism.state_dict(), wide.state_dict()
    assert 2 * fresh[name].shape[1] == 3 * given[name].shape[1]
    find_system("seavis").load(wide, SeavisTraining().taken_over(given, fresh))
    patches = torch.randn(3, 96, 64) - 2.0
    torch.testing.assert_close(wide.embed_log_mel(patches), avism.embed_log_mel(patches), rtol=0, atol=1e-5)
    learning = SeavisLearner(wide, RECIPE)
    loss: SeavisLoss = learning(batch())
    loss.total.backward()
    gradient = wide.get_parameter(name).grad
    assert gradient is not None
    assert gradient[:, given[name].shape[1] :].any(), "and learns to look there"
    # what looks there already is taken over as it is
    taken = SeavisTraining().taken_over(build(replace(CONFIG, latest_sound=True)).state_dict(), fresh)
    assert taken[name].shape == fresh[name].shape
    with pytest.raises(WeightsError, match=rf"1 of \d+ tensors do not fit, the first {name}"):
        SeavisTraining().taken_over(fresh, build(CONFIG).state_dict())


def test_the_frame_stage_of_acvis_fits_too() -> None:
    torch.manual_seed(1)
    sizes = {name: value for name, value in ACVIS_SMALL.items() if not name.startswith(("tracker", "vggish", "video"))}
    config = replace(PRESETS["seavis-r50"], **sizes)
    given, fresh = build_acvis(small("acvis-r50-in")).state_dict(), build(config).state_dict()
    taken = SeavisTraining().taken_over(given, fresh)
    assert torch.equal(taken["localizer.class_head.weight"], given["localizer.class_head.weight"])
    assert torch.equal(taken["localizer.fusion.inward.weight"], fresh["localizer.fusion.inward.weight"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"frame_queries": 5}, "localizer.query_feature"),
        ({"mask_width": 12}, "localizer.mask_head.layers.2.bias"),
        ({"backbone": SmallResNetSizes((8, 8, 8, 16, 24), (1,) * 5, 4)}, "backbone"),
        ({"frame_layers": 4}, "localizer.layers.3"),
    ],
)
def test_a_frame_stage_of_other_sizes_is_refused_by_the_name_of_a_tensor(change: dict[str, Any], named: str) -> None:
    given, fresh = build_avism(AVISM).state_dict(), build(replace(CONFIG, **change)).state_dict()
    with pytest.raises(WeightsError, match=rf"another frame stage \(\d+ of \d+ tensors do not fit, the first {named}"):
        SeavisTraining().taken_over(given, fresh)


def request(out: Path, init: Path | str, preset: str = "seavis-tiny") -> TrainRequest:
    return TrainRequest(out, preset, out, TINY, Budget(steps=1), init=str(init), seed=5)


def test_a_run_begins_with_the_bundled_frame_stage_its_classes_by_name(tiny_weights: Path, tmp_path: Path) -> None:
    given = load_model(tiny_weights)
    known: tuple[str, ...] = given.config.categories
    wanted = ("gong", known[3], known[0])
    begun = start(request(tmp_path, tiny_weights), wanted)
    assert begun.preset.config == replace(PRESETS["seavis-tiny"], categories=wanted)
    assert begun.audio_network is None
    state, before = begun.network.state_dict(), given.network.state_dict()
    torch.manual_seed(5)
    fresh = build(begun.preset.config).state_dict()
    for leaf in ("weight", "bias"):
        name = f"localizer.class_head.{leaf}"
        rows = torch.stack([fresh[name][0], before[name][3], before[name][0], before[name][-1]])
        assert torch.equal(state[name], rows)
    assert torch.equal(state["backbone.stem.0.weight"], before["backbone.stem.0.weight"])
    assert torch.equal(state["localizer.fusion.inward.weight"], fresh["localizer.fusion.inward.weight"])
    assert torch.equal(state["embed_head.layers.0.weight"], fresh["embed_head.layers.0.weight"])


def test_a_run_begins_with_weights_of_its_own_preset_whole_and_not_with_those_of_a_stranger(
    tiny_weights: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    config = PRESETS["seavis-tiny"]
    network, system = build(config), find_system("seavis")
    own = tmp_path / "own.safetensors"
    save_model(own, Start(Preset(system, config), network, None), network, constants={}, source="x", half=False)
    begun = start(request(tmp_path, own), config.categories)
    for name, value in network.state_dict().items():
        assert torch.equal(begun.network.state_dict()[name], value)
    with pytest.raises(UsageError, match="are seavis-tiny, not avism-tiny"):
        start(request(tmp_path, own, "avism-tiny"), config.categories)
