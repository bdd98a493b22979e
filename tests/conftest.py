"""What every test shares: no user settings from outside, and a tiny network with weights of its own."""

from __future__ import annotations

import os

import paths

# two test processes with one thread each: threads that outnumber the cores wait for each other most of the time
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import Any

import pytest

DATA = paths.DATA


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in list(os.environ):
        if name.startswith(("AVIS_", "HF_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AVIS_OFFLINE", "1")  # tests of downloads unset it, and have servers on the loopback
    monkeypatch.setenv("AVIS_HOME", str(tmp_path_factory.mktemp("avis_home")))


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of avism-tiny with random weights, its classes told apart boldly so that tracks come out."""
    import torch

    from avis_cli.hub import weights_file
    from avis_cli.models.avism.config import PRESETS
    from avis_cli.models.avism.system import build

    torch.manual_seed(7)
    network = build(PRESETS["avism-tiny"])
    with torch.no_grad():
        network.tracker.class_head.weight.mul_(40)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights_file.write(path, network.state_dict(), {"preset": "avism-tiny", "source": "random weights"})
    return path


@pytest.fixture(scope="session")
def tiny_model(tiny_weights: Path) -> Any:
    """The network of ``tiny_weights``, ready on the CPU."""
    from avis_cli.inference.loading import load_model

    return load_model(tiny_weights)
