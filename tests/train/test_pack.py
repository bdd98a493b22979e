"""A split packed into a few files, and read from these."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from train_examples import small_dataset

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.train.clips import FolderSource, RawClip, SampleForm
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


def test_samples_are_packed_too(data: Path, tmp_path: Path) -> None:
    split = read_training_split(data, "train")
    source = FolderSource(split, samples=SampleForm(1, 1.5, 0.5))
    pack = packed(lambda: source, tmp_path / "pack", "a mark")
    for number in range(len(source)):
        a, b = source.read(number, [3, 0]), pack.read(number, [3, 0])
        assert a.samples is not None
        assert b.samples is not None
        assert a.samples.shape == (2, 1, 24_000)
        np.testing.assert_allclose(a.samples, b.samples, rtol=1e-3, atol=1e-7)
    assert packed(lambda: FolderSource(split), tmp_path / "plain", "b").read(0, [0]).samples is None


class Given:
    """Clips as a source."""

    categories: tuple[str, ...] = ("a", "b")

    def __init__(self, *clips: RawClip) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def length(self, number: int) -> int:
        return len(self.clips[number].frames)

    def read(self, number: int, frames: Any) -> RawClip:
        assert list(frames) == list(range(self.length(number)))
        return self.clips[number]


def test_what_is_not_known_of_a_clip_is_packed_too(tmp_path: Path) -> None:
    masks = np.zeros((1, 3, 5, 7), bool)
    masks[0, 1, 2:4, 3:6] = True
    ignored = np.zeros((3, 5, 7), bool)
    ignored[2, :, 6] = True
    loud = np.linspace(-3, 3, 3 * 2 * 20, dtype=np.float32).reshape(3, 2, 20)
    clip = RawClip(
        frames=np.zeros((3, 5, 7, 3), np.uint8), patches=np.zeros((3, 96, 64), np.float32), categories=np.array([1]),
        masks=masks, sounding=np.asarray(masks.any((2, 3))), tags=np.zeros((3, 2), bool), complete=False, samples=loud,
        ignored=ignored, labelled=np.array([True, False, True]),
    )  # fmt: skip
    plain = replace(clip, ignored=None, labelled=None)
    pack = packed(lambda: Given(clip, plain), tmp_path / "pack", "a mark")
    found = pack.read(0, [2, 1])
    assert found.ignored is not None
    assert found.labelled is not None
    assert found.samples is not None
    np.testing.assert_array_equal(found.ignored, ignored[[2, 1]])
    np.testing.assert_array_equal(found.masks, masks[:, [2, 1]])
    assert found.labelled.tolist() == [True, False]
    np.testing.assert_allclose(found.samples, loud[[2, 1]], rtol=1e-3, err_msg="sums of sounds are not cut off")
    assert pack.read(1, [0]).ignored is pack.read(1, [0]).labelled is None
