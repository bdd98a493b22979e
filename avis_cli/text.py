"""Text that came from files and file names, made safe where a terminal or a spreadsheet would act on it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# control characters, halves of surrogate pairs, line and paragraph separators, invisible formatting
_ESCAPED = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})
_JOINERS = frozenset("\u200c\u200d")  # invisible too, but letters of some scripts and emoji are written with them
_FORMULA = "=+-@\t\r\n＝＋－＠"  # what spreadsheets take a cell for a formula by; East Asian ones also full-width signs
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def printable(text: str) -> str:
    """One line that shows what is in it: control characters (so escape sequences and line breaks), characters that
    change the direction of writing and others that cannot be seen are written as escapes, ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _ESCAPED and c not in _JOINERS else c
        for c in text
    )


def spreadsheet_safe(cell: str) -> str:
    """A cell of a table that no spreadsheet takes for a formula: an apostrophe is set before what looks like one.

    Numbers, also negative ones, stay as they are.
    """
    return f"'{cell}" if cell[:1] in _FORMULA and cell and not _NUMBER.fullmatch(cell) else cell


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that somebody who wrote ``name`` may have meant, None if none is like it."""
    from difflib import get_close_matches  # only where something went wrong already

    by_key = {entry.casefold(): entry for entry in names}
    near = get_close_matches(name.casefold(), by_key, 1, 0.7)
    return by_key[near[0]] if near else None


def meant(name: str, names: Iterable[str]) -> str | None:
    """``is avism-tiny meant?``, None if none of ``names`` is like ``name``."""
    near = nearest(name, names)
    return None if near is None else f"is {near} meant?"
