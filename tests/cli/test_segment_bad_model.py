"""Weights that ``avis segment`` must not trust or cannot use: one line, no result, and no code of theirs is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from media_factory import make_clip

from avis_cli.cli.main import main


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, size=(64, 48), fps=5, seconds=1, audio="tone")
    return path


class _Trap:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.path),)


def trap_plain(path: Path, sprung: Path) -> None:
    path.write_bytes(pickle.dumps({"model": _Trap(sprung)}, protocol=2))


def trap_torch(path: Path, sprung: Path) -> None:
    import torch

    torch.save({"model": _Trap(sprung)}, path)


def trap_in_zip(path: Path, sprung: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(_Trap(sprung), protocol=2))
        archive.writestr("archive/version", "3\n")


@pytest.mark.parametrize("make", [trap_plain, trap_torch, trap_in_zip])
@pytest.mark.parametrize("suffix", [".pth", ".pkl", ".safetensors"])
def test_a_pickle_given_as_a_model_is_never_executed(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], make: Any, suffix: str
) -> None:
    weights, sprung = tmp_path / f"evil{suffix}", tmp_path / "sprung"
    make(weights, sprung)
    refused_model(capfd, clip, weights)
    assert sorted(os.listdir(tmp_path)) == [weights.name]


def refused_model(capfd: pytest.CaptureFixture[str], clip: Path, weights: Path, *arguments: str) -> str:
    out = weights.parent / "out"
    assert main(["segment", str(clip), "-o", str(out), "--model", str(weights), *arguments]) == 1
    printed, err = capfd.readouterr()
    assert printed == ""
    assert err.count("\n") == 1, err
    assert err.startswith(f"avis: {weights}: ")
    assert not out.exists()
    return err


def test_weights_of_another_model_say_which_tensors_do_not_fit(
    tmp_path: Path, clip: Path, tiny_weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    from avis_cli.hub import weights_file

    tensors, metadata = weights_file.read(tiny_weights)
    wrong = dict(tensors)
    name = next(key for key, tensor in wrong.items() if tensor.ndim > 1)
    wrong[name] = torch.zeros(3, 3)
    weights_file.write(tmp_path / "shape.safetensors", wrong, dict(metadata))
    assert name in refused_model(capfd, clip, tmp_path / "shape.safetensors")
    wrong = {**tensors, "extra.weight": torch.zeros(1)}
    del wrong[name]
    weights_file.write(tmp_path / "keys.safetensors", wrong, dict(metadata))
    line = refused_model(capfd, clip, tmp_path / "keys.safetensors")
    assert name in line
    assert "extra.weight" in line
    torch.save({"state_dict": {"conv1.weight": torch.zeros(64, 3, 7, 7)}}, tmp_path / "resnet.pth")
    refused_model(capfd, clip, tmp_path / "resnet.pth")


def test_damaged_weights(tmp_path: Path, clip: Path, tiny_weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = tiny_weights.read_bytes()
    path = tmp_path / "model.safetensors"
    for content in (b"", data[:6], data[:2000], data[:-5], (1 << 40).to_bytes(8, "little") + data[8:]):
        path.write_bytes(content)
        refused_model(capfd, clip, path)
    path.unlink()
    refused_model(capfd, clip, path)


def test_a_token_is_never_shown(
    tmp_path: Path, clip: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_verysecretverysecret")
    model = "hf://somebody/something/model.safetensors"
    arguments = ["segment", str(clip), "-o", str(tmp_path / "out"), "--model", model, "--offline", "--debug"]
    assert main(arguments) == 1
    printed, err = capfd.readouterr()
    assert "Traceback" in err
    assert "somebody/something" in err.splitlines()[-1]
    assert "verysecret" not in printed + err
