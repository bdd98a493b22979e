"""Sounds in the place of a clip's own, and what is still drawn with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import toy_maps

from avis_cli.nn.audio_encoder import SILENCE
from avis_cli.train.clips import RawClip
from avis_cli.train.replaced_sounds import ANOTHER, NOISE, noisy, silenced, swapped, unheard, with_other_sounds

FRAMES = 4


def clip(category: int, side: int, *, frames: int = FRAMES, loud: float = 0.5) -> RawClip:
    """One object of a category that sounds on one side."""
    samples = np.zeros((frames, 2, 100), np.float32)
    samples[:, side] = loud
    masks = np.zeros((1, frames, 32, 64), bool)
    masks[..., 2:5, 3:6] = True
    tags = np.zeros((frames, 3), bool)
    tags[:, category] = True
    return RawClip(
        frames=np.full((frames, 32, 64, 3), 100, np.uint8), patches=np.full((frames, 96, 64), float(side), np.float32),
        categories=np.array([category]), masks=masks, sounding=np.ones((1, frames), bool), tags=tags, complete=True,
        samples=samples,
    )  # fmt: skip


class Clips:
    """Clips as a source."""

    categories: tuple[str, ...] = ("a", "b", "c")

    def __init__(self, *clips: RawClip) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def length(self, number: int) -> int:
        return len(self.clips[number].frames)

    def read(self, number: int, frames: Any) -> RawClip:
        assert list(frames) == list(range(self.length(number)))
        return self.clips[number]


def test_the_sounds_that_take_the_place_of_a_clips_own() -> None:
    one, other = clip(0, 0), clip(1, 1, frames=3)
    quiet = silenced(one, other)
    assert quiet.samples is not None
    assert not quiet.samples.any()
    assert (quiet.patches == np.float32(SILENCE)).all()
    exchanged = swapped(one, other)
    assert exchanged.samples is not None
    assert other.samples is not None
    np.testing.assert_array_equal(exchanged.samples, other.samples[[0, 1, 2, 0]])
    np.testing.assert_array_equal(exchanged.patches, other.patches[[0, 1, 2, 0]])
    noise = noisy(one, other)
    assert noise.samples is not None
    assert np.sqrt(np.square(noise.samples).mean()) == pytest.approx(NOISE, rel=0.1)
    assert np.isfinite(noise.patches).all()
    assert noise.patches.std() > 0.1
    for changed in (quiet, exchanged, noise):
        np.testing.assert_array_equal(changed.frames, one.frames)
    bare = replace(one, samples=None)
    assert all(change(bare, replace(other, samples=None)).samples is None for change in (silenced, noisy, swapped))


def test_what_is_drawn_with_each_sound() -> None:
    # the toy draws the half of the louder side: what was left is then right
    model = toy_maps.model(side=None, clip_frames=1)
    found = with_other_sounds(model, Clips(clip(0, 0), clip(1, 1), clip(1, 0)))
    silence, another = found["silence"], found[ANOTHER]
    assert silence is not None
    assert another is not None
    assert silence.frames == 3 * FRAMES
    assert (silence.frames_empty_kept, silence.frames_empty, silence.pixels_drawn) == (0, 1, 0)
    # the third clip follows the second, whose category it has: it cannot be asked
    assert another.frames == 2 * FRAMES
    assert another.pixels_drawn == another.pixels_drawn_kept == 0.5
    # of the first clip the other half is drawn, of the third, beside the first, the same one
    assert another.pixels_still_drawn == pytest.approx(0.5)


def test_clips_that_hold_what_is_seen_are_left_out() -> None:
    assert unheard(clip(0, 0), clip(1, 0))
    assert not unheard(clip(0, 0), clip(0, 1))
    model = toy_maps.model(side=None, clip_frames=1)
    found = with_other_sounds(model, Clips(clip(0, 0), clip(0, 1)))
    assert found[ANOTHER] is None
    assert found["noise"] is not None


def test_progress_is_told_of_each_sound() -> None:
    told: list[tuple[str, int, int | None]] = []
    model = toy_maps.model(side=None, clip_frames=1)
    with_other_sounds(model, Clips(clip(0, 0), clip(1, 1)), lambda *step: told.append(step))
    assert told == [(name, done, 2) for name in ("silence", "noise", ANOTHER) for done in (1, 2)]
