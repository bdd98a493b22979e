"""A file's checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

from avis_cli.files.checksum import HashedWriter, sha256_of, sha256_of_rest


def test_a_checksum_is_that_of_the_bytes_and_reports_progress(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "clip.mp4").write_bytes(data)
    calls: list[tuple[str, int, int | None]] = []
    found = sha256_of(tmp_path / "clip.mp4", lambda *call: calls.append(call))
    assert found == hashlib.sha256(data).hexdigest()
    assert calls[-1] == ("checking", len(data), len(data))
    assert len(calls) > 1


def test_the_rest_of_a_file_and_what_is_written(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w+b") as file:
        file.write(b"head")
        writer = HashedWriter(file)
        writer.write(b"bo")
        writer.write(b"dy")
        assert writer.sha256 == hashlib.sha256(b"body").hexdigest()
        file.seek(4)
        assert sha256_of_rest(file) == writer.sha256
