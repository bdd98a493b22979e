"""What an error says: one line, and below it what to do by hand, step by step."""

from __future__ import annotations

import pytest

from avis_cli.batch.job import Failure
from avis_cli.cli import console
from avis_cli.errors import WeightsError

ERROR = WeightsError("nothing there", hint="by hand:", file="a\nb", steps=("first\x1b[2J", "then\nthis"))


def test_the_steps_follow_the_line_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    console.report(ERROR)
    assert capsys.readouterr().err.splitlines() == [
        "avis: a b: nothing there; by hand:",
        r"avis:   1. first\x1b[2J",
        "avis:   2. then this",
    ]


def test_in_a_record_it_is_one_line() -> None:
    failure = Failure.of(ERROR)
    assert failure.cause == r"a b: nothing there; by hand: (1) first\x1b[2J (2) then this"
    assert failure.cause == str(ERROR)


def test_without_steps_both_are_the_same() -> None:
    error = WeightsError("nothing there", hint="look elsewhere")
    assert str(error) == error.headline == "nothing there; look elsewhere"
    assert Failure.of(error).steps == Failure.of(ValueError("x")).steps == ()
