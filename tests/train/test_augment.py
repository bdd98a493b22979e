"""Augmented clips stay true: picture, masks, sound and what sounds change together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from train_examples import bright_clip

from avis_cli.models.training import Augmentation
from avis_cli.train.augment import NONE, augmented


def test_nothing_asked_nothing_changed() -> None:
    before = bright_clip()
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
    after = augmented(bright_clip(), how, np.random.default_rng(seed))
    assert after.masks.shape[1:] == after.frames.shape[:3]
    bright = after.frames.mean(axis=-1) > 150
    agreement = (bright & after.masks[0]).sum() / max((bright | after.masks[0]).sum(), 1)
    assert agreement > 0.75 or not bright.any()


def test_resizing_keeps_the_shape_and_the_limit_of_the_longer_side() -> None:
    how = replace(NONE, short_sides=(40, 40), long_side=45)
    assert augmented(bright_clip(), how, np.random.default_rng(0)).frames.shape == (2, 30, 45, 3)


def test_without_sound_and_with_foreign_sound_nothing_sounds() -> None:
    muted = augmented(bright_clip(), replace(NONE, mute=1.0), np.random.default_rng(0))
    assert not muted.sounding.any()
    assert not muted.tags.any()
    assert len(np.unique(muted.patches)) == 1
    other = bright_clip(1, category=2)
    swapped = augmented(bright_clip(), replace(NONE, swap=1.0), np.random.default_rng(0), other)
    np.testing.assert_array_equal(swapped.patches, other.patches)
    np.testing.assert_array_equal(swapped.tags, other.tags)
    assert not swapped.sounding.any()


def test_the_sound_of_a_category_that_is_seen_is_not_swapped_in() -> None:
    after = augmented(bright_clip(), replace(NONE, swap=1.0), np.random.default_rng(0), bright_clip(1, category=0))
    assert after.sounding.any()


def test_counts_are_those_before_a_crop_and_of_the_sound_that_is_heard() -> None:
    before = bright_clip()
    before.masks[:, :, :, 8:] = False
    crops = [augmented(before, replace(NONE, crop=1.0), np.random.default_rng(seed)) for seed in range(40)]
    lost = [clip for clip in crops if not clip.sounding.any()]
    assert lost, "some crops leave the object out"
    assert all(clip.counts.tolist() == [1, 0] for clip in [before, *crops])
    assert lost[0].at(0).counts.tolist() == [1]
    assert lost[0].at(1).counts.tolist() == [0]
    smaller = augmented(lost[0], replace(NONE, short_sides=(10, 10)), np.random.default_rng(0))
    assert smaller.counts.tolist() == [1, 0]
    for silent in (replace(NONE, mute=1.0), replace(NONE, swap=1.0)):
        heard = augmented(lost[0], silent, np.random.default_rng(0), bright_clip(1, category=2))
        assert heard.counts.tolist() == [0, 0]


def test_loudness_is_a_factor_on_magnitudes() -> None:
    before = bright_clip()
    after = augmented(before, replace(NONE, gain=6.0), np.random.default_rng(3))
    ratio = (np.exp(after.patches) - 0.01) / (np.exp(before.patches) - 0.01).clip(min=1e-6)
    assert ratio.std() < 0.02
    assert 10 ** (-6 / 20) - 0.01 <= ratio.mean() <= 10 ** (6 / 20) + 0.01
