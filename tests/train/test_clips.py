"""Reading the clips of a split, and putting them together to batches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_examples import bright_clip, small_dataset

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.datasets.synth.clips import clip_seed, make_clip
from avis_cli.errors import AnnotationError, MediaError
from avis_cli.train.clips import FolderSource, collate


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("data"), videos=4, frames=4)


def test_a_folder_gives_what_the_world_made(data: Path) -> None:
    source = FolderSource(read_training_split(data, "train"))
    for number in range(len(source)):
        clip = make_clip(clip_seed("train", 5, number), frames=4, size=(64, 32))
        raw = source.read(number, [3, 1])
        seen = [o for o in range(len(clip.masks)) if clip.visible[o][[1, 3]].any()]
        assert raw.categories.tolist() == (clip.category_ids[seen] - 1).tolist()
        expected = clip.masks[seen] & clip.visible[seen][:, :, None, None]
        np.testing.assert_array_equal(raw.masks, expected[:, [3, 1]])
        np.testing.assert_array_equal(raw.sounding, clip.truth[seen][:, [3, 1]])
        for hidden in clip.off_screen:
            assert (raw.tags[:, hidden.category_id - 1] >= hidden.sounding[[3, 1]]).all()
        assert np.abs(raw.frames.astype(int) - clip.images[[3, 1]].astype(int)).mean() < 6  # JPEG
        assert raw.patches.shape == (2, 96, 64)


def test_a_batch_knows_how_many_objects_sound_also_of_cropped_clips() -> None:
    whole = bright_clip()
    cropped = replace(whole, sounding=np.zeros_like(whole.sounding), annotated=np.array([2, 1]))
    targets = collate([whole, cropped], divisor=4).targets
    assert targets.counts.tolist() == [[1, 0], [2, 1]]


def test_without_the_objects_file_the_annotations_are_all_that_is_known(data: Path, tmp_path: Path) -> None:
    (tmp_path / "train.json").write_bytes((data / "train.json").read_bytes())
    (tmp_path / "train").symlink_to(data / "train")
    full, plain = (
        FolderSource(read_training_split(data, "train")),
        FolderSource(read_training_split(tmp_path, "train")),
    )
    for number in range(len(full)):
        a, b = full.read(number, range(4)), plain.read(number, range(4))
        assert (a.complete, b.complete) == (True, False)
        assert b.sounding.sum() == a.sounding.sum()
        np.testing.assert_array_equal(b.masks.any(axis=(2, 3)), b.sounding)


def test_larger_frames_are_reduced_with_their_masks(data: Path) -> None:
    source = FolderSource(read_training_split(data, "train"), short_side=16)
    raw = source.read(0, [0, 1])
    assert raw.frames.shape == (2, 16, 32, 3)
    assert raw.masks.shape[2:] == (16, 32)


def test_what_is_missing_or_wrong_is_named(data: Path, tmp_path: Path) -> None:
    content = json.loads((data / "train.json").read_text())
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(MediaError, match="No such file"):
        FolderSource(read_training_split(tmp_path, "train")).read(0, [0])
    content["categories"][0]["id"] = 77
    for annotation in content["annotations"]:
        annotation["category_id"] = 77
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(AnnotationError, match=r"expected 1, 2, 3"):
        read_training_split(tmp_path, "train")


def test_a_batch_pads_pictures_and_counts_how_much_of_a_cell_is_covered() -> None:
    batch = collate([bright_clip(), bright_clip(1)], divisor=32, stride=2)
    assert batch.frames.shape == (2, 2, 3, 32, 32)
    assert batch.frames[..., 20:, :].sum() == 0
    assert batch.targets.masks.shape == (2, 2, 1, 16, 16)
    assert batch.targets.masks.sum().item() * 4 == bright_clip().masks.sum() * 2
    assert batch.targets.categories.tolist() == [[0], [0]]
    assert batch.targets.sounding[0].tolist() == [[True], [False]]
