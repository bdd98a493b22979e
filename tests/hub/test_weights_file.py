"""Weights files: what is written comes back; what is damaged or dangerous is refused in one line."""

from __future__ import annotations

import json
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avis_cli.errors import AvisError, OutputError, WeightsError
from avis_cli.hub import weights_file
from avis_cli.hub.safetensors_header import MAX_HEADER, read_header

TENSORS = {"b": torch.arange(6.0).reshape(2, 3), "a.weight": torch.ones(4), "count": torch.tensor(7)}
METADATA = {"preset": "avism-tiny", "source": "a test"}


def raw(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def with_entries(path: Path, entries: dict[str, Any], data: bytes = b"") -> Path:
    return raw(path, json.dumps(entries).encode(), data)


def f32(first: int, last: int, *shape: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [first, last]}


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    weights_file.write(path, TENSORS, METADATA)
    tensors, metadata = weights_file.read(path)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        name: tensor.tolist() for name, tensor in TENSORS.items()
    }
    assert metadata == {**METADATA, "format_version": "1"}
    assert read_header(path).shapes == {"b": (2, 3), "a.weight": (4,), "count": ()}
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.safetensors"]


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    weights_file.write(tmp_path / "1.safetensors", TENSORS, METADATA)
    weights_file.write(tmp_path / "2.safetensors", dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert (tmp_path / "1.safetensors").read_bytes() == (tmp_path / "2.safetensors").read_bytes()


def test_shared_and_strided_tensors_are_written_whole(tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    weights_file.write(tmp_path / "w.safetensors", {"base": base, "same": base, "turned": base.T, "row": base[1]}, {})
    tensors, _ = weights_file.read(tmp_path / "w.safetensors")
    assert torch.equal(tensors["same"], base)
    assert torch.equal(tensors["turned"], base.T)
    assert torch.equal(tensors["row"], base[1])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights.safetensors"
    weights_file.write(path, TENSORS, METADATA)
    before = path.read_bytes()

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(weights_file.safetensors.torch, "save_file", full)
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        weights_file.write(path, {"x": torch.ones(1)}, {})
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written: Not a directory; choose a folder that can be written"):
        weights_file.write(tmp_path / "file" / "w.safetensors", TENSORS, METADATA)


def test_a_newer_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from avis_cli.hub import safetensors_header

    monkeypatch.setattr(safetensors_header, "FORMAT_VERSION", 2)
    weights_file.write(tmp_path / "w.safetensors", TENSORS, METADATA)
    with pytest.raises(WeightsError, match="format version '2', this avis reads 1; update avis-cli"):
        weights_file.read(tmp_path / "w.safetensors")


def test_files_of_other_programs_are_read_too(tmp_path: Path) -> None:
    import safetensors.torch

    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "w.safetensors", metadata={"format": "pt"})
    tensors, metadata = weights_file.read(tmp_path / "w.safetensors")
    assert tensors["a"].tolist() == [1.0, 1.0]
    assert metadata == {"format": "pt"}


@pytest.mark.parametrize(
    ("entries", "data", "message"),
    [
        ({"a": f32(0, 8, 2), "b": f32(4, 12, 2)}, bytes(12), "starts at byte 4, expected 8"),
        ({"a": f32(0, 8, 2), "b": f32(12, 16, 1)}, bytes(16), "starts at byte 12, expected 8"),
        ({"a": f32(0, 8, 2)}, bytes(20), "take 8 bytes, the file has 20"),
        ({"a": f32(0, 80, 20)}, bytes(8), "take 80 bytes, the file has 8"),
        ({"a": f32(0, 8, 3)}, bytes(8), "spans 8 bytes, its shape needs 12"),
        ({"a": f32(8, 0, 2)}, bytes(8), "no usable offsets"),
        ({"a": f32(0, 8, -2)}, bytes(8), "no usable shape"),
        ({"a": f32(0, 8, *[1] * 40)}, bytes(8), "no usable shape"),
        (
            {"a": {"dtype": "F33", "shape": [], "data_offsets": [0, 4]}},
            bytes(4),
            "is of dtype 'F33', expected one of BOOL, ",
        ),
        ({"a": {"dtype": ["F32"], "shape": [], "data_offsets": [0, 4]}}, bytes(4), "no usable dtype"),
        ({"a": 3}, b"", "lacks dtype"),
        ({"__metadata__": {"x": 1}}, b"", "metadata is not a map of texts"),
        ({"__metadata__": {"avis": "{"}}, b"", "metadata is not JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inconsistent_headers_are_refused(tmp_path: Path, entries: dict[str, Any], data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        weights_file.read(with_entries(tmp_path / "w.safetensors", entries, data))


@pytest.mark.parametrize(
    ("header", "length", "message"),
    [
        (b"{}", MAX_HEADER + 1, "claims 4000001 bytes, at most 4000000 are read"),
        (b"{}", 2**63, "at most 4000000 are read"),
        (b"{}", 5000, "claims 5000 bytes in a file of 10"),
        (b"", 0, "8 bytes are too few"),
        (b"[1]", None, "not a JSON object"),
        (b"[" * 5000, None, "not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", None, "not JSON"),
        (b"<!doctype html>", None, "not JSON"),
        (b"\xff\xfe{}", None, "not JSON"),
        (b'{"a": {"dtype": "F32", "dtype": "F16"}}', None, "occurs twice"),
    ],
)
def test_damaged_headers_are_refused(tmp_path: Path, header: bytes, length: int | None, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        weights_file.read(raw(tmp_path / "w.safetensors", header, length=length))


def test_truncated_files_are_refused_at_every_length(tmp_path: Path) -> None:
    whole = tmp_path / "w.safetensors"
    weights_file.write(whole, TENSORS, METADATA)
    content = whole.read_bytes()
    for length in (*range(0, len(content), 7), len(content) - 1):
        whole.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="not a whole safetensors file"):
            weights_file.read(whole)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused_but_never_crashes(tmp_path: Path, position: int, byte: int) -> None:
    path = tmp_path / "w.safetensors"
    weights_file.write(path, TENSORS, METADATA)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = byte
    path.write_bytes(content)
    outcome = ""
    try:
        weights_file.read(path)
    except AvisError as error:
        outcome = str(error)
    assert not outcome or str(path) in outcome


@pytest.mark.parametrize("wrap", [lambda state: {"model": state, "iteration": 3}, lambda state: {"state_dict": state},
                                  OrderedDict])  # fmt: skip
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_training_programs_are_read(tmp_path: Path, wrap: Any, zipped: bool) -> None:
    path = tmp_path / "model_final.pth"
    torch.save(wrap(dict(TENSORS)), path, _use_new_zipfile_serialization=zipped)
    tensors, metadata = weights_file.read(path)
    assert {name: tensor.tolist() for name, tensor in tensors.items()} == {
        name: tensor.tolist() for name, tensor in TENSORS.items()
    }
    assert metadata == {}


class Harmful:
    """Creates a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pkl"])
@pytest.mark.parametrize("saved_by", ["torch", "torch-legacy", "pickle"])
def test_code_in_a_pickle_is_refused_and_never_runs(tmp_path: Path, suffix: str, saved_by: str) -> None:
    path, target = tmp_path / f"evil{suffix}", tmp_path / "ran"
    content = {"model": {"a": torch.ones(1)}, "extra": Harmful(target)}
    if saved_by == "pickle":
        path.write_bytes(pickle.dumps({"extra": Harmful(target)}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=saved_by == "torch")
    with pytest.raises(WeightsError, match=r"holds more than tensors \((posix|nt)\.mkdir\): refused"):
        weights_file.read(path)
    assert not target.exists()


def test_a_view_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(1).expand(10**13)}, path)
    with pytest.raises(WeightsError, match="'a' is not a plain dense one"):
        weights_file.read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds list where tensors by name were expected"),
        ({}, "holds dict where tensors"),
        ({"a": torch.ones(1), "lr": 0.1}, "holds float under 'lr'"),
        ({"a": torch.ones(2).to("meta")}, "not a plain dense one"),
    ],
)
def test_pickles_of_something_else_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=message):
        weights_file.read(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"", b"hello", b"<html></html>", b"PK\x03\x04broken", bytes(100)])
def test_files_that_are_no_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(WeightsError, match="PyTorch weights file"):
        weights_file.read(tmp_path / "w.pth")


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(WeightsError, match="not a whole PyTorch weights file"):
        weights_file.read(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_parameters_that_are_not_finite_are_named(tmp_path: Path, suffix: str, bad: float) -> None:
    path = tmp_path / f"w{suffix}"
    tensors = {"fine": torch.ones(2), "broken": torch.tensor([0.0, bad])}
    if suffix == ".pth":
        torch.save(tensors, path)
    else:
        weights_file.write(path, tensors, METADATA)
    with pytest.raises(WeightsError, match="non-finite parameters: broken"):
        weights_file.read(path)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=name):
        weights_file.read(tmp_path / name)


def test_other_extensions_are_refused(tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"\.onnx file extension, expected one of \.safetensors"):
        weights_file.read(tmp_path / "w.onnx")
