"""The log as a table and as TensorBoard's event file, read back by the formats' own rules."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from avis_cli.train.log import EventFile, RunLog, _masked_crc, read_log


def test_rows_are_read_back_and_a_resumed_run_drops_what_it_will_write_again(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in (10, 20, 30):
        log.write(step, "training", {"total": step / 7})
    log.close()
    (tmp_path / "log.csv").open("a").write("40,train")  # a killed run's last words
    log = RunLog(tmp_path, after=10)
    log.write(20, "training", {"total": 1.5})
    log.close()
    rows = read_log(tmp_path / "log.csv")
    assert [(row["step"], row["value"]) for row in rows] == [("10", "1.42857"), ("20", "1.5")]


def test_the_checksum_is_crc32c_with_tfrecords_mask() -> None:
    crc = 0xE3069283  # of "123456789", from RFC 3720's polynomial
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert _masked_crc(b"123456789") == struct.pack("<I", expected)


def test_events_are_records_of_scalars(tmp_path: Path) -> None:
    events = EventFile(tmp_path)
    events.write(300, {"training/total": 0.5})
    events.close()
    (path,) = tmp_path.glob("events.out.tfevents.*")
    data = path.read_bytes()
    records = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert data[8:12] == _masked_crc(data[:8])
        records.append(data[12 : 12 + length])
        assert data[12 + length : 16 + length] == _masked_crc(records[-1])
        data = data[16 + length :]
    assert records[0].endswith(b"brain.Event:2")
    # wall_time is 9 bytes, then step 300 as a varint, then summary { value { tag, simple_value } }
    body = records[1][9:]
    tag = b"training/total"
    value = b"\x0a" + bytes([len(tag)]) + tag + b"\x15" + struct.pack("<f", 0.5)
    summary = b"\x0a" + bytes([len(value)]) + value
    assert body == b"\x10\xac\x02" + b"\x2a" + bytes([len(summary)]) + summary


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.csv") == []
    with pytest.raises(FileNotFoundError):
        EventFile(tmp_path / "no such folder")
