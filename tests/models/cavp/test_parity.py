"""CAVP's sound, network, losses and bookkeeping compute what the original does, on weights anyone can rebuild."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import parity_fill
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from avis_cli.errors import UsageError, WeightsError
from avis_cli.models import recognise
from avis_cli.models.cavp import checkpoint
from avis_cli.models.cavp.config import PRESETS
from avis_cli.models.cavp.hearing import LogMel
from avis_cli.models.cavp.losses import classes_of, contrastive_loss, pixel_loss, relabelled
from avis_cli.models.cavp.network import Cavp
from avis_cli.models.cavp.recipe import CavpRecipe
from avis_cli.models.cavp.shuffle import SoundBank, shuffle
from avis_cli.models.cavp.system import CavpTraining, build
from avis_cli.train.optimizer import rate_at

DATA = parity_fill.DATA / "cavp"
NETS = {"avss": "cavp-avss", "vpo_mono": "cavp-vpo-ms", "vpo_stereo": "cavp-vpo-ms-stereo"}
POSITIONS = (0.25, 0.9)


def read(name: str) -> Any:
    return json.loads((DATA / f"{name}.json").read_text())


def sound(pcm: np.ndarray) -> Tensor:
    return torch.from_numpy(pcm.astype(np.float32) / 32768)


@cache
def weights(net: str) -> dict[str, Tensor]:
    salt = read("meta")["salt"]
    return {
        name: torch.from_numpy(parity_fill.filled(name, tuple(shape), salt))
        if kind == "float32"
        else torch.zeros(shape, dtype=torch.int64)
        for name, (shape, kind) in read(f"keys_{net}").items()
    }


@cache
def network(net: str) -> Cavp:
    made = build(PRESETS[NETS[net]]).eval()
    checkpoint.load(made, weights(net))
    return made


def apart(one: Tensor, other: np.ndarray) -> float:
    return float((one - torch.from_numpy(other)).abs().max())


@pytest.mark.parametrize(("name", "frames"), [("1s", 96), ("3s", 300)])
def test_log_mel(name: str, frames: int) -> None:
    arrays = np.load(DATA / "audio.npz")
    made = LogMel(frames)
    assert apart(made(sound(arrays[f"pcm_{name}"])[None, None])[0, 0], arrays[f"logmel_{name}"]) < 1e-5
    assert apart(made.filters, arrays["mel_filter"]) < 1e-6


def test_log_mel_of_quiet_sound_and_silence() -> None:
    arrays = np.load(DATA / "audio.npz")
    quiet = LogMel(96)(0.02 * sound(arrays["pcm_quiet"])[None, None])[0, 0]
    assert apart(quiet[::8], arrays["logmel_quiet"]) < 1e-5
    assert (LogMel(96)(torch.zeros(1, 2, 16_000)) == -1).all()


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
def test_networks(net: str) -> None:
    arrays, made = np.load(DATA / f"net_{net}.npz"), network(net)
    frames = torch.from_numpy(np.ascontiguousarray(arrays["image"].transpose(0, 3, 1, 2)))
    samples = sound(arrays["pcm"])[:, None]
    if made.config.sound_channels == 2:
        samples = torch.stack([torch.cat([one * (1 - x), one * x]) for one, x in zip(samples, POSITIONS, strict=True)])
    with torch.inference_mode():
        heard, seen = made.hear(samples), made.see(frames)
        joint, logits = made.join(seen, heard), made.segment(frames, samples)
    off = {
        "sound": apart(heard, arrays["fea_a"]),
        "joint": max(apart(joint[0, ::19], arrays["fused"]), apart(joint[1, :3], arrays["fused1"])),
        "logits": max(apart(logits[0, :3], arrays["logits"]), apart(logits[1, -2:], arrays["logits1"])),
    }
    differ = int((logits.argmax(1).numpy() != arrays["argmax"]).sum())
    print(f"\n{net}: {', '.join(f'{name} {value:.1e}' for name, value in off.items())}, {differ} labels differ")
    assert off["sound"] < 1e-4
    assert max(off["joint"], off["logits"]) < 5e-5
    assert differ <= 4
    with pytest.raises(UsageError, match="knows no padding"):
        made.segment(frames, samples, torch.tensor([[True, False]]))


def outputs_of(modules: dict[str, torch.nn.Module], run: Callable[[], Any]) -> dict[str, Any]:
    """What ``modules`` give while ``run`` runs."""
    found: dict[str, Any] = {}

    def keep(name: str) -> Callable[[Any, Any, Any], None]:
        return lambda _module, _given, out: found.update({name: out})

    hooks = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    run()
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("net", NETS)
def test_every_part_on_the_way(net: str) -> None:
    arrays, made = np.load(DATA / f"net_{net}.npz"), network(net)
    frames = torch.from_numpy(np.ascontiguousarray(arrays["image"].transpose(0, 3, 1, 2)))
    parts: dict[str, torch.nn.Module] = {
        "maps": made.backbone, "aspp": made.pyramid, "reduce": made.low, "visual_projector": made.projector,
        "patch_embed_v": made.fusion.embed_pixels, "patch_embed_a": made.fusion.embed_sound,
        "q": made.fusion.attn.q, "k": made.fusion.attn.k, "last_conv": made.classifier.norm2,
        "lowres_logits": made.classifier,
    }  # fmt: skip
    with torch.inference_mode():
        heard = torch.from_numpy(arrays["fea_a"])
        found = outputs_of(parts, lambda: made.classify(made.join(made.see(frames), heard), (4, 4)))
    for number, off in enumerate((1e-4, 1e-3, 5e-3, 1e-2)):
        assert apart(found["maps"][number][0, :6], arrays[f"layer{number + 1}"]) < off
    assert apart(found["aspp"][0, ::32], arrays["aspp"]) < 5e-3
    assert apart(found["reduce"][0, ::8].relu(), arrays["reduce"]) < 1e-3
    for name in ("visual_projector", "patch_embed_v"):
        assert apart(found[name][0, ::7, ::19], arrays[name]) < 2e-3
    assert apart(found["patch_embed_a"], arrays["patch_embed_a"]) < 1e-4
    q, k = (found[name].unflatten(-1, (4, 76)) for name in "qk")
    weight = (torch.einsum("fnhd,fhd->fhn", q, k) / 76**0.5).sigmoid()
    assert apart(weight, arrays["attn_v"]) < 5e-5
    assert apart(found["last_conv"][0, ::32].relu(), arrays["last_conv"]) < 5e-5
    step = 4 if net == "avss" else 1
    assert apart(found["lowres_logits"][0, ::step], arrays["lowres_logits"]) < 5e-5


@pytest.mark.parametrize("net", NETS)
def test_released_names_both_ways(net: str) -> None:
    given, made = weights(net), network(net)
    released = checkpoint.to_released(made)
    assert released.keys() == given.keys()
    assert all(released[name].shape == given[name].shape for name in given)
    assert all(released[name].dtype == given[name].dtype for name in given)
    ours = checkpoint.naming(made.config).table
    assert all(torch.equal(released[name], given[name]) for name in ours)
    fresh = build(made.config)
    without = {name: tensor for name, tensor in given.items() if name != "segment.aspp.red_bn.bias"}
    with pytest.raises(WeightsError, match=r"missing: segment\.aspp\.red_bn\.bias"):
        checkpoint.load(fresh, without)
    with pytest.raises(WeightsError, match="unknown: another"):
        checkpoint.load(fresh, {**given, "another": torch.zeros(1)})
    with pytest.raises(WeightsError, match=r"cls_head\.bias \(3,\) instead of \(2,\)"):
        checkpoint.load(fresh, {**given, "audio_backbone.cls_head.bias": torch.zeros(3)})
    checkpoint.load(fresh, {name: given[name] for name in ours})
    state = fresh.state_dict()
    assert all(torch.equal(state[mine], given[theirs]) for theirs, mine in ours.items())
    assert not any(name.endswith("num_batches_tracked") for name in state)


def test_checkpoints_are_recognised() -> None:
    assert recognise(weights("vpo_mono"), likely="cavp-vpo-ss").config.name == "cavp-vpo-ss"
    assert recognise(weights("avss"), likely="cavp-avss").config.name == "cavp-avss"
    with pytest.raises(WeightsError, match="alike"):
        recognise(weights("avss"))


def recorded(orders: list[Any]) -> Callable[[int], Tensor]:
    """Random orders as they were drawn, each held against how many things were to be ordered."""
    left = iter(orders)

    def permute(count: int) -> Tensor:
        order = torch.as_tensor(np.asarray(next(left)).astype(np.int64))
        assert len(order) == count
        return order

    return permute


LOSSES = read("losses")


@pytest.mark.parametrize("name", LOSSES["contrast"])
def test_contrastive_loss(name: str) -> None:
    case, arrays = LOSSES["contrast"][name], np.load(DATA / "losses.npz")
    features = [
        torch.from_numpy(np.random.RandomState(case[seed]).standard_normal(tuple(case["shape"])).astype(np.float32))
        for seed in ("seed_match", "seed_shuffle")
    ]
    if case["constant"]:
        features = [features[0][:1, :, :1, :1].expand(*case["shape"]).clone() for _ in features]
    own, other = (one.requires_grad_() for one in features)
    labels, shuffled = (torch.from_numpy(arrays[f"{name}.{kind}"]).long() for kind in ("labels", "labels_shuffle"))
    orders = [arrays[f"{name}.perm{number}"] for number in range(len(case["perm_lengths"]))]
    loss = contrastive_loss(
        own, other, labels, shuffled, views=case["max_views"], temperature=case["temperature"], permute=recorded(orders)
    )
    assert float(loss.detach()) == pytest.approx(case["loss"], abs=1e-5)
    if case["loss"] and "grad_norm_match" in case:
        loss.backward()
        assert own.grad is not None
        assert other.grad is not None
        assert float(own.grad.norm()) == pytest.approx(case["grad_norm_match"], rel=1e-4)
        assert float(other.grad.norm()) == pytest.approx(case["grad_norm_shuffle"], rel=1e-4)


def test_the_random_orders_are_torchs_own() -> None:
    case, arrays = LOSSES["contrast"]["plain"], np.load(DATA / "losses.npz")
    own, other = (
        torch.from_numpy(np.random.RandomState(case[seed]).standard_normal(tuple(case["shape"])).astype(np.float32))
        for seed in ("seed_match", "seed_shuffle")
    )
    torch.manual_seed(case["torch_manual_seed"])
    labels, shuffled = (torch.from_numpy(arrays[f"plain.{kind}"]).long() for kind in ("labels", "labels_shuffle"))
    loss = contrastive_loss(own, other, labels, shuffled, views=case["max_views"], temperature=case["temperature"])
    assert float(loss) == pytest.approx(case["loss"], abs=1e-5)


BOOKS = read("bookkeeping")


@pytest.mark.parametrize("case", BOOKS["shuffle"])
def test_shuffled_sounds(case: dict[str, Any]) -> None:
    classes = torch.tensor(case["one_hot"]).bool()
    found = shuffle(classes, replace=case["ow_rate"], permute=recorded(case["perms"]))
    assert found.match.tolist() == case["match"]
    assert {str(item): number for item, number in found.replaced.items()} == case["replace"]
    plain = shuffle(classes, replace=0, permute=recorded(case["perms"][:1]))
    assert plain.match.tolist() == case["match_before"]
    assert not plain.replaced


def test_the_bank_of_sounds() -> None:
    bank = SoundBank(BOOKS["sound_bank"]["slots"])
    for step in BOOKS["sound_bank"]["steps"]:
        sounds = torch.tensor(step["waves"])
        after = sounds[step["shuffle"]].clone()
        for item, number in step["replace"].items():
            after[int(item)] = bank.oldest(number, sounds[0])
        assert after.tolist() == step["shuffled_after"]
        bank.push(torch.tensor(step["one_hot"]).bool(), sounds)
        for number, held in enumerate(step["bank_after"]):
            filled = [sound for sound in held if any(sound)]
            assert bank.has(number) == (len(filled) == len(held))
            if bank.has(number):
                assert bank.oldest(number, sounds[0]).tolist() == held[0]


@pytest.mark.slow
def test_a_step_of_training() -> None:
    """One iteration of the mono trainer in training mode, with its random orders."""
    wanted, arrays = read("train_step"), np.load(DATA / "train_step.npz")
    made = build(PRESETS["cavp-vpo-ms"])
    checkpoint.load(made, weights("vpo_mono"))
    learner = CavpTraining().learner(made, CavpRecipe(views=wanted["max_views"], bank=1), None)
    learner.train()
    frames = torch.from_numpy(np.ascontiguousarray(arrays["image"].transpose(0, 3, 1, 2)))
    samples, labels = sound(arrays["pcm"])[:, None], torch.from_numpy(arrays["pix"]).long()
    ((item, number),) = wanted["mod_idx_map"].items()
    only = torch.zeros(1, 22, dtype=torch.bool)
    only[0, [0, number]] = True
    learner.bank.push(only, sound(arrays[f"replaced_{item}"])[None, None])
    assert classes_of(labels, 22).int().tolist() == arrays["one_hot"].tolist()
    losses: list[Any] = []
    parts: dict[str, torch.nn.Module] = {"joint": made.fusion, "logits": made.classifier}
    heads: list[Tensor] = []
    made.hearing.register_forward_pre_hook(lambda _module, given: heads.append(given[0]))
    out = outputs_of(parts, lambda: losses.append(learner.loss(frames, samples, labels, recorded(wanted["perms"]))))
    loss = losses[0]
    loss.total.backward()
    assert float(loss.maps.detach()) == pytest.approx(wanted["loss_ce"], rel=1e-5)
    assert float(loss.contrast.detach()) == pytest.approx(wanted["loss_ctr"], rel=1e-5)
    assert float(loss.total.detach()) == pytest.approx(wanted["loss"], rel=1e-5)
    joint = out["joint"].detach().transpose(1, 2).unflatten(2, (16, 24))
    logits = F.interpolate(out["logits"].detach()[:4], frames.shape[-2:], mode="bilinear")
    off = apart(joint[:, ::19, ::2, ::2], arrays["fused"]), apart(logits[..., ::8, ::8], arrays["logits"])
    print(f"\na step: joint {off[0]:.1e}, logits {off[1]:.1e}")
    assert max(off) < 3e-3
    # the sounds that change places, one of them out of the bank
    shuffled = samples[torch.as_tensor(wanted["perms"][0])].clone()
    shuffled[int(item)] = sound(arrays[f"replaced_{item}"])
    assert apart(shuffled[:, 0, :400], arrays["shuffled_audio_head"].astype(np.float32) / 32768) == 0
    torch.testing.assert_close(heads[0], made.log_mel(torch.cat([samples, shuffled])))
    assert relabelled(labels, wanted["match"]).tolist() == arrays["shuffled_pix"].tolist()
    ours, parameters = checkpoint.naming(made.config).table, dict(made.named_parameters())
    for name, norm in wanted["grad_norm"].items():
        if name in ours and ours[name] in parameters:
            gradient = parameters[ours[name]].grad
            assert gradient is not None
            assert float(gradient.norm()) == pytest.approx(norm, rel=5e-3, abs=1e-6), name
    state = made.state_dict()
    norms = {"classifier.norm1": "last_conv", "backbone.stem.7": "stem", "hearing.stem.1": "audio"}
    for name, key in norms.items():
        assert apart(state[f"{name}.running_mean"], arrays[f"bn_{key}_mean"]) < 2e-4
    for name, key in (("hearing.stem.1", "audio"), ("classifier.norm1", "last_conv")):
        assert apart(state[f"{name}.running_var"], arrays[f"bn_{key}_var"]) < 2e-4


def test_rates_fall_as_released() -> None:
    """The released program sets the rate of a step after the step before."""
    wanted = read("meta")["lr"]
    for step, rate in wanted["at"].items():
        done = int(step) / wanted["total"]
        found = rate_at(int(step), done, highest=wanted["base"], warmup_steps=0, final=0.01, schedule="power")
        assert found == pytest.approx(rate, rel=1e-9)


@pytest.mark.parametrize("name", LOSSES["cross_entropy"])
def test_cross_entropy(name: str) -> None:
    case, arrays = LOSSES["cross_entropy"][name], np.load(DATA / "losses.npz")
    labels = torch.from_numpy(arrays[f"{name}.labels"]).long()
    logits = torch.from_numpy(
        np.random.RandomState(case["seed_logits"]).standard_normal(tuple(case["shape"])).astype(np.float32)
    )
    # where nothing is known the original is not a number; here it is nothing
    assert float(pixel_loss(logits, labels)) == pytest.approx(case["loss"] or 0.0, abs=1e-5)
