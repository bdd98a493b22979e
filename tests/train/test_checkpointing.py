"""Checkpoints: whole or not at all, and nothing else is taken for one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from avis_cli.errors import OutputError, WeightsError
from avis_cli.train import checkpointing


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / checkpointing.NAME
    checkpointing.save(path, {"step": 3, "weights": {"a": torch.arange(4.0)}})
    checkpointing.save(path, {"step": 4, "weights": {"a": torch.arange(4.0)}})
    state = checkpointing.load(path)
    assert state["step"] == 4
    torch.testing.assert_close(state["weights"]["a"], torch.arange(4.0))
    assert [p.name for p in tmp_path.iterdir()] == [checkpointing.NAME]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / checkpointing.NAME
    checkpointing.save(path, {"step": 1})

    def full(state: object, file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        checkpointing.save(path, {"step": 2})
    assert checkpointing.load(path)["step"] == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all", None])
def test_other_files_are_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / checkpointing.NAME
    if content is None:
        torch.save({"model": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a checkpoint"):
        checkpointing.load(path)


def test_a_missing_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="without --resume"):
        checkpointing.load(tmp_path / "none.pt")
