"""Checkpoints: whole or not at all, and nothing else is taken for one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from avis_cli.errors import OutputError, WeightsError
from avis_cli.train.run_state import CHECKPOINT, read_checkpoint, write_checkpoint


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, {"step": 3, "weights": {"a": torch.arange(4.0)}})
    write_checkpoint(path, {"step": 4, "weights": {"a": torch.arange(4.0)}})
    state = read_checkpoint(path)
    assert state["step"] == 4
    torch.testing.assert_close(state["weights"]["a"], torch.arange(4.0))
    assert [p.name for p in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, {"step": 1})

    def full(state: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="cannot be written: No space left") as raised:
        write_checkpoint(path, {"step": 2})
    assert raised.value.file == str(path)
    assert read_checkpoint(path)["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", b"x" * 5000, None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / CHECKPOINT
    if content is None:
        torch.save({"model": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a checkpoint of this version"):
        read_checkpoint(path)


def test_a_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="without --resume"):
        read_checkpoint(tmp_path / "none.pt")


def test_a_checkpoint_with_one_byte_flipped_anywhere_or_cut_short_is_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    write_checkpoint(path, {"step": 1, "weights": torch.randn(500)})
    whole = path.read_bytes()
    for place in (30, 88, 89, 200, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(WeightsError, match="damaged"):
            read_checkpoint(path)
    for length in (50, 89, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="damaged"):
            read_checkpoint(path)


@pytest.mark.skipif(sys.platform == "win32", reason="files cannot be limited there")
def test_a_disk_that_fills_up_is_told_and_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "checkpoint.pt"
    write_checkpoint(path, {"step": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written: File too large") as caught:
            write_checkpoint(path, {"step": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.file == str(path)
    assert read_checkpoint(path) == {"step": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["checkpoint.pt"]
