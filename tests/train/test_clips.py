"""Reading the clips of a split, and putting them together to batches."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from train_examples import bright_clip, small_dataset

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.datasets.synth.clips import clip_seed, make_clip
from avis_cli.errors import AnnotationError, MediaError, UsageError
from avis_cli.nn.audio import LOG_OFFSET
from avis_cli.train.clips import DelayedSound, FolderSource, RawClip, SampleForm, collate, hearing


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


def test_samples_are_those_around_the_frame_and_silent_beyond_the_sound(data: Path) -> None:
    split = read_training_split(data, "train")
    second = FolderSource(split, samples=SampleForm(1, 1.0, 0.0)).read(0, [0, 1, 2]).samples
    around = FolderSource(split, samples=SampleForm(1, 2.0, 1.0)).read(0, [0, 1]).samples
    assert second is not None
    assert around is not None
    assert second.shape == (3, 1, 16_000)
    assert not around[0, 0, :16_000].any()
    np.testing.assert_array_equal(around[0, 0, 16_000:], second[0, 0])
    np.testing.assert_array_equal(around[1, 0], np.concatenate([second[0, 0], second[1, 0]]))
    assert second.any()
    beyond = FolderSource(split, samples=SampleForm(1, 4.0, 0.0)).read(0, [3]).samples
    assert beyond is not None
    assert not beyond[0, 0, 16_000:].any()
    with pytest.raises(UsageError, match="2 channels of sound, of data whose sound has one"):
        FolderSource(split, samples=SampleForm(2, 1.0, 0.0))


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


class NumberedClip:
    """A clip of six frames whose pictures, sound, masks and tags say which frame they are of.

    The first object is seen from frame 2 on and sounds there in 2 and 4; the second is seen up to frame 3 and sounds
    all the time that it is seen.
    """

    categories: tuple[str, ...] = ("bell", "drum")

    def __len__(self) -> int:
        return 1

    def length(self, clip: int) -> int:
        return 6

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        assert all(0 <= frame < 6 for frame in frames)
        numbers = np.array(frames)
        masks = np.zeros((2, len(frames), 2, 6), dtype=bool)
        for place, frame in enumerate(frames):
            masks[0, place, 0, frame] = frame >= 2
            masks[1, place, 1, frame] = frame <= 3
        return RawClip(
            frames=np.broadcast_to(numbers[:, None, None, None], (len(frames), 2, 6, 3)).astype(np.uint8),
            patches=np.broadcast_to(numbers[:, None, None], (len(frames), 96, 64)).astype(np.float32),
            categories=np.array([0, 1]),
            masks=masks,
            sounding=np.stack([np.isin(numbers, (2, 4)), numbers <= 3]),
            tags=np.stack([np.isin(numbers, (1, 2, 4)), numbers <= 4], axis=1),
            complete=True,
        )


def test_a_delayed_frame_hears_the_second_before_and_is_to_tell_what_sounds_now() -> None:
    source = DelayedSound(NumberedClip(), 1)
    assert (len(source), source.length(0), source.categories) == (1, 6, ("bell", "drum"))
    raw, plain = source.read(0, range(6)), NumberedClip().read(0, range(6))
    silence = np.float32(math.log(LOG_OFFSET))
    assert raw.patches.dtype == np.float32
    assert raw.patches[:, 0, 0].tolist() == [silence, 0, 1, 2, 3, 4]
    assert np.ptp(raw.patches, axis=(1, 2)).max() == 0
    for name in ("frames", "masks", "categories", "complete"):
        np.testing.assert_array_equal(getattr(raw, name), getattr(plain, name))
    assert np.flatnonzero(raw.sounding[0]).tolist() == [2, 4]
    assert np.flatnonzero(raw.sounding[1]).tolist() == [1, 2, 3], "not in the first frame, where nothing has been heard"
    assert np.flatnonzero(raw.tags[:, 0]).tolist() == [1, 2, 4]
    assert np.flatnonzero(raw.tags[:, 1]).tolist() == [1, 2, 3, 4]


def test_nothing_is_to_be_told_before_anything_has_been_heard() -> None:
    raw = DelayedSound(NumberedClip(), 3).read(0, range(6))
    assert raw.patches[:, 0, 0].tolist() == [np.float32(math.log(LOG_OFFSET))] * 3 + [0, 1, 2]
    assert np.flatnonzero(raw.sounding.any(axis=0)).tolist() == [3, 4]
    assert np.flatnonzero(raw.tags.any(axis=1)).tolist() == [3, 4]
    assert raw.masks[0, 2].any(), "what is seen is seen"
    assert not DelayedSound(NumberedClip(), 9).read(0, range(6)).sounding.any()


def test_delayed_frames_come_in_the_order_that_is_asked_for() -> None:
    raw = DelayedSound(NumberedClip(), 1).read(0, [4, 0, 3, 3])
    assert raw.frames[:, 0, 0, 0].tolist() == [4, 0, 3, 3]
    assert raw.patches[:, 0, 0].tolist() == [3, np.float32(math.log(LOG_OFFSET)), 2, 2]
    assert raw.sounding.tolist() == [[True, False, False, False], [False, False, True, True]]
    assert collate([raw], divisor=2).targets.counts.tolist() == [[1, 0, 1, 1]]


def test_a_folder_is_delayed_with_its_truth(data: Path) -> None:
    plain = FolderSource(read_training_split(data, "train"))
    delayed = DelayedSound(plain, 1)
    for number in range(len(plain)):
        whole, late = plain.read(number, range(4)), delayed.read(number, range(4))
        np.testing.assert_array_equal(late.frames, whole.frames)
        np.testing.assert_array_equal(late.patches[1:], whole.patches[:3])
        np.testing.assert_array_equal(late.sounding[:, 1:], whole.sounding[:, 1:])
        np.testing.assert_array_equal(late.tags[1:], whole.tags[1:])
        assert not late.sounding[:, 0].any()
        assert not late.tags[0].any()


def test_what_a_network_hears_is_delayed_by_what_it_does_not_wait_for() -> None:
    source = NumberedClip()
    assert hearing(source, 1.0, 1) is source
    assert hearing(source, 1.0, 5) is source

    def begun(lookahead: float, fps: int) -> int:
        """Frames that pass before the first second of sound is heard."""
        patches = hearing(source, lookahead, fps).read(0, range(6)).patches[:, 0, 0]
        return patches.tolist().index(0.0)

    assert begun(0.0, 1) == 1
    assert begun(0.0, 2) == 2
    assert begun(0.5, 2) == 1
    assert begun(0.25, 4) == 3


@pytest.mark.parametrize(("lookahead", "fps"), [(0.5, 1), (0.25, 1), (0.25, 2), (0.7, 4)])
def test_a_second_that_begins_between_two_token_frames_is_not_to_be_had(lookahead: float, fps: int) -> None:
    with pytest.raises(UsageError, match=rf"sound_lookahead of {lookahead:g} s at {fps} token frames a second"):
        hearing(NumberedClip(), lookahead, fps)


@pytest.mark.parametrize(("lookahead", "fps", "frames"), [(0.9, 10, 1), (0.7, 10, 3), (0.4, 5, 3), (0.8, 5, 1)])
def test_decimals_that_are_a_whole_number_of_token_frames_are_taken_for_it(
    lookahead: float, fps: int, frames: int
) -> None:
    patches = hearing(NumberedClip(), lookahead, fps).read(0, range(6)).patches[:, 0, 0]
    assert patches.tolist().index(0.0) == frames
