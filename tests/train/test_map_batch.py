"""Class maps out of clips with objects: the class of a pixel, what is not known, what a flip does to the sound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from avis_cli.models.training import Augmentation
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.nn.map_batch import IGNORED, MapBatch
from avis_cli.train.augment import NONE, augmented
from avis_cli.train.clips import RawClip, collate


def clip(height: int = 4, width: int = 4) -> RawClip:
    """Two frames; object 0 (category 2) on the left half sounds in both, object 1 (category 0) on the right in one."""
    masks = np.zeros((2, 2, height, width), bool)
    masks[0, :, :, : width // 2] = masks[1, :, :, width // 2 :] = True
    return RawClip(
        frames=np.arange(2 * height * width * 3, dtype=np.uint8).reshape(2, height, width, 3),
        patches=np.zeros((2, 96, 64), np.float32),
        categories=np.array([2, 0]),
        masks=masks,
        sounding=np.array([[True, True], [False, True]]),
        tags=np.zeros((2, 3), bool),
        complete=True,
        samples=np.stack([np.full((2, 2, 5), 1.0), np.full((2, 2, 5), 2.0)], axis=0)[0].astype(np.float32)
        * np.array([[[1.0], [-1.0]]], np.float32),
    )


def test_a_pixel_is_of_the_class_that_sounds_there() -> None:
    batch = MapBatch.of(collate([clip(), clip()], divisor=1))
    assert batch.labels.shape == (2, 2, 4, 4)
    assert batch.labels[0, 0].tolist() == [[3, 3, 0, 0]] * 4
    assert batch.labels[1, 1].tolist() == [[3, 3, 1, 1]] * 4
    assert batch.labelled.all()
    assert batch.valid.all()
    assert batch.samples is not None
    assert batch.samples.shape == (2, 2, 2, 5)


def test_a_pixel_that_is_covered_by_less_than_half_is_background() -> None:
    targets = collate([clip()], divisor=1).targets
    targets = replace(targets, masks=targets.masks * 0.4)
    batch = collate([clip()], divisor=1)
    assert not MapBatch.of(replace(batch, targets=targets)).labels.any()


def test_padding_and_what_nobody_marked_is_ignored() -> None:
    ignored = np.zeros((2, 4, 4), bool)
    ignored[1, 0, 0] = True
    batch = MapBatch.of(collate([replace(clip(), ignored=ignored), clip(3, 4)], divisor=1))
    assert batch.labels[0, 1, 0].tolist() == [IGNORED, 3, 1, 1]
    assert batch.labels[1, :, 3].unique().tolist() == [IGNORED]
    assert (batch.labels[1, :, :3] != IGNORED).all()
    assert (batch.labels[0, 0] != IGNORED).all()
    assert collate([clip(), clip()], divisor=1).ignored is None


def test_frames_without_a_truth_are_told() -> None:
    first = np.array([True, False])
    batch = MapBatch.of(collate([replace(clip(), labelled=first)] * 2, divisor=1))
    assert batch.labelled.tolist() == [[True, False]] * 2
    padded = replace(collate([clip()], divisor=1), valid=torch.tensor([[True, False]]))
    assert MapBatch.of(padded).labelled.tolist() == [[True, False]]


def test_every_part_goes_to_the_other_device() -> None:
    ignored = np.ones((2, 4, 4), bool)
    whole = collate([replace(clip(), ignored=ignored, labelled=np.array([True, False]))], divisor=1)
    moved = replace(whole, valid=torch.ones(1, 2, dtype=torch.bool)).to("meta")
    parts = (moved.frames, moved.samples, moved.ignored, moved.valid, moved.labelled, moved.targets.masks)
    assert {part.device.type for part in parts if part is not None} == {"meta"}
    maps = MapBatch.of(whole).to("meta")
    assert {x.device.type for x in (maps.frames, maps.samples, maps.labels, maps.valid) if x is not None} == {"meta"}
    assert isinstance(moved, ClipBatch)


def test_a_flip_swaps_the_channels_too() -> None:
    ignored = np.zeros((2, 4, 4), bool)
    ignored[:, :, 0] = True
    before = replace(clip(), ignored=ignored)
    assert before.samples is not None
    flipped = augmented(before, replace(NONE, flip=1.0), np.random.default_rng(0))
    assert flipped.samples is not None
    np.testing.assert_array_equal(flipped.samples[:, 0], before.samples[:, 1])
    assert flipped.ignored is not None
    assert flipped.ignored[:, :, -1].all()
    np.testing.assert_array_equal(flipped.frames, before.frames[:, :, ::-1])


def test_samples_become_louder_silent_and_anothers_with_the_patches() -> None:
    rng = np.random.default_rng(1)
    louder = augmented(clip(), replace(NONE, gain=12.0), rng)
    assert louder.samples is not None
    assert louder.samples.max() != 1.0
    muted = augmented(clip(), replace(NONE, mute=1.0), rng)
    assert muted.samples is not None
    assert not muted.samples.any()
    other = replace(clip(), samples=np.full((2, 2, 5), 9.0, np.float32), tags=np.zeros((2, 3), bool))
    swapped = augmented(clip(), replace(NONE, swap=1.0), rng, other)
    assert swapped.samples is not None
    assert (swapped.samples == 9).all()
    assert not swapped.sounding.any()


def test_crops_and_sizes_keep_what_is_ignored() -> None:
    ignored = np.zeros((2, 8, 8), bool)
    ignored[:, :, :4] = True
    how = Augmentation(flip=0, colour=0, gain=0, noise=0, bands=0, crop=1.0, short_sides=(16, 16))
    changed = augmented(replace(clip(8, 8), ignored=ignored), how, np.random.default_rng(3))
    assert changed.ignored is not None
    assert changed.ignored.shape == changed.frames.shape[:3]
    assert min(changed.frames.shape[1:3]) == 16
    # what is ignored is what object 0 covered
    np.testing.assert_array_equal(changed.ignored, changed.masks[0])
