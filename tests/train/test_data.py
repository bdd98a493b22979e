"""Reading clips, packing them, and drawing batches from them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from train_examples import SMALL, small_dataset

from avis_cli.datasets.synth.dataset import clip_seed, make_clip
from avis_cli.datasets.training_split import read_split
from avis_cli.errors import AnnotationError, MediaError
from avis_cli.train.data import LoaderTime, Sampler, batches
from avis_cli.train.pack import fingerprint, packed
from avis_cli.train.source import FolderSource


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("data"), videos=4, frames=4)


def test_a_folder_gives_what_the_world_made(data: Path) -> None:
    source = FolderSource(read_split(data, "train"))
    for number in range(len(source)):
        clip = make_clip(clip_seed("train", 5, number), frames=4, size=(64, 32))
        raw = source.read(number, [3, 1])
        seen = [o for o in range(len(clip.masks)) if clip.visible[o][[1, 3]].any()]
        assert raw.categories.tolist() == (clip.category_ids[seen] - 1).tolist()
        expected = clip.masks[seen] & clip.visible[seen][:, :, None, None]
        np.testing.assert_array_equal(raw.masks, expected[:, [3, 1]])
        np.testing.assert_array_equal(raw.sounding, clip.truth[seen][:, [3, 1]])
        for hidden in clip.hidden:
            assert (raw.tags[:, hidden.category_id - 1] >= hidden.sounding[[3, 1]]).all()
        assert np.abs(raw.frames.astype(int) - clip.images[[3, 1]].astype(int)).mean() < 6  # JPEG
        assert raw.patches.shape == (2, 96, 64)


def test_without_the_objects_file_the_annotations_are_all_that_is_known(data: Path, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_bytes((data / "train.json").read_bytes())
    (tmp_path / "train").symlink_to(data / "train")
    full, plain = FolderSource(read_split(data, "train")), FolderSource(read_split(tmp_path, "train"))
    for number in range(len(full)):
        a, b = full.read(number, range(4)), plain.read(number, range(4))
        assert (a.complete, b.complete) == (True, False)
        assert b.sounding.sum() == a.sounding.sum()
        np.testing.assert_array_equal(b.masks.any(axis=(2, 3)), b.sounding)


def test_a_pack_reads_like_the_folder_and_is_made_anew_when_the_data_changes(data: Path, tmp_path: Path) -> None:
    source = FolderSource(read_split(data, "train"))
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


def test_larger_frames_are_reduced_with_their_masks(data: Path) -> None:
    source = FolderSource(read_split(data, "train"), short_side=16)
    raw = source.read(0, [0, 1])
    assert raw.frames.shape == (2, 16, 32, 3)
    assert raw.masks.shape[2:] == (16, 32)


def test_a_step_draws_the_same_batch_whenever_it_is_asked_and_other_steps_others(data: Path) -> None:
    sampler = Sampler(FolderSource(read_split(data, "train")), SMALL, seed=1, divisor=32, stride=2)
    drawn = {step: sampler.batch(step) for step in (7, 8, 9)}
    again = sampler.batch(8)
    torch.testing.assert_close(again.frames, drawn[8].frames)
    torch.testing.assert_close(again.patches, drawn[8].patches)
    torch.testing.assert_close(again.targets.masks, drawn[8].targets.masks)
    assert drawn[7].frames.shape != drawn[8].frames.shape or not torch.equal(drawn[7].frames, drawn[8].frames)
    assert again.targets.masks.shape[-2:] == (16, 32)
    other = Sampler(sampler.source, SMALL, seed=1, divisor=32, stride=2, rank=1, processes=2).batch(8)
    assert other.frames.shape == again.frames.shape
    assert not torch.equal(other.frames, again.frames)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_from_the_first_step_on(data: Path, workers: int) -> None:
    sampler = Sampler(FolderSource(read_split(data, "train")), SMALL, seed=2, divisor=32, stride=2)
    time = LoaderTime()
    source = batches(sampler, 5, workers=workers, time=time)
    for step in (5, 6, 7):
        torch.testing.assert_close(next(source).frames, sampler.batch(step).frames)
    source.close()
    assert time.batches == 3
    assert time.waited > 0


def test_clips_shorter_than_a_batch_repeat_frames_in_order(data: Path) -> None:
    sampler = Sampler(FolderSource(read_split(data, "train")), SMALL, seed=0, divisor=32, stride=1)
    raw = sampler._draw(0, 9, np.random.default_rng(0))
    assert len(raw.frames) == 9


def test_what_is_missing_or_wrong_is_named(data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "train.json").read_text())
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(MediaError, match="No such file"):
        FolderSource(read_split(tmp_path, "train")).read(0, [0])
    content["categories"][0]["id"] = 77
    for annotation in content["annotations"]:
        annotation["category_id"] = 77
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=r"expected 1, 2, 3"):
        read_split(tmp_path, "train")
