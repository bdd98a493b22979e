"""When a track is heard: hysteresis over token frames, and the times between them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from avis_cli.inference.gate import KEEP, Gate, apply_hysteresis


def gate(values: list[float], threshold: float = 0.5, start: int = 0) -> Gate:
    times = [Fraction(start + second) for second in range(len(values))]
    return Gate.of(np.array([values]), times, Fraction(1), threshold)


def test_what_is_heard_goes_on_until_it_is_well_under_the_threshold() -> None:
    assert KEEP * 0.5 < 0.45
    heard = apply_hysteresis(np.array([[0.45, 0.6, 0.45, 0.4, 0.1, 0.45, 0.6]]), 0.5)
    assert heard.tolist() == [[False, True, True, True, False, False, True]]


def test_each_track_has_its_own_state() -> None:
    heard = apply_hysteresis(np.array([[0.9, 0.45], [0.1, 0.45]]), 0.5)
    assert heard.tolist() == [[True, True], [False, False]]


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.9])
def test_a_whole_second_of_sound_is_that_second(threshold: float) -> None:
    assert gate([0, 1, 1, 0], threshold).spans == [[(1.0, 3.0)]]
    assert gate([0, 1, 1, 0], start=5).spans == [[(6.0, 8.0)]]


def test_sound_that_begins_and_ends_within_a_second_does_so_in_the_spans() -> None:
    # it fills the last 40 % of the second frame's second and the first 60 % of the fourth's: from 1.6 to 3.6 s
    ((first, last),) = gate([0, 0.4, 1, 0.6, 0]).spans[0]
    assert (first, last) == (pytest.approx(1.6, abs=0.1), pytest.approx(3.6, abs=0.1))


def test_a_faint_gate_begins_and_ends_at_its_threshold() -> None:
    ((first, last),) = gate([0, 0.4, 0.4, 0], 0.2).spans[0]
    assert (first, last) == (pytest.approx(1.0), pytest.approx(3.0))


def test_spans_begin_with_the_clip_and_end_with_it() -> None:
    assert gate([1, 1, 1]).spans == [[(0.0, 3.0)]]
    assert gate([1]).spans == [[(0.0, 1.0)]]
    assert gate([0, 0]).spans == [[]]


def test_frames_between_token_frames_are_heard_as_their_time_is() -> None:
    found = gate([0, 1, 1, 0])
    heard = [time for time in (Fraction(n, 4) for n in range(16)) if found.at(time)[0]]
    assert (heard[0], heard[-1]) == (1, Fraction(11, 4))
    assert len(heard) == 8


def test_two_sounds_are_two_spans() -> None:
    assert gate([1, 0, 0, 1]).spans == [[(0.0, 1.0), (3.0, 4.0)]]


def test_nothing_at_all() -> None:
    found = Gate.of(np.zeros((0, 3)), [Fraction(n) for n in range(3)], Fraction(1), 0.5)
    assert found.heard.shape == (0, 3)
    assert found.at(Fraction(1)).shape == (0,)


def test_masks_drawn_at_token_frames_lie_in_the_spans() -> None:
    """The value at 2 s is heard and its line from the silent one at 1 s crosses one half only at 2.33 s."""
    values, times = np.array([[0.0, 0.0, 0.6, 0.9, 0.0, 0.6]]), [Fraction(second) for second in range(6)]
    between = Gate.of(values, times, Fraction(1), 0.5)
    at_tokens = Gate.of(values, times, Fraction(1), 0.5, drawn_at_tokens=True)
    assert between.spans[0][0][0] == pytest.approx(2 + 1 / 3)
    assert at_tokens.heard.tolist() == between.heard.tolist()
    assert [start for start, _ in at_tokens.spans[0]] == [2.0, 5.0]
    assert [end for _, end in at_tokens.spans[0]] == [end for _, end in between.spans[0]]
    for time, heard in zip(times, at_tokens.heard[0], strict=True):
        assert at_tokens.at(time)[0] == heard
