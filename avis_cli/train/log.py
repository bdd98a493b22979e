"""What a run writes about itself: a CSV table, and event files that TensorBoard reads."""

from __future__ import annotations

import csv
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIELDS = ("step", "phase", "name", "value")


class RunLog:
    """Numbers by step under ``folder``: ``log.csv`` with one row a number (step, phase, name, value) and ``events.*``.

    ``after``: the step that a run is resumed after; rows of later ones, written by a run that was killed after its last
    checkpoint, are dropped.
    """

    def __init__(self, folder: Path, *, after: int = 0) -> None:
        self._path = folder / "log.csv"
        kept = [row for row in read_log(self._path) if int(row["step"]) <= after] if after else []
        partial = self._path.with_suffix(".part")
        with open(partial, "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, FIELDS)
            table.writeheader()
            table.writerows(kept)
        os.replace(partial, self._path)
        self._file = open(self._path, "a", newline="", encoding="utf-8")  # noqa: SIM115
        self._table = csv.writer(self._file)
        self._events = EventFile(folder)

    def write(self, step: int, phase: str, values: Mapping[str, float]) -> None:
        """One row for each of ``values``."""
        self._table.writerows((step, phase, name, f"{value:.6g}") for name, value in values.items())
        self._file.flush()
        self._events.write(step, {f"{phase}/{name}": value for name, value in values.items()})

    def close(self) -> None:
        """Finish both files."""
        self._file.close()
        self._events.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a ``log.csv``, none if there is no such file."""
    if not path.exists():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        # a killed run may leave half a row
        return [row for row in csv.DictReader(file) if all(row.get(field) for field in FIELDS)]


class EventFile:
    """Scalars in TensorBoard's event format: TFRecords that hold ``tensorflow.Event`` messages."""

    def __init__(self, folder: Path) -> None:
        name = f"events.out.tfevents.{time.time_ns() // 10**9}.{os.getpid()}"
        self._file = open(folder / name, "ab")  # noqa: SIM115
        self._record(_field(3, b"brain.Event:2"), 0)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """One event with a scalar summary for each of ``values``."""
        summary = b"".join(
            _field(1, _field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)) for tag, value in values.items()
        )
        self._record(_field(5, summary), step)

    def _record(self, body: bytes, step: int) -> None:
        # wall_time = 1 (double), step = 2 (varint)
        event = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step) + body
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked_crc(length) + event + _masked_crc(event))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # Castagnoli's polynomial, reflected
        table.append(byte)
    return table


_CRC = _crc_table()


def _masked_crc(data: bytes) -> bytes:
    """TFRecord's checksum: CRC-32C, rotated and offset so that sums of data that hold sums stay good ones."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
