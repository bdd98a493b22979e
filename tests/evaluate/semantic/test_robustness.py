"""What is still drawn when the sound is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avis_cli.errors import UsageError
from avis_cli.evaluate.semantic.robustness import ReplacedSound, robustness, robustness_table


def maps(*frames: Any) -> Any:
    return np.array(frames)


def test_by_hand() -> None:
    kept = maps([[1, 1, 0, 0]], [[0, 0, 0, 0]], [[2, 2, 2, 2]])
    replaced = maps([[1, 0, 0, 1]], [[0, 0, 3, 0]], [[0, 0, 0, 0]])
    found = robustness([ReplacedSound(kept, replaced)])
    assert found.frames == 3
    assert found.frames_empty_kept == pytest.approx(1 / 3)
    assert found.frames_empty == pytest.approx(1 / 3)
    assert found.pixels_drawn_kept == pytest.approx((2 / 4 + 0 + 1) / 3)
    assert found.pixels_drawn == pytest.approx((2 / 4 + 1 / 4) / 3)
    assert found.pixels_still_drawn == pytest.approx((1 / 2 + 0) / 2)
    assert found.false_positive_rate == pytest.approx(3 / 12)


def test_what_is_to_be_drawn_with_the_replaced_sound_is_no_mistake() -> None:
    kept, replaced, truth = maps([[1, 1, 0, 0]]), maps([[0, 1, 1, 0]]), maps([[0, 0, 5, 0]])
    assert robustness([ReplacedSound(kept, replaced, truth)]).false_positive_rate == pytest.approx(1 / 3)
    two = ReplacedSound(kept, replaced, truth), ReplacedSound(kept, replaced, maps([[0, 1, 1, 1]]))
    assert robustness(two).false_positive_rate == pytest.approx((1 + 0) / (3 + 1))
    everywhere = robustness([ReplacedSound(kept, replaced, np.ones_like(kept))])
    assert everywhere.false_positive_rate is None
    assert robustness([ReplacedSound(kept * 0, replaced)]).pixels_still_drawn is None


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_properties(seed: int) -> None:
    chance = np.random.default_rng(seed)
    clips = [
        ReplacedSound(*(chance.integers(0, 2, (frames, 4, 5)) * chance.integers(0, 2, (frames, 1, 1)) for _ in "ab"))
        for frames in (1, 3, 2)
    ]
    found = robustness(clip for clip in clips)
    assert found.frames == 6
    # without truth, in frames of one size, both are the share of pixels that are drawn
    assert found.false_positive_rate == pytest.approx(found.pixels_drawn)
    same = robustness([ReplacedSound(clip.kept, clip.kept) for clip in clips])
    assert same.frames_empty == same.frames_empty_kept == found.frames_empty_kept
    assert same.pixels_still_drawn in (None, 1)
    silent = robustness([ReplacedSound(clip.kept, np.zeros_like(clip.kept)) for clip in clips])
    assert (silent.frames_empty, silent.pixels_drawn, silent.false_positive_rate) == (1, 0, 0)


def test_frames_weigh_alike_whatever_their_clip() -> None:
    long, short = maps(*[[[1, 0]]] * 3), maps([[1, 1]])
    found = robustness([ReplacedSound(long, long * 0), ReplacedSound(short, short)])
    assert found.frames_empty == pytest.approx(3 / 4)
    assert found.pixels_still_drawn == pytest.approx(1 / 4)


def test_a_table_says_it_in_plain_words() -> None:
    def clips() -> Iterator[ReplacedSound]:
        yield ReplacedSound(maps([[1, 1]]), maps([[0, 1]]))

    found = asdict(robustness(clips()))
    text = robustness_table({"silence": found, "noise": found, "another": None}).text()
    assert text.splitlines()[-1].split() == ["another", "-", "-", "-", "-", "0"]
    for words in ("silence", "noise", "empty frames", "still drawn", "false positives", "50.00", "0.00"):
        assert words in text


def test_maps_that_do_not_go_together() -> None:
    with pytest.raises(UsageError, match="clip 1: maps of shapes"):
        robustness([ReplacedSound(maps([[1]]), maps([[1]])), ReplacedSound(maps([[1]]), maps([[1, 0]]))])
    with pytest.raises(UsageError, match="clip 0: maps of shapes"):
        robustness([ReplacedSound(maps([[1]]), maps([[1]]), maps([[1, 1]]))])
    with pytest.raises(UsageError, match="no clip to score"):
        robustness([])
