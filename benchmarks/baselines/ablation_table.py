"""The kept scores of the ablations -> Markdown."""

from __future__ import annotations

from typing import Any

COLUMNS = {
    "FSLA": "FSLA",
    "HOTA": "HOTA",
    "mAP": "mAP",
    "twins": "twins",
    "suppressed": "silent suppressed",
    "untouched": "silent untouched",
    "FSLA released": "FSLA released",
    "HOTA released": "HOTA released",
    "mAP released": "mAP released",
}
"""Score -> heading."""
GROUPS = {"bundled": "bundled weights", "short": "short budget"}


def table(document: dict[str, Any]) -> str:
    """One table for each group of rows, FSLA with its interval and its difference to the row it is compared with."""
    return "\n".join(_group(document, group, title) for group, title in GROUPS.items())


def _group(document: dict[str, Any], group: str, title: str) -> str:
    rows = [row for row in document["rows"] if row["group"] == group]
    heads = [title, "FSLA", "95 % interval", "difference", *list(COLUMNS.values())[1:]]
    lines = [_line(heads), "|---|" + "---:|" * (len(heads) - 1), *(_line(_cells(row)) for row in rows)]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    scores = row["scores"]
    difference = _interval(row["differences"]["FSLA"], "+") if "differences" in row else ""
    rest = [_number(scores[name]) for name in list(COLUMNS)[1:]]
    return [row["name"], _number(scores["FSLA"]), _interval(row["intervals"]["FSLA"]), difference, *rest]


def _interval(ends: list[float], sign: str = "") -> str:
    low, high = (f"{end:{sign}.1f}" for end in ends)
    return f"{low} to {high}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
