"""Results in a few words, for consoles, and as small static tables, for notebooks; texts of files are escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

_LONGEST = 40  # characters of a name
_MOST = 50  # rows of a table


def short(text: str) -> str:
    """A name of any length and content as a few printable characters on one line."""
    plain = " ".join(text.encode("utf-8", "backslashreplace").decode("utf-8").split())
    plain = "".join(letter if letter.isprintable() else "\ufffd" for letter in plain)
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"


def listed(texts: Sequence[str], most: int = 4) -> str:
    """``a, b, c and 7 more``."""
    shown = ", ".join(texts[:most])
    return shown if len(texts) <= most else f"{shown} and {len(texts) - most} more"


def span(start: float, end: float) -> str:
    """Seconds as ``1.5-3 s``."""
    return f"{round(start, 3):g}-{round(end, 3):g} s"


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """HTML of a table with a caption above it."""
    every = list(rows)
    lines = [f"<table><caption>{escape(caption)}</caption>", _row("th", header)]
    lines += [_row("td", row) for row in every[:_MOST]]
    if len(every) > _MOST:
        lines.append(f'<tr><td colspan="{len(header)}">and {len(every) - _MOST} more</td></tr>')
    return "\n".join([*lines, "</table>"])


def _row(kind: str, cells: Sequence[object]) -> str:
    return "<tr>" + "".join(f"<{kind}>{escape(str(cell))}</{kind}>" for cell in cells) + "</tr>"
