"""Weights files that were made to harm: each is small, and has to end in one line before it takes much of anything."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from avis_cli.hub.safetensors_header import pack_metadata
from avis_cli.models import Preset, find_preset
from avis_cli.models.avism.config import PRESETS, AvismConfig, SmallResNetSizes
from avis_cli.models.description import describe

SMALL: AvismConfig = replace(
    PRESETS["avism-tiny"], backbone=SmallResNetSizes(widths=(8, 8, 8, 8, 8), depths=(1, 1, 1, 1, 1), norm_groups=4),
    width=16, heads=2, norm_groups=4, lateral_widths=(8, 8), mask_width=8, feed_forward=16, frame_queries=4,
    video_queries=4, frame_layers=1, tracker_self_layers=1, tracker_audio_layers=1, tracker_layers=1,
)  # fmt: skip
"""A network of a few thousand numbers."""

HUGE = 10**9
Write = Callable[[Path], None]
_tensors: dict[str, torch.Tensor] = {}


def sound_tensors() -> dict[str, torch.Tensor]:
    """What fills ``SMALL``."""
    if not _tensors:
        torch.manual_seed(0)
        preset = find_preset("avism-tiny")
        _tensors.update(preset.system.build(SMALL).state_dict())
    return dict(_tensors)


def sound_metadata() -> dict[str, str]:
    preset = find_preset("avism-tiny")
    return describe(Preset(preset.system, SMALL), "a test")


def write_safetensors(path: Path, metadata: dict[str, str], tensors: dict[str, torch.Tensor] | None = None) -> None:
    given = sound_tensors() if tensors is None else tensors
    safetensors.torch.save_file(given, path, metadata=pack_metadata(metadata))


def write_raw(path: Path, header: bytes, data: bytes = b"", length: int | None = None) -> None:
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)


def hostile_files() -> Iterator[tuple[str, str, Write]]:
    """Name, extension and writer of each file."""
    for name, write in (*_descriptions(), *_metadata(), *_headers(), *_tensors_that_do_not_fit()):
        yield name, ".safetensors", write
    for name, write in _pickles():
        yield name, ".pth", write


def _writing(write: Callable[..., object], *content: Any, **more: Any) -> Write:
    """``write`` with what comes after the path."""

    def to(path: Path) -> None:
        write(path, *content, **more)

    return to


def _descriptions() -> Iterator[tuple[str, Write]]:
    """Configurations with one field changed, and texts that are none."""
    for number, (name, value) in enumerate(_changes()):
        yield f"config-{number}-{name}", _writing(_write_changed, name, value)
    text = sound_metadata()["config"]
    for name, config in {
        "empty": "", "null": "null", "number": "7", "list": "[]", "text": '"x"', "open": "{", "deep": "[" * 100_000,
        "nan": text.replace('"fps": 1', '"fps": NaN'), "infinite": text.replace('"fps": 1', '"fps": Infinity'),
        "digits": text.replace('"fps": 1', '"fps": ' + "9" * 5000), "many": text.replace('"fps": 1', '"fps": 1e999'),
        "twice": text.replace('"fps": 1', '"fps": 1, "fps": 1'), "unknown": text.replace('"fps"', '"' + "f" * 90_000),
        "newline": text.replace('"fps": 1', '"f\\nps": 1'), "half": text.replace('"bell"', '"\\ud800"'),
    }.items():  # fmt: skip
        yield f"config-text-{name}", _writing(_write_config, config)


def _changes() -> Iterator[tuple[str, Any]]:
    whole = {
        "fps", "short_side", "long_side", "size_divisor", "audio_width", "width", "heads", "frame_queries",
        "video_queries", "window", "norm_groups", "encoder_layers", "encoder_feed_forward", "encoder_points",
        "mask_width", "mask_stride", "feed_forward", "frame_layers", "tracker_self_layers", "tracker_audio_layers",
        "tracker_layers",
    }  # fmt: skip
    for name in sorted(whole):
        yield name, HUGE
        yield name, -1
        yield name, True
    others: tuple[Any, ...] = (1.5, "6", None, [6], {}, 10**300)
    for name in ("encoder_layers", "width"):
        for value in others:
            yield name, value
    for name in ("fps", "width", "heads", "window", "frame_queries", "norm_groups", "frame_layers", "size_divisor"):
        yield name, 0
    yield from {
        "gate": 1, "gate_threshold": 2.0, "masks_every_frame": "yes", "audio": "telepathy",
        "audio_in_every_layer": 0, "categories": [], "name": 3, "lateral_widths": [8] * 100_000,
        "pixel_mean": [1.0, 2.0], "pixel_std": [0.0, 1.0, 1.0], "backbone": {"kind": "small-resnet", "depths": 7},
    }.items()  # fmt: skip
    yield "audio", ["own"]
    yield "name", "x" * 100_000
    yield "categories", ["bell"] * 2
    yield "categories", ["b" * 100_000]
    yield "categories", [f"c{i}" for i in range(20_000)]
    yield "pixel_std", [1e308, 1.0, None]
    yield "lateral_widths", [8]
    yield "lateral_widths", [HUGE, 8]
    backbones: tuple[dict[str, Any], ...] = (
        {"kind": "resnet", "depths": [HUGE, 4, 6, 3]}, {"kind": "resnet", "depths": [64, 64, 64, 64]},
        {"kind": "resnet", "depths": [1]}, {"kind": "swin", "window": 10_000}, {"kind": "swin", "width": HUGE},
        {"kind": "swin", "heads": [7, 7, 7, 7]}, {"kind": "swin", "depths": [64] * 4, "width": 1024}, {"kind": []},
        {"kind": "small-resnet", "norm_groups": 0}, {"kind": "small-resnet", "widths": [4096] * 5},
        {"kind": "small-resnet", "surplus": 1}, {},
    )  # fmt: skip
    for backbone in backbones:
        yield "backbone", backbone
    # each in its range, and far too much together
    yield "feed_forward", 32_768
    yield "frame_layers", 64
    yield "video_queries", 5000


def _changed(name: str, value: Any) -> str:
    values = {**SMALL.to_dict(), name: value}
    if value in (32_768, 64):
        values |= {"width": 8192, "heads": 8, "frame_layers": 64, "feed_forward": 32_768}
    return json.dumps(values)


def _write_config(path: Path, text: str) -> None:
    _write_metadata(path, {"config": text})


def _write_changed(path: Path, name: str, value: Any) -> None:
    _write_config(path, _changed(name, value))


def _write_metadata(path: Path, change: dict[str, str]) -> None:
    write_safetensors(path, {**sound_metadata(), **change})


def _write_pickle(path: Path, content: Any, **more: Any) -> None:
    torch.save(content, path, **more)


def _metadata() -> Iterator[tuple[str, Write]]:
    for name, change in {
        "family-unknown": {"family": "none\x1b[2J\n"}, "family-long": {"family": "f" * 1_000_000},
        "preset-unknown": {"preset": "p" * 1_000_000}, "preset-other": {"preset": "avism-r50-in"},
    }.items():  # fmt: skip
        yield f"metadata-{name}", _writing(_write_metadata, change)
    newer = json.dumps({"__metadata__": {"avis": json.dumps({"format_version": "9" * 100_000})}}).encode()
    yield "metadata-version", lambda path: write_raw(path, newer)
    released = {"preset": "avism-swinl-in"}
    yield "metadata-a-large-preset", lambda path: write_safetensors(path, released, {"a": torch.ones(1)})
    for name, text in {
        "not-json": "{", "list": "[]", "numbers": '{"preset": 1}', "nan": '{"preset": NaN}', "deep": "[" * 100_000,
        "twice": '{"preset": "a", "preset": "b"}',
    }.items():  # fmt: skip
        header = json.dumps({"__metadata__": {"avis": text}}).encode()
        yield f"metadata-text-{name}", _writing(write_raw, header)


def _f32(first: int, last: int, *shape: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [first, last]}


def _headers() -> Iterator[tuple[str, Write]]:
    """What is no safetensors header, or contradicts itself."""
    entries: dict[str, tuple[dict[str, Any], int]] = {
        "overlap": ({"a": _f32(0, 8, 2), "b": _f32(4, 12, 2)}, 12),
        "same-bytes": ({f"t{i}": _f32(0, 4000, 1000) for i in range(1000)}, 4000),
        "hole": ({"a": _f32(0, 8, 2), "b": _f32(12, 16, 1)}, 16),
        "beyond": ({"a": _f32(0, 4 * 10**12, 10**12)}, 8),
        "backwards": ({"a": _f32(8, 0, 2)}, 8),
        "rest": ({"a": _f32(0, 8, 2)}, 20),
        "negative": ({"a": _f32(0, 8, -2, -1)}, 8),
        "overflow": ({"a": _f32(0, 0, 2**62, 2**62, 0)}, 0),
        "wraps": ({"a": _f32(0, 0, 2**32, 2**32)}, 0),
        "rank": ({"a": _f32(0, 8, *[1] * 1000)}, 8),
        "float": ({"a": _f32(0, 8, 2.0)}, 8),
        "bool": ({"a": _f32(0, 4, True)}, 4),
        "text": ({"a": _f32(0, 8, "2")}, 8),
        "null": ({"a": None}, 0),
        "no-dtype": ({"a": {"shape": [], "data_offsets": [0, 4]}}, 4),
        "dtype-list": ({"a": {"dtype": ["F32"], "shape": [], "data_offsets": [0, 4]}}, 4),
        "three-offsets": ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4, 8]}}, 4),
        "name": ({"n" * 100_000: _f32(0, 4, 1)}, 4),
        "empty": ({}, 0),
    }
    for dtype, size in {
        "F8_E4M3": 1,
        "F8_E5M2": 1,
        "F8_E8M0": 1,
        "F4": 1,
        "C64": 8,
        "U16": 2,
        "F128": 16,
        "": 4,
    }.items():
        entries[f"dtype-{dtype}"] = ({"a": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}, size)
    for name, (content, size) in entries.items():
        header = json.dumps(content).encode()
        yield f"header-{name}", _writing(write_raw, header, bytes(size))
    for name, (header, length) in {
        "claims-2-63": (b"{}", 2**63), "claims-99-mb": (b"{}", 99_000_000), "list": (b"[1]", None), "zero": (b"", 0),
        "deep": (b"[" * 1_000_000, None), "digits": (b'{"a": ' + b"9" * 100_000 + b"}", None),
        "latin": (b"\xff{}", None),
        "nan": (b'{"a": NaN}', None), "twice": (b'{"a": {}, "a": {}}', None), "html": (b"<!doctype html>", None),
        "metadata-number": (b'{"__metadata__": {"x": 1e999}}', None), "metadata-list": (b'{"__metadata__": []}', None),
        "spaces": (b" " * 99_000_000 + b"{}", None),
    }.items():  # fmt: skip
        yield f"header-{name}", _writing(write_raw, header, length=length)
    yield "header-of-99-mb", _write_large_header


def _write_large_header(path: Path) -> None:
    """A header that is valid, of 300,000 empty tensors."""
    entries = ",".join(f'"t{i:06}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0],"surplus":"{"x" * 280}"}}'
                       for i in range(300_000))  # fmt: skip
    write_raw(path, f"{{{entries}}}".encode())


def _tensors_that_do_not_fit() -> Iterator[tuple[str, Write]]:
    name = "tracker.query_feature"
    whole = sound_tensors()
    for case, tensor in {
        "shape": torch.ones(4, 17), "nan": torch.full((4, 16), torch.nan),
        "whole": torch.ones(4, 16, dtype=torch.int64),
        "beyond-float32": torch.full((4, 16), 1e300, dtype=torch.float64), "scalar": torch.tensor(1.0),
    }.items():  # fmt: skip
        changed = {**whole, name: tensor}
        yield f"tensor-{case}", _writing(write_safetensors, sound_metadata(), changed)
    without = {key: tensor for key, tensor in whole.items() if key != name}
    yield "tensor-missing", lambda path: write_safetensors(path, sound_metadata(), without)
    yield "tensor-none", lambda path: write_safetensors(path, sound_metadata(), {})
    strange = {**whole, "x\x1b[2J\n": torch.ones(1), "vggish.conv1.weight": torch.ones(1)}
    yield "tensor-unknown", lambda path: write_safetensors(path, sound_metadata(), strange)


class _Call:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.made = function, arguments

    def __reduce__(self) -> Any:
        return self.made


def _pickles() -> Iterator[tuple[str, Write]]:
    import collections
    import os

    contents: dict[str, Any] = {
        "code": {"a": _Call(os.mkdir, "ran")},
        "buffer": {"a": _Call(bytearray, 10**11)},
        "counter": _Call(collections.Counter, "abc"),
        "list": [1],
        "empty": {},
        "numbers": {"a": 1.0},
        "view": {"a": torch.ones(1).expand(10**12)},
        "meta": {"a": torch.empty(10**12, device="meta")},
        "sparse": {"a": torch.eye(2).to_sparse()},
        "complex": {"a": torch.ones(2, dtype=torch.complex64)},
        "fp8": {"a": torch.ones(2).to(torch.float8_e4m3fn)},
        "nan": {"a": torch.tensor([torch.nan])},
    }
    for name, content in contents.items():
        yield f"pickle-{name}", _writing(_write_pickle, content)
        yield f"pickle-old-{name}", _writing(_write_pickle, content, _use_new_zipfile_serialization=False)
    yield "pickle-tensor-of-any-size", lambda path: _write_archive(path, b"ctorch\nFloatTensor\n", (4 * 10**9,))
    yield "pickle-dictionaries", lambda path: _write_archive(path, b"}" * 3_000_000)
    yield "pickle-storage-too-large", _write_large_storage
    yield "pickle-old-storage-too-large", _write_old_storage
    yield "pickle-old-dictionaries", _writing(Path.write_bytes, b"\x80\x02" + b"}" * 3_000_000)
    yield "pickle-deflated", _write_deflated
    yield "pickle-overlapping", _write_overlapping
    yield "pickle-cut", lambda path: _cut(path)
    for name, data in {
        "nothing": b"",
        "text": b"hello",
        "html": b"<html>",
        "pk": b"PK\x03\x04broken",
        "zeros": bytes(99),
    }.items():
        yield f"pickle-{name}", _writing(Path.write_bytes, data)


def _write_archive(path: Path, function: bytes, arguments: Any = None) -> None:
    """An archive as torch writes it, whose content is {"a": ``function`` called with ``arguments``}."""
    called = b"" if arguments is None else pickle.dumps(arguments, 2)[2:-1] + b"R"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}X\x01\x00\x00\x00a" + function + called + b"s.")
        archive.writestr("archive/version", b"3\n")


def _resaved(path: Path, change: Callable[[str, bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    torch.save({"a": torch.zeros(4)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


def _write_large_storage(path: Path) -> None:
    """A tensor of a billion numbers whose record has four."""
    large = b"J" + struct.pack("<i", HUGE)
    _resaved(path, lambda name, data: data.replace(b"K\x04", large) if name.endswith("data.pkl") else data)


def _write_old_storage(path: Path) -> None:
    torch.save({"a": torch.zeros(4)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes().replace(b"K\x04", b"\x8a\x06" + (10**13).to_bytes(6, "little")))


def _write_deflated(path: Path) -> None:
    """A tensor of zeros that deflates a thousandfold: 60 kB for 64 MB."""
    torch.save({"a": torch.zeros(16_000_000)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _write_overlapping(path: Path) -> None:
    """A thousand members that are one and the same bytes of the file."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/data/0", bytes(1_000_000))
        first = archive.getinfo("archive/data/0")
        for number in range(1, 1000):
            other = zipfile.ZipInfo(f"archive/data/{number}")
            for field in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(other, field, getattr(first, field))
            archive.filelist.append(other)


def _cut(path: Path) -> None:
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
