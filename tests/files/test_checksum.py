"""A file's checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path

from avis_cli.files.checksum import sha256_of


def test_a_checksum_is_that_of_the_bytes_and_reports_progress(tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "clip.mp4").write_bytes(data)
    calls: list[tuple[str, int, int | None]] = []
    found = sha256_of(tmp_path / "clip.mp4", lambda *call: calls.append(call))
    assert found == hashlib.sha256(data).hexdigest()
    assert calls[-1] == ("checking", len(data), len(data))
    assert len(calls) > 1
