"""The ring of a live source's sound: nothing lost, nothing doubled, silence where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avis_cli.media.live_sound import HELD_SECONDS, SoundRing

RATE = 1000


def ramp(first: int, count: int) -> np.ndarray:
    """Samples that say which they are."""
    return (np.arange(first, first + count) % 4096 / 4096).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=60), st.floats(-5, 50))
def test_whatever_the_blocks_the_last_seconds_are_there_once(sizes: list[int], begin: float) -> None:
    ring, done = SoundRing(), 0
    for size in sizes:
        ring.append(ramp(done, size), RATE, begin + done / RATE)
        done += size
    assert ring.end == pytest.approx(begin + done / RATE, abs=1e-6)
    known = min(done, HELD_SECONDS * RATE)
    end = begin + done / RATE
    np.testing.assert_array_equal(ring.between(end - known / RATE, end), ramp(done - known, known))
    assert ring.gaps == 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(-0.019, 0.019), min_size=2, max_size=20))
def test_clocks_that_tremble_change_nothing(errors: list[float]) -> None:
    ring = SoundRing()
    ring.append(ramp(0, 100), RATE, 0.0)
    for number, error in enumerate(errors, start=1):
        ring.append(ramp(100 * number, 100), RATE, number / 10 + error)
    count = 100 * (len(errors) + 1)
    np.testing.assert_array_equal(ring.between(0, count / RATE), ramp(0, count))
    assert ring.gaps == 0


def test_what_is_missing_is_silence_of_its_length() -> None:
    ring = SoundRing()
    ring.append(np.ones(100, np.float32), RATE, 0.0)
    ring.append(np.ones(100, np.float32), RATE, 0.5)
    sound = ring.between(0.0, 0.6)
    assert sound[:100].all()
    assert not sound[100:500].any()
    assert sound[500:].all()
    assert ring.gaps == 1
    assert ring.end == pytest.approx(0.6)


def test_what_came_already_is_not_taken_again() -> None:
    ring = SoundRing()
    ring.append(ramp(0, 500), RATE, 0.0)
    ring.append(np.zeros(300, np.float32), RATE, 0.3)
    np.testing.assert_array_equal(ring.between(0.0, 0.6), np.concatenate([ramp(0, 500), np.zeros(100)]))
    ring.append(np.full(100, 0.5, np.float32), RATE, 0.1)
    assert ring.end == pytest.approx(0.6), "a block that lies wholly before the end adds nothing"


def test_after_a_gap_longer_than_the_ring_only_the_new_is_there() -> None:
    ring = SoundRing()
    ring.append(np.ones(100, np.float32), RATE, 0.0)
    ring.append(np.ones(100, np.float32), RATE, 1000.0)
    assert not ring.between(0.0, 0.1).any()
    assert ring.between(1000.0, 1000.1).all()
    assert len(ring.between(995.0, 1000.1)) == 5100


def test_nothing_is_known_outside_of_it() -> None:
    ring = SoundRing()
    assert ring.end is None
    assert not ring.between(-1.0, 0.0).any()
    assert len(ring.between(-1.0, 0.0)) == 16_000
    ring.append(np.ones(1000, np.float32), RATE, 0.0)
    assert ring.between(-0.5, 0.5).sum() == 500
    assert ring.between(0.5, 1.5).sum() == 500
    assert len(ring.between(0.1234, 1.1234)) == RATE


def test_another_rate_begins_anew_at_its_time() -> None:
    ring = SoundRing()
    ring.append(np.ones(1000, np.float32), RATE, 0.0)
    ring.append(np.ones(2000, np.float32), 2 * RATE, 1.0)
    assert ring.rate == 2 * RATE
    assert ring.end == pytest.approx(2.0)
    assert ring.between(1.0, 2.0).all()
    assert not ring.between(0.0, 1.0).any()


def test_levels_are_the_peaks_of_equal_parts() -> None:
    ring = SoundRing()
    ring.append(np.concatenate([np.zeros(50), np.full(50, -0.5), np.full(100, 2.0)]).astype(np.float32), RATE, 0.0)
    assert ring.levels(0.0, 0.2) == [0.0, 0.5, 1.0, 1.0]
    assert ring.levels(0.05, 0.05) == [0.5], "one at least"
