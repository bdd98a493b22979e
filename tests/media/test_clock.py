"""Time on the clip's clock, without any file."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avis_cli.media import sound
from avis_cli.media.clock import ClipClock, ShownPicture, on_grid

STEP = Fraction(1, 25)
steps = st.lists(st.fractions(Fraction(1, 90_000), Fraction(3), max_denominator=90_000), min_size=1, max_size=30)
rates = st.fractions(Fraction(1, 4), Fraction(120), max_denominator=1001)


def spans(gaps: list[Fraction], begin: Fraction = Fraction(0)) -> list[ShownPicture[int]]:
    times = [begin]
    for gap in gaps:
        times.append(times[-1] + gap)
    return [ShownPicture(n, time, until) for n, (time, until) in enumerate(itertools.pairwise(times))]


@given(steps, rates, st.fractions(Fraction(0), Fraction(4), max_denominator=1000))
def test_grid_gives_the_picture_being_shown(gaps: list[Fraction], rate: Fraction, start: Fraction) -> None:
    shown = spans(gaps)
    picked = list(on_grid(shown, rate, start))
    end = shown[-1].until
    count = max(math.ceil((end - start) * rate), 0)
    assert [time for _, time in picked] == [start + k / rate for k in range(count)]
    for item, time in picked:
        assert item.picture == max((other.picture for other in shown if other.time <= time), default=0)


@given(steps, rates, st.fractions(Fraction(1, 10), Fraction(5), max_denominator=1000))
def test_grid_stops_before_its_end(gaps: list[Fraction], rate: Fraction, end: Fraction) -> None:
    whole = [time for _, time in on_grid(spans(gaps), rate)]
    assert [time for _, time in on_grid(spans(gaps), rate, end=end)] == [time for time in whole if time < end]


@pytest.mark.parametrize(
    ("seconds", "count"), [("9.96", 10), ("10", 10), ("10.01", 11), ("0.04", 1), ("1", 1), ("1.001", 2)]
)
def test_grid_at_one_per_second(seconds: str, count: int) -> None:
    frames = round(Fraction(seconds) * 1000)
    assert len(list(on_grid(spans([Fraction(1, 1000)] * frames), Fraction(1)))) == count


def test_before_the_first_picture_the_first_is_given() -> None:
    picked = list(on_grid(spans([STEP] * 2, begin=Fraction(1)), Fraction(2)))
    assert [(item.picture, time) for item, time in picked] == [(0, 0), (0, Fraction(1, 2)), (0, 1)]


@given(st.lists(st.one_of(st.none(), st.fractions(Fraction(-5), Fraction(9000), max_denominator=90_000)), max_size=40))
def test_times_always_rise_from_zero(stamps: list[Fraction | None]) -> None:
    origin = next((stamp for stamp in stamps if stamp is not None), Fraction(0))
    clock = ClipClock(origin if stamps and stamps[0] is not None else Fraction(0), STEP)
    times = [clock.place(stamp) for stamp in stamps]
    assert all(a < b for a, b in itertools.pairwise(times))
    assert all(time >= 0 for time in times)


@given(steps, st.fractions(Fraction(-100), Fraction(100), max_denominator=90_000))
def test_good_timestamps_are_kept_exactly(gaps: list[Fraction], origin: Fraction) -> None:
    clock = ClipClock(origin, STEP)
    times = [item.time for item in spans(gaps)]
    assert [clock.place(origin + time) for time in times] == times
    assert clock.repaired == 0


def test_repairs() -> None:
    clock = ClipClock(Fraction(0), STEP)
    placed = [clock.place(stamp) for stamp in (Fraction(0), None, STEP, 3 * STEP, Fraction(-90), Fraction(-90) + STEP)]
    assert placed == [0, STEP, STEP * 3 / 2, 3 * STEP, 4 * STEP, 5 * STEP]
    assert clock.repaired == 3
    assert clock.place(Fraction(10_000)) == 6 * STEP


def test_one_bad_timestamp_moves_nothing_after_it() -> None:
    clock = ClipClock(Fraction(0), STEP)
    stamps = [n * STEP for n in range(10)]
    stamps[4] = Fraction(-30)
    times = [clock.place(stamp) for stamp in stamps]
    assert times == [n * STEP for n in range(10)]


@given(
    st.lists(st.tuples(st.integers(-900, 9000), st.integers(1, 900)), min_size=1, max_size=8), st.integers(-900, 900)
)
def test_placed_sound_follows_its_timestamps(blocks: list[tuple[int, int]], begin: int) -> None:
    blocks = sorted(blocks)
    rate = 1000
    given_blocks = [(Fraction(at, rate), np.full((1, size), n + 1, np.float32)) for n, (at, size) in enumerate(blocks)]
    joined = np.concatenate(
        [np.zeros(0), *(block[0] for block in sound.place_on_clock(given_blocks, rate, Fraction(begin, rate)))]
    )
    expected = np.zeros(max(max(at + size for at, size in blocks) - begin, 0))
    for n, (at, size) in reversed(list(enumerate(blocks))):
        expected[max(at - begin, 0) : max(at + size - begin, 0)] = n + 1
    silent = [k for k in range(len(expected)) if expected[k] == 0]
    # within the tolerance for coarse clocks, what sounds sounds and what is silent is silent
    assert abs(len(joined) - len(expected)) <= 10 * len(blocks)
    assert sum(1 for k in silent if k < len(joined) and joined[k]) <= 20 * len(blocks)


def test_placed_sound_ignores_coarse_clocks_and_fills_true_gaps() -> None:
    ones = np.ones((1, 1024), np.float32)
    coarse = [(Fraction(round(k * 1024 / 48), 1000), ones) for k in range(50)]
    assert np.concatenate([b[0] for b in sound.place_on_clock(coarse, 48_000, Fraction(0))]).all()
    gap = [(Fraction(0), ones), (Fraction(1), ones)]
    joined = np.concatenate([b[0] for b in sound.place_on_clock(gap, 48_000, Fraction(0))])
    assert len(joined) == 49_024
    assert joined[:1024].all()
    assert not joined[1024:48_000].any()
    assert joined[48_000:].all()
