"""A split packed into a few files, and read from these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from train_examples import small_dataset

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.train.clips import FolderSource
from avis_cli.train.pack import fingerprint, packed


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("data"), videos=4, frames=4)


def test_a_pack_reads_like_the_folder_and_is_made_anew_when_the_data_changes(data: Path, tmp_path: Path) -> None:
    source = FolderSource(read_training_split(data, "train"))
    mark = fingerprint([data / "train.json"], "")
    calls: list[int] = []

    def made() -> FolderSource:
        calls.append(1)
        return source

    pack = packed(made, tmp_path / "pack", mark)
    for number in range(len(source)):
        a, b = source.read(number, [0, 2, 3]), pack.read(number, [0, 2, 3])
        for name in ("frames", "categories", "masks", "sounding", "tags"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
        np.testing.assert_allclose(a.patches, b.patches, atol=4e-3)
    packed(made, tmp_path / "pack", mark)
    assert len(calls) == 1
    packed(made, tmp_path / "pack", mark + "changed")
    assert len(calls) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["pack"]
