"""The network and its losses compute what AVSBench's do, on weights and inputs that anyone can rebuild."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import parity_fill
import pytest
import torch
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models import recognise
from avis_cli.models.tpavi import checkpoint
from avis_cli.models.tpavi.config import PRESETS
from avis_cli.models.tpavi.losses import Matching, Task, binary_loss, class_loss, matching_loss
from avis_cli.models.tpavi.network import Tpavi, TpaviOutput
from avis_cli.models.tpavi.system import build

DATA = parity_fill.DATA / "tpavi"
RUNS = ["s4_r50", "ms3_r50", "avss_r50", "s4_pvt", "avss_pvt"]


@cache
def weights(run: str) -> dict[str, Tensor]:
    """As released, with the integers and the parts that never run."""
    setting, backbone = run.split("_")
    keys = json.loads((DATA / f"keys_{'s4' if setting == 'ms3' else setting}_{backbone}.json").read_text())
    about = json.loads((DATA / f"{run}.json").read_text())
    made = {
        name: torch.from_numpy(parity_fill.filled_tpavi(name, tuple(shape), about["salt"]))
        if kind == "float32"
        else torch.zeros(shape, dtype=torch.int64)
        for name, (shape, kind) in keys.items()
    }
    return made | {name: torch.tensor(value) for name, value in about["overrides"].items()}


def network(run: str, **changes: Any) -> Tpavi:
    made = build(replace(PRESETS[f"tpavi-{run.replace('_', '-')}"], **changes)).eval()
    given = weights(run)
    blocks = made.config.blocks
    checkpoint.load(made, {n: x for n, x in given.items() if not n.startswith("tpavi_b") or int(n[7]) in blocks})
    return made


@cache
def golden(run: str) -> tuple[Any, Any]:
    return np.load(DATA / f"{run}.npz"), json.loads((DATA / f"{run}.json").read_text())


def inputs(run: str) -> tuple[Tensor, Tensor, Tensor]:
    """Frames with their padding, sound, and which frames are real."""
    arrays, about = golden(run)
    length, real = about["T"], about["valid"]
    valid = torch.tensor([[frame < count for frame in range(length)] for count in real])
    frames = torch.zeros(valid.numel(), 3, 224, 224, dtype=torch.uint8)
    frames[valid.flatten()] = torch.from_numpy(arrays["frames"])
    return frames, torch.from_numpy(arrays["audio"]), valid


@cache
def found(run: str) -> TpaviOutput:
    frames, audio, valid = inputs(run)
    with torch.inference_mode():
        return network(run)(frames, audio, valid)


def apart(one: Tensor, other: Any) -> float:
    return float((one - torch.from_numpy(np.asarray(other))).abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("run", ["s4_r50", "ms3_r50", "s4_pvt"])
def test_binary_logits_and_masks(run: str) -> None:
    arrays, about = golden(run)
    logits, frame = found(run).logits[:, 0], about["slice_frames"][0]
    off = apart(logits[:, ::4, ::4], arrays["logits_s4"])
    crop = apart(logits[frame, 80:144, 80:144], arrays["logits_crop"])
    wanted = np.unpackbits(arrays["mask_bits"])[: logits.numel()]
    differ = int(((logits > 0).numpy().ravel() != wanted).sum())
    print(f"\n{run}: logits {max(off, crop):.1e}, {differ} of {logits.numel()} mask pixels differ")
    assert max(off, crop) < 2e-4
    assert differ <= 0.0005 * logits.numel()


@pytest.mark.slow
@pytest.mark.parametrize("run", ["avss_r50", "avss_pvt"])
def test_class_logits_and_labels(run: str) -> None:
    arrays, about = golden(run)
    logits, clips = found(run).logits.unflatten(0, (-1, 10)), len(about["valid"])
    for clip in range(clips):
        end = f"_clip{clip}" if clips > 1 else ""
        off = apart(logits[clip][[0, 4]][..., ::16, ::16], arrays[f"logits_s16{end}"])
        labels = logits[clip].argmax(1)[:, ::2, ::2].numpy()
        print(f"\n{run} clip {clip}: logits {off:.1e}, {int((labels != arrays[f'label{end}']).sum())} labels differ")
        assert off < 2e-4
        assert (labels != arrays[f"label{end}"]).mean() < 0.0005


@pytest.mark.slow
@pytest.mark.parametrize("run", ["s4_r50", "ms3_r50", "s4_pvt"])
def test_what_the_losses_see(run: str) -> None:
    arrays, about = golden(run)
    output, frame = found(run), about["slice_frames"][0]
    for stage in range(1, 5):
        one, sound = output.maps[stage - 1], output.sound[stage - 1]
        step = max(1, one.shape[-1] // 14)
        assert apart(one[frame, ::32, ::step, ::step], arrays[f"returned{stage}"][0]) < 1e-4
        assert sound is not None
        assert apart(sound[:, ::4], arrays[f"a_fea{stage}"]) < 1e-4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [("vv", {"looks": "picture"}), ("vavv", {"looks": "both"}), ("va23", {"blocks": (3, 4)}), ("none", {"blocks": ()})],
)
def test_other_ways_to_meet(name: str, changes: dict[str, Any]) -> None:
    variants = np.load(DATA / "s4_r50_variants.npz")
    frames, audio, valid = inputs("s4_r50")
    with torch.inference_mode():
        logits = network("s4_r50", **changes).segment(frames, audio, valid)
    assert apart(logits[:, 0, ::8, ::8], variants[f"logits_s8_{name}"]) < 2e-4


def how(args: dict[str, Any]) -> Matching:
    return Matching(
        weight=args["lambda_1"],
        stages=tuple(stage + 1 for stage in args["count_stages"]),
        pooling=args.get("mask_pooling_type", "avg"),
        normalised=args.get("norm_fea", True),
        threshold=args.get("threshold", False),
        partner="picture" if args.get("closer_flag") else "sound",
        distance="kl" if args.get("kl_flag") else "euclidean",
        released=True,
    )


SMALL = json.loads((DATA / "losses_small.json").read_text())["cases"]


@pytest.mark.parametrize("case", SMALL, ids=[f"{case['setting']}-{number}" for number, case in enumerate(SMALL)])
def test_losses_and_their_gradients(case: dict[str, Any]) -> None:
    arrays, task, args = np.load(DATA / "losses_small.npz"), case["setting"], case["args"]

    def given(name: str) -> Tensor:
        return torch.from_numpy(arrays[f"{task}_{name}"])

    logits = given("pred").requires_grad_()
    maps = [given(f"map{stage}").requires_grad_() for stage in range(1, 5)]
    sounds = [given(f"audio{stage}").requires_grad_() for stage in range(1, 5)]
    valid = torch.ones(len(logits), dtype=torch.bool)
    if task == "s4":
        main = binary_loss(logits.unflatten(0, (2, 5))[:, 0], given("gt")[:, 0, 0])
    elif task == "ms3":
        main = binary_loss(logits, given("gt")[:, 0])
    else:
        valid = given("gt_flag").bool()
        main = class_loss(logits, given("gt"), valid)
    total = main
    if args["sa_loss_flag"]:
        extra = matching_loss(task, how(args), logits, maps, [x.flatten(0, 1) for x in sounds], valid)
        assert float(extra.detach()) == pytest.approx(case["extra"], rel=1e-5)
        total = main + how(args).weight * extra
    total.backward()
    assert float(total.detach()) == pytest.approx(case["total"], rel=1e-5)

    def norms(tensors: list[Tensor]) -> list[float]:
        return [0.0 if x.grad is None else float(x.grad.norm()) for x in tensors]

    assert norms([logits]) == pytest.approx([case["grad"]["pred"]], rel=1e-3)
    assert norms(maps) == pytest.approx(case["grad"]["maps"], rel=1e-3, abs=1e-9)
    assert norms(sounds) == pytest.approx(case["grad"]["audio"], rel=1e-3, abs=1e-9)


def whole_truth(run: str) -> tuple[Tensor, Tensor]:
    """Truth (F, H, W) and which frames have one."""
    arrays, about = golden(run)
    if "gt_labels" in arrays:
        return torch.from_numpy(arrays["gt_labels"]).long(), torch.tensor(about["gt_flags"]).bool()
    shape = about["gt_shape"]
    bits = np.unpackbits(arrays["gt_bits"])[: int(np.prod(shape))].reshape(-1, *shape[-2:])
    return torch.from_numpy(bits).long(), torch.ones(len(bits), dtype=torch.bool)


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_losses_of_whole_runs(run: str) -> None:
    _, about = golden(run)
    output, (truth, flags), task = found(run), whole_truth(run), run.split("_")[0]
    kind: Task = {"s4": "s4", "ms3": "ms3", "avss": "avss"}[task]  # type: ignore[assignment]
    for case in about["losses"]:
        if task == "avss":
            total = class_loss(output.logits, truth, flags)
        else:
            total = binary_loss(output.logits[:: 5 if task == "s4" else 1], truth)
        if case["args"]["sa_loss_flag"]:
            counted = flags if task == "avss" else torch.ones(len(output.logits), dtype=torch.bool)
            matching = how(case["args"])
            total = total + matching.weight * matching_loss(
                kind, matching, output.logits, output.maps, output.sound, counted
            )
        assert float(total) == pytest.approx(case["total"], rel=1e-4), case["args"]


@pytest.mark.slow
@pytest.mark.parametrize("run", ["s4_r50", "ms3_r50", "avss_r50"])
def test_a_step_of_training(run: str) -> None:
    """Losses, gradients and batch statistics of one forward and backward pass; in double precision, since AVSS's
    padding is nearly constant, whose rounding the norms magnify."""
    arrays, about = golden(run)
    wanted, made = about["train_step"], network(run).train().double()
    truth, _ = whole_truth(run)
    task: Any = run.split("_")[0]
    _, audio, _ = inputs(run)
    length, clip = about["T"], torch.zeros(about["T"], 3, 128, 128, dtype=torch.uint8)
    clip[:5] = torch.from_numpy(arrays["frames"][:5, :, :128, :128])
    known = torch.zeros(1, length, dtype=torch.bool)
    known[0, :5] = True
    output = made(clip, audio[:length].double() * known.flatten()[:, None], known)
    cut = truth[:length, :128, :128].clone()
    if task == "avss":
        cut[5:] = 0
        total = class_loss(output.logits, cut, known.flatten())
        counted = known.flatten()
    else:
        total = binary_loss(output.logits[:1] if task == "s4" else output.logits, cut)
        counted = torch.ones(length, dtype=torch.bool)
    if task != "s4":
        matched = matching_loss(task, Matching(released=True), output.logits, output.maps, output.sound, counted)
        total = total + 0.5 * matched
    total.backward()
    assert float(total.detach()) == pytest.approx(wanted["total"], rel=1e-5)
    ours = {released: mine for mine, released in checkpoint.names(made.config)}
    parameters = dict(made.named_parameters())
    for name, norm in wanted["grad_norm"].items():
        if norm is not None and name in ours:
            gradient = parameters[ours[name]].grad
            assert gradient is not None
            assert float(gradient.norm()) == pytest.approx(norm, rel=5e-3), name
    state = made.state_dict()
    for name, values in wanted["running"].items():
        assert state[ours[name]][: len(values)].tolist() == pytest.approx(values, rel=1e-3, abs=1e-4), name


@pytest.mark.parametrize("run", ["s4_r50", "avss_r50", "s4_pvt", "avss_pvt"])
def test_released_names_both_ways(run: str) -> None:
    given = weights(run)
    released = checkpoint.to_released(network(run))
    assert released.keys() == given.keys()
    assert all(released[name].shape == given[name].shape for name in given)
    runs = [name for name in given if not checkpoint._never_runs(name)]
    assert all(torch.equal(released[name], given[name]) for name in runs)
    short = {name: tensor for name, tensor in given.items() if name != "path1.resConfUnit1.conv1.bias"}
    made = build(PRESETS[f"tpavi-{run.replace('_', '-')}"])
    with pytest.raises(WeightsError, match=r"missing: path1\.resConfUnit1\.conv1\.bias"):
        checkpoint.load(made, short)
    with pytest.raises(WeightsError, match=r"unknown: path9"):
        checkpoint.load(made, {**given, "path9": torch.zeros(1)})
    # without what never runs it is a whole checkpoint too
    checkpoint.load(made, {name: given[name] for name in runs})


def test_a_checkpoint_is_recognised() -> None:
    assert recognise(weights("avss_pvt")).config.name == "tpavi-avss-pvt"
    assert recognise(weights("avss_r50")).config.name == "tpavi-avss-r50"
    # S4 and MS3 have the same names
    assert recognise(weights("s4_r50"), likely="tpavi-ms3-r50").config.name == "tpavi-ms3-r50"
    with pytest.raises(WeightsError, match="fit tpavi-s4-r50 and tpavi-ms3-r50 alike"):
        recognise(weights("s4_r50"))
