"""Augmented clips stay true: picture, masks, sound and what sounds change together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avis_cli.train.augment import NONE, Augmentation, augmented
from avis_cli.train.clips import RawClip, collate


def clip(seed: int = 0, category: int = 0) -> RawClip:
    rng = np.random.default_rng(seed)
    masks = np.zeros((1, 2, 20, 30), dtype=bool)
    masks[0, :, 4:10, 2:8] = True
    frames = rng.integers(0, 60, (2, 20, 30, 3), dtype=np.uint8)
    frames[:, 4:10, 2:8] = 250
    tags = np.zeros((2, 3), dtype=bool)
    tags[:, category] = True
    return RawClip(
        frames=frames,
        patches=np.log(rng.random((2, 96, 64), dtype=np.float32) + np.float32(0.01)),
        categories=np.array([category]),
        masks=masks,
        sounding=np.array([[True, False]]),
        tags=tags,
        complete=True,
    )


def test_nothing_asked_nothing_changed() -> None:
    before = clip()
    after = augmented(before, NONE, np.random.default_rng(0))
    for name in ("frames", "patches", "masks", "sounding", "tags"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


@pytest.mark.parametrize(
    "how",
    [
        replace(NONE, flip=1.0),
        replace(NONE, crop=1.0),
        replace(NONE, short_sides=(40, 40)),
        replace(NONE, short_sides=(10, 10)),
        Augmentation(flip=0.5, colour=0.1, crop=0.5),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_the_bright_object_stays_under_its_mask(how: Augmentation, seed: int) -> None:
    after = augmented(clip(), how, np.random.default_rng(seed))
    assert after.masks.shape[1:] == after.frames.shape[:3]
    bright = after.frames.mean(axis=-1) > 150
    agreement = (bright & after.masks[0]).sum() / max((bright | after.masks[0]).sum(), 1)
    assert agreement > 0.75 or not bright.any()


def test_resizing_keeps_the_shape_and_the_limit_of_the_longer_side() -> None:
    how = replace(NONE, short_sides=(40, 40), long_side=45)
    assert augmented(clip(), how, np.random.default_rng(0)).frames.shape == (2, 30, 45, 3)


def test_without_sound_and_with_foreign_sound_nothing_sounds() -> None:
    muted = augmented(clip(), replace(NONE, mute=1.0), np.random.default_rng(0))
    assert not muted.sounding.any()
    assert not muted.tags.any()
    assert len(np.unique(muted.patches)) == 1
    other = clip(1, category=2)
    swapped = augmented(clip(), replace(NONE, swap=1.0), np.random.default_rng(0), other)
    np.testing.assert_array_equal(swapped.patches, other.patches)
    np.testing.assert_array_equal(swapped.tags, other.tags)
    assert not swapped.sounding.any()


def test_the_sound_of_a_category_that_is_seen_is_not_swapped_in() -> None:
    after = augmented(clip(), replace(NONE, swap=1.0), np.random.default_rng(0), clip(1, category=0))
    assert after.sounding.any()


def test_loudness_is_a_factor_on_magnitudes() -> None:
    before = clip()
    after = augmented(before, replace(NONE, gain=6.0), np.random.default_rng(3))
    ratio = (np.exp(after.patches) - 0.01) / (np.exp(before.patches) - 0.01).clip(min=1e-6)
    assert ratio.std() < 0.02
    assert 10 ** (-6 / 20) - 0.01 <= ratio.mean() <= 10 ** (6 / 20) + 0.01


def test_a_batch_pads_pictures_and_counts_how_much_of_a_cell_is_covered() -> None:
    batch = collate([clip(), clip(1)], divisor=32, stride=2)
    assert batch.frames.shape == (2, 2, 3, 32, 32)
    assert batch.frames[..., 20:, :].sum() == 0
    assert batch.targets.masks.shape == (2, 2, 1, 16, 16)
    assert batch.targets.masks.sum().item() * 4 == clip().masks.sum() * 2
    assert batch.targets.categories.tolist() == [[0], [0]]
    assert batch.targets.sounding[0].tolist() == [[True], [False]]
