"""Timestamps of live sources: they rise, and what belongs together stays together, whatever the clocks do."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avis_cli.media.live_clock import DriftCorrection, LiveClock

STEP = Fraction(1, 10)


def test_the_first_picture_is_at_zero_or_where_it_is_put() -> None:
    for begin in (Fraction(0), Fraction(40)):
        clock = LiveClock(begin)
        assert clock.place("picture", Fraction(7), STEP) == begin
        assert clock.place("sound", Fraction(29, 4), STEP) == begin + Fraction(1, 4)
        assert clock.place("picture", Fraction(71, 10), STEP) == begin + STEP
        assert clock.jumps == 0


@settings(max_examples=80, deadline=None)
@given(st.lists(st.one_of(st.none(), st.fractions(-20_000, 20_000)), min_size=1, max_size=30))
def test_pictures_rise_whatever_their_timestamps(stamps: list[Fraction | None]) -> None:
    clock = LiveClock()
    times = [clock.place("picture", stamp, STEP) for stamp in stamps]
    assert all(after > before for before, after in pairwise(times))


@pytest.mark.parametrize("leap", [Fraction(-500), Fraction(7300)])
@pytest.mark.parametrize("first", ["picture", "sound"])
def test_a_clock_set_anew_moves_both_alike(leap: Fraction, first: str) -> None:
    clock = LiveClock()
    for number in range(20):
        clock.place("picture", number * STEP, STEP)
        clock.place("sound", number * STEP, STEP)
    order = [first, "sound" if first == "picture" else "picture"]
    for number in range(20, 40):
        times = {stream: clock.place(stream, number * STEP + leap, STEP) for stream in order}
        assert times["picture"] == times["sound"] == number * STEP, "as if nothing had happened"
    assert clock.jumps == 1


def test_a_pause_of_minutes_is_a_pause() -> None:
    clock = LiveClock()
    clock.place("picture", Fraction(0), STEP)
    assert clock.place("picture", Fraction(300), STEP) == 300
    assert clock.jumps == 0


def test_without_a_timestamp_it_is_a_step_later() -> None:
    clock = LiveClock()
    assert clock.place("picture", None, STEP) == 0
    assert clock.place("picture", None, STEP) == STEP
    assert clock.place("picture", Fraction(0), STEP) == STEP + STEP / 2, "and never before the one before"


def test_two_clocks_that_drift_are_brought_together() -> None:
    drift = DriftCorrection()
    off = []
    for tenth in range(1200):
        now = tenth / 10
        drift.arrived("sound", now, now)
        drift.arrived("picture", now * 0.999, now)  # its clock loses a thousandth
        off.append(now - (now * 0.999 + drift.seconds))
    assert off[50] == pytest.approx(0.005, abs=0.002), "not corrected before it is known"
    assert max(abs(error) for error in off[300:]) < 0.025
    assert abs(1200 / 10 * 0.001) > 0.1, "it would have been a tenth of a second"


def test_a_busy_machine_is_no_drift() -> None:
    drift = DriftCorrection()
    for tenth in range(600):
        now = tenth / 10
        drift.arrived("sound", now, now + (0.5 if tenth % 7 else 0.0))
        drift.arrived("picture", now, now + (0.0 if tenth % 5 == 0 else 0.3))
    assert drift.seconds == pytest.approx(0.0, abs=1e-9)
