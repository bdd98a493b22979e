"""``avis doctor``: what it finds on a sound machine and on ones that lack something."""

from __future__ import annotations

import collections
import importlib.metadata
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import avis_cli
from avis_cli import hub
from avis_cli.cli.doctor import PACKAGES
from avis_cli.cli.main import main
from avis_cli.errors import WeightsError

Report = dict[str, dict[str, Any]]
DiskUsage = collections.namedtuple("DiskUsage", "total used free")


@pytest.fixture
def sound(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with weights."""
    found = hub.resolve(tiny_weights)
    monkeypatch.setattr(hub, "resolve", lambda *_, **__: found)


def examine(capsys: pytest.CaptureFixture[str], code: int) -> Report:
    assert main(["doctor", "--json"]) == code
    findings = json.loads(capsys.readouterr().out)
    assert all(set(finding) == {"ok", "what", "detail", "hint"} for finding in findings)
    return {finding["what"]: finding for finding in findings}


def failing_lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["doctor"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("avis: not ready: ")
    assert err.count("\n") == 1
    return [line for line in out.splitlines() if line.startswith("FAIL")]


def test_a_sound_machine(sound: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(line.startswith("ok ") for line in out.splitlines())
    report = examine(capsys, 0)
    assert report["avis"]["detail"].startswith(f"{avis_cli.__version__}, Python 3.")
    assert report["torch"]["detail"] == importlib.metadata.version("torch")
    assert {"device cpu", "codecs", "weights", "disk", *PACKAGES} <= set(report)


def test_missing_weights_of_the_bundled_model(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    def resolve(*_: Any, **__: Any) -> None:
        raise WeightsError("the weights of avism-tiny are not on this machine", hint="install avis-cli again")

    monkeypatch.setattr(hub, "resolve", resolve)
    line = "FAIL  weights        the weights of avism-tiny are not on this machine; install avis-cli again"
    assert failing_lines(capsys) == [line]
    finding = examine(capsys, 1)["weights"]
    assert finding["ok"] is False
    assert finding["hint"] == "install avis-cli again"


def test_a_default_model_that_does_not_exist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    missing = tmp_path / "gone.safetensors"
    monkeypatch.setenv("AVIS_MODEL", str(missing))
    (line,) = failing_lines(capsys)
    assert line.startswith(f"FAIL  weights        {missing}: ")


def test_a_missing_package(sound: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    original = importlib.metadata.version

    def version(name: str) -> str:
        if name == "pycocotools":
            raise importlib.metadata.PackageNotFoundError(name)
        return original(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert failing_lines(capsys) == ["FAIL  pycocotools    not installed; pip install pycocotools"]


def test_opencv_for_machines_without_a_screen_is_opencv_too(
    sound: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = importlib.metadata.version

    def version(name: str) -> str:
        if name == "opencv-python":
            raise importlib.metadata.PackageNotFoundError(name)
        return "5.0" if name == "opencv-python-headless" else original(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert main(["doctor"]) == 0
    assert "ok    opencv-python-headless 5.0\n" in capsys.readouterr().out


def test_missing_encoders(sound: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from avis_cli.media import encode

    monkeypatch.setattr(encode, "missing_encoders", lambda: ["libx264"])
    (line,) = failing_lines(capsys)
    assert line.startswith("FAIL  codecs         no encoder for libx264; install PyAV's own wheel")


def test_a_library_that_does_not_load(
    sound: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from avis_cli.inference import loading

    def broken() -> None:
        raise ImportError("libcudart.so.12: cannot open\nshared object file")

    monkeypatch.setattr(loading, "available_devices", broken)
    (line,) = failing_lines(capsys)
    assert "ImportError: libcudart.so.12: cannot open shared object file; pip install" in line


def test_a_full_disk(sound: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    usage = DiskUsage(1 << 40, (1 << 40) - 1000, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert failing_lines(capsys) == ["FAIL  disk           0.0 GiB free here; free at least 1 GiB"]


def test_it_says_how_many_threads_a_network_has(
    sound: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert "every network uses 1, as you have set; threads wait" in examine(capsys, 0)["threads"]["detail"]
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    monkeypatch.setattr("torch.get_num_threads", lambda: os.cpu_count())
    assert f"small networks use 1, large ones {os.cpu_count()}" in examine(capsys, 0)["threads"]["detail"]


def test_too_low_a_limit_of_memory_is_no_broken_installation(
    sound: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[tuple[str, str]]:
        raise ImportError("libtorch_cpu.so: failed to map segment from shared object")

    monkeypatch.setattr("avis_cli.inference.loading.available_devices", broken)
    monkeypatch.setattr("avis_cli.memory.address_space_limit", lambda: 10**9)
    assert main(["doctor"]) == 1
    line = next(line for line in capsys.readouterr().out.splitlines() if "devices" in line)
    assert line.endswith("raise it (ulimit -v unlimited)")
    assert "pip install" not in line
