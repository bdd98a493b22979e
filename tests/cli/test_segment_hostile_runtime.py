"""Machines that are not what a network wishes for: GPUs that cannot be used, too little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from media_factory import make_clip

import avis_cli
from avis_cli.cli.main import main
from avis_cli.errors import UsageError
from avis_cli.inference import devices
from avis_cli.inference.devices import available_devices, choose_device

OLD_DRIVER = (
    "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver by downloading "
    "and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx\nAlternatively, ..."
)
TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040)"
NOT_BUILT = "GeForce GTX 980 has compute capability 5.2, this PyTorch is built for sm_75, sm_80, sm_90"


def machine(
    monkeypatch: pytest.MonkeyPatch,
    *,
    driver: str | None = None,
    capability: tuple[int, int] = (9, 0),
    built_for: tuple[str, ...] = ("sm_75", "sm_80", "sm_90"),
    count: int = 1,
) -> None:
    """PyTorch as it is on a machine with ``count`` GPUs; ``driver``: what it says when the driver will not do."""

    def init() -> None:
        if driver is not None:
            raise RuntimeError(driver)

    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: driver is None and count > 0)
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _=None: "GeForce GTX 980")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(built_for))
    monkeypatch.setattr(torch.version, "hip", None)


UNUSABLE: list[tuple[dict[str, Any], str]] = [({"driver": OLD_DRIVER}, TOO_OLD), ({"capability": (5, 2)}, NOT_BUILT)]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    make_clip(tmp_path / "clip.mp4", size=(64, 48), fps=5, seconds=1, audio="tone")
    return tmp_path / "clip.mp4"


@pytest.mark.parametrize(("how", "reason"), UNUSABLE)
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "cpu,cuda"])
def test_a_gpu_that_cannot_be_used_is_refused_before_any_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    how: dict[str, Any],
    reason: str,
    device: str,
) -> None:
    machine(monkeypatch, **how)
    assert main(["segment", str(tmp_path / "never_read.mp4"), "--device", device]) == 2
    asked = device.removeprefix("cpu,")
    line = f"avis: asked for {asked}, but that GPU cannot be used: {reason}; use --device cpu\n"
    assert capfd.readouterr() == ("", line)


@pytest.mark.parametrize(("how", "reason"), UNUSABLE)
def test_auto_leaves_such_a_gpu_out_and_says_so(
    clip: Path,
    tiny_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    how: dict[str, Any],
    reason: str,
) -> None:
    machine(monkeypatch, **how)
    out = clip.parent / "out"
    assert main(["segment", str(clip), "-o", str(out), "--model", str(tiny_weights), "--only", "tracks"]) == 0
    warning = f"avis: warning: the GPU cannot be used, the CPU is: {reason}\n"
    printed, err = capfd.readouterr()
    assert printed == f"{out / 'clip.mp4'}\n"
    assert err.startswith(warning)
    assert err.count("\n") == 2, "and what was found"
    with pytest.warns(RuntimeWarning, match="the GPU cannot be used, the CPU is: "):
        model = avis_cli.load_model(tiny_weights, device="auto")
    assert model.device.type == "cpu"


@pytest.mark.parametrize(("how", "reason"), UNUSABLE)
def test_the_list_of_devices_says_it_too(monkeypatch: pytest.MonkeyPatch, how: dict[str, Any], reason: str) -> None:
    machine(monkeypatch, **how)
    assert ("cuda:0", f"cannot be used: {reason}") in available_devices()


def test_numbers_of_gpus_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, count=2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match=r"asked for cuda:2, but this machine has 2 CUDA GPUs; .*--device cpu"):
        choose_device("cuda:2")
    machine(monkeypatch, count=0)
    with pytest.raises(UsageError, match="this machine offers none; use --device cpu"):
        choose_device("cuda:2")
    assert choose_device("auto", pytest.fail) == torch.device("cpu" if not torch.backends.mps.is_available() else "mps")


@pytest.mark.parametrize(
    ("capability", "built_for", "runs"),
    [
        ((8, 6), ("sm_80",), True),  # machine code serves later minor versions
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_80",), False),
        ((12, 0), ("sm_90", "compute_90"), True),  # translated for what is newer
        ((8, 9), ("sm_90", "compute_90"), False),
        ((10, 3), ("sm_100",), True),
        ((9, 0), ("sm_90a",), True),
        ((10, 3), ("sm_100a",), False),
        ((10, 3), ("sm_100f",), True),
        ((7, 5), (), True),  # nothing is known
        ((7, 5), ("gfx90a",), True),
    ],
)
def test_which_gpus_a_pytorch_is_built_for(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], built_for: tuple[str, ...], runs: bool
) -> None:
    machine(monkeypatch, capability=capability, built_for=built_for)
    assert (devices.refusal(0) is None) == runs
    assert choose_device("auto", lambda _: None).type == ("cuda" if runs else "cpu")


LIMITED = """
import os, resource, sys
from avis_cli.cli.main import main
clip, out, weights, *rooms = sys.argv[1:]
def segment(name):
    options = ["--model", weights, "--threshold", "0.05", "--mask-fps", "1", "--device", "cpu"]
    return main(["segment", clip, "-o", os.path.join(out, name), *options])
assert segment("free") == 0
hard = resource.getrlimit(resource.RLIMIT_AS)[1]
for room in rooms:
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(room), hard))
    code = segment(room)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    print("code", code, flush=True)
    print("end", file=sys.stderr, flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_without_memory_a_run_is_whole_or_a_line(tmp_path: Path, tiny_weights: Path) -> None:
    path, out = tmp_path / "clip.mp4", tmp_path / "out"
    make_clip(path, size=(640, 480), fps=2, seconds=1, audio="tone")
    rooms = [str(size << 20) for size in (1024, 8, 1)]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(out), str(tiny_weights), *rooms],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    codes = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("code ")]
    said = done.stderr.split("end\n")
    assert len(codes) == len(rooms)
    assert codes[0] == 0
    assert set(codes) == {0, 1}, "the smallest limit was expected to be too small"
    whole = {entry.name for entry in (out / "free" / "clip.mp4").iterdir()}
    for room, code, text in zip(rooms, codes, said, strict=False):
        if code == 0:
            assert {entry.name for entry in (out / room / "clip.mp4").iterdir()} == whole
        else:
            assert not (out / room).exists()
            (line,) = (line for line in text.splitlines() if not line.startswith("avis: warning: "))
            assert line.startswith("avis: ")
            assert "memory" in line.lower()
