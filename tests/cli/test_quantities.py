"""Times and rates as people type them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avis_cli.cli.quantities import rate, seconds
from avis_cli.errors import UsageError

LONGEST = 10**6 * 3600 + 10**9  # seconds


@given(st.integers(0, 999_999), st.integers(0, 59), st.integers(0, 59), st.integers(0, 10**9 - 1))
def test_clock_times_are_exact(hours: int, minutes: int, whole: int, part: int) -> None:
    last = whole + Fraction(part, 10**9)
    assert seconds(f"{hours}:{minutes:02}:{whole:02}.{part:09}", "--start") == hours * 3600 + minutes * 60 + last
    assert seconds(f"{minutes}:{whole}.{part:09}", "--start") == minutes * 60 + last


@given(st.integers(0, 10**9 - 1), st.integers(0, 10**9 - 1))
def test_seconds_are_exact(whole: int, part: int) -> None:
    assert seconds(f" {whole}.{part:09} ", "--end") == whole + Fraction(part, 10**9)
    assert seconds(str(whole), "--end") == whole


@given(st.integers(1, 10**9 - 1), st.integers(1, 10**9 - 1))
def test_rates_are_exact(numerator: int, denominator: int) -> None:
    assert rate(f"{numerator}/{denominator}", "--fps") == Fraction(numerator, denominator)
    assert rate(f"{numerator}.5", "--fps") == numerator + Fraction(1, 2)


@given(st.text(max_size=12) | st.text("0123456789.:/-+einfa ", max_size=16))
def test_any_text_is_a_quantity_or_a_usage_error_that_shows_it(text: str) -> None:
    for read, option in ((seconds, "--start"), (rate, "--fps")):
        try:
            value = read(text, option)
        except UsageError as error:
            complaint = error.cause
        else:
            complaint = ""
            assert isinstance(value, Fraction)
            assert 0 <= value <= LONGEST
        assert not complaint or (option in complaint and repr(text) in complaint)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "1e3",
        "nan",
        "inf",
        "1:60",
        "1:2:3:4",
        "60:00:00:00",
        "1:75:00",
        "1,5",
        "5s",
        "1:",
        ":1",
        "٣",
        "1_0",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--start .* expected seconds"):
        seconds(text, "--start")


@pytest.mark.parametrize("text", ["", "0", "0.0", "0/5", "-2", "1/0", "1/2/3", "video", "1.5/2", "nan", "inf", "1e9"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"--fps .* expected frames per second"):
        rate(text, "--fps")
