"""What is printed cannot act on a terminal, and what goes into a table cannot act on a spreadsheet."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avis_cli.errors import AvisError
from avis_cli.text import printable, spreadsheet_safe

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
FORMULA = "=+-@\t\r"
any_text = st.text(st.characters(exclude_categories=()))
odd_text = st.text(st.sampled_from(BIDIRECTIONAL + "\x1b\x07\r\n\t\x85\u2028\u2029\ud800a é"))


def is_harmless(text: str) -> bool:
    return not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c in BIDIRECTIONAL for c in text)


@given(any_text | odd_text)
def test_nothing_that_is_printed_moves_the_cursor_or_turns_the_text(text: str) -> None:
    shown = printable(text)
    assert is_harmless(shown)
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


@given(any_text | odd_text, odd_text, odd_text)
def test_errors_are_harmless_lines(cause: str, hint: str, file: str) -> None:
    text = str(AvisError(cause, hint=hint, file=file))
    assert is_harmless(text)
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "a b", "größe 🎻", "日本　語", "👩\u200d👧", "می\u200cخواهم"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


def test_escapes_show_what_was_there() -> None:
    assert printable("a\x1b[31m\n\u202eb") == "a\\x1b[31m\\n\\u202eb"


@given(any_text | st.text(st.sampled_from(FORMULA + "1.e ")))
@example("=cmd|' /C calc'!A0")
@example("-1+1")
@example("-inf")
def test_no_cell_begins_like_a_formula_unless_it_is_a_number(cell: str) -> None:
    safe = spreadsheet_safe(cell)
    assert safe in (cell, f"'{cell}")
    if safe[:1] and safe[0] in FORMULA:
        float(safe)
        assert not set(safe) - set("+-.0123456789eE")


@pytest.mark.parametrize("cell", ["", "-1", "+2.5", "-.5", "-1e-05", "person", "0.93", "a=b", "'quoted"])
def test_numbers_and_names_stay(cell: str) -> None:
    assert spreadsheet_safe(cell) == cell
