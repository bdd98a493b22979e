"""What a safetensors file says it holds, checked against the file's size before anything is loaded.

Format: https://huggingface.co/docs/safetensors: 8 bytes little-endian header length, a JSON header of at most
100 MB (here 4 MB), then the tensors' bytes without holes or overlaps. Needs no torch.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import Any, NoReturn

from avis_cli.errors import WeightsError

# Bytes. The format allows 100 MB, which take gigabytes when parsed; 4 MB describe 25,000 tensors, our largest network
# has 900.
MAX_HEADER = 4_000_000
LENGTH_BYTES = 8
MAX_RANK = 16
MAX_NAME = 500  # characters
BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "F16": 2, "BF16": 2, "I32": 4, "F32": 4, "I64": 8, "F64": 8}
"""Dtypes that networks are filled from, and their sizes. The format has others: 8 bits and fewer, complex, unsigned."""
# All of our metadata sits under one key as JSON with sorted keys: the library writes several keys in an order that
# changes from run to run, and with it the file's checksum.
METADATA_KEY = "avis"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Header:
    """``shapes``: name -> shape of each tensor. ``metadata``: ours if the file has it, else the file's own."""

    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of a safetensors file whose every offset fits the file; raises WeightsError otherwise."""
    try:
        return _parse(*_read(path))
    except _UnusableError as fault:
        raise WeightsError(
            str(fault), hint="convert it to float16 or float32 where it was made, or take other weights", file=path
        ) from None
    except _MalformedError as fault:
        raise WeightsError(
            f"not a whole safetensors file: {fault}", hint="get the file again, it is truncated or damaged", file=path
        ) from None
    except OSError as error:
        raise WeightsError(
            f"cannot be read ({error.strerror or error})", hint="give a weights file that exists", file=path
        ) from error


def pack_metadata(metadata: dict[str, str]) -> dict[str, str]:
    """Metadata in the form it has inside a file."""
    values = {**metadata, "format_version": str(FORMAT_VERSION)}
    return {METADATA_KEY: json.dumps(values, sort_keys=True, ensure_ascii=True)}


class _MalformedError(Exception):
    """Why a header cannot be trusted."""


class _UnusableError(Exception):
    """What no network here can be filled from, in a file that may well be whole."""


def _read(path: str | os.PathLike[str]) -> tuple[bytes, int]:
    """The header's bytes and the number of bytes after it."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size < LENGTH_BYTES + 2:
            raise _MalformedError(f"{size} bytes are too few for a header")
        if length > MAX_HEADER:
            raise _MalformedError(f"its header claims {length} bytes, at most {MAX_HEADER} are read")
        data_bytes = size - LENGTH_BYTES - length
        if data_bytes < 0:
            raise _MalformedError(f"its header claims {length} bytes in a file of {size}")
        return file.read(length), data_bytes


def _parse(header: bytes, data_bytes: int) -> Header:
    try:
        entries = json.loads(
            header.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise _MalformedError(f"its header is not JSON ({type(error).__name__})") from None
    if not isinstance(entries, dict):
        raise _MalformedError("its header is not a JSON object")
    metadata = _metadata(entries.pop("__metadata__", {}))
    shapes: dict[str, tuple[int, ...]] = {}
    spans: list[tuple[int, int, str]] = []
    for name, entry in entries.items():
        shapes[name], span = _entry(name, entry)
        spans.append((*span, name))
    end = 0
    for first, last, name in sorted(spans):
        if first != end:
            raise _MalformedError(f"tensor {name[:80]!r} starts at byte {first}, expected {end}")
        end = last
    if end != data_bytes:
        raise _MalformedError(f"its tensors take {end} bytes, the file has {data_bytes}")
    return Header(shapes, metadata)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise _MalformedError("a name occurs twice in its header")
    return values


def _entry(name: str, entry: Any) -> tuple[tuple[int, ...], tuple[int, int]]:
    """Shape and byte span of one tensor, consistent with each other."""
    shown = repr(name[:80])
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise _MalformedError(f"tensor {shown} lacks dtype, shape or data_offsets")
    if len(name) > MAX_NAME:
        raise _MalformedError(f"tensor {shown}... has a name of {len(name)} characters")
    shape, offsets = entry["shape"], entry["data_offsets"]
    if not _whole_numbers(shape) or len(shape) > MAX_RANK:
        raise _MalformedError(f"tensor {shown} has no usable shape")
    if not _whole_numbers(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _MalformedError(f"tensor {shown} has no usable offsets")
    if not isinstance(entry["dtype"], str):
        raise _MalformedError(f"tensor {shown} has no usable dtype")
    if entry["dtype"] not in BYTES:
        raise _UnusableError(f"tensor {shown} is of dtype {entry['dtype'][:20]!r}, expected one of {', '.join(BYTES)}")
    expected = math.prod(shape) * BYTES[entry["dtype"]]
    if offsets[1] - offsets[0] != expected:
        raise _MalformedError(f"tensor {shown} spans {offsets[1] - offsets[0]} bytes, its shape needs {expected}")
    return tuple(shape), (offsets[0], offsets[1])


def _whole_numbers(values: Any) -> bool:
    # 2^47 bytes are more than a process can address
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**47 for value in values)


def _metadata(values: Any) -> dict[str, str]:
    if not _texts(values):
        raise _MalformedError("its metadata is not a map of texts")
    if METADATA_KEY not in values:
        return dict(values)
    try:
        own = json.loads(values[METADATA_KEY], object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise _MalformedError("its metadata is not JSON") from None
    if not _texts(own):
        raise _MalformedError("its metadata is not a map of texts")
    return dict(own)


def _texts(values: Any) -> bool:
    return isinstance(values, dict) and all(isinstance(value, str) for value in values.values())


def _refuse_constant(literal: str) -> NoReturn:
    raise _MalformedError(f"it holds {literal}, which is not JSON")
