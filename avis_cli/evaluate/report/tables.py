"""A table as data, and as text of at most 100 columns or as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from avis_cli.text import printable

WIDTH = 100  # columns
_GAPS = ("  ", " ")  # between columns: the first that fits
_SHORTEST_NAME = 8


@dataclass(frozen=True)
class Table:
    """``header`` and ``rows`` have the same number of cells; the first cell of a row is its name, numbers follow.

    ``groups``: (heading, number of columns) over the columns after the first, if there are any. ``left``: positions
    of further columns that hold words. The last column may hold a sentence, which text wraps nowhere but cuts.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    groups: Sequence[tuple[str, int]] = ()
    left: frozenset[int] = frozenset()

    def text(self) -> str:
        """Aligned columns; names that do not fit are cut."""
        lines = [self.header, *([printable(cell) for cell in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in lines) for column in range(len(self.header))]
        gap = next((gap for gap in _GAPS if _total(widths, gap) <= WIDTH), _GAPS[-1])
        for column in (0, *sorted(self.left, reverse=True)):
            surplus = _total(widths, gap) - WIDTH
            if surplus > 0:
                widths[column] = max(min(widths[column], _SHORTEST_NAME), widths[column] - surplus)
        out = [cut(printable(self.title), WIDTH)]
        if self.groups:
            out.append(self._group_line(widths, gap))
        out += [self._line(row, widths, gap) for row in lines]
        return "\n".join(out)

    def _line(self, row: Sequence[str], widths: Sequence[int], gap: str) -> str:
        cells = [
            cut(cell, width).ljust(width) if column == 0 or column in self.left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return gap.join(cells).rstrip()

    def _group_line(self, widths: Sequence[int], gap: str) -> str:
        line, column = " " * widths[0], 1
        for heading, count in self.groups:
            width = _total(widths[column : column + count], gap)
            line += gap + (f" {heading} ".center(width, "-") if heading else " " * width)
            column += count
        return line.rstrip()

    def markdown(self) -> str:
        groups = [heading for heading, count in self.groups for _ in range(count)]
        header = [
            f"{heading} {cell}" if heading else cell
            for cell, heading in zip(self.header, ["", *groups] if groups else [""] * len(self.header), strict=True)
        ]
        rule = [":---" if column == 0 or column in self.left else "---:" for column in range(len(header))]
        rows = [header, rule, *self.rows]
        body = "\n".join("| " + " | ".join(map(_escaped, row)) + " |" for row in rows)
        return f"### {_escaped(self.title)}\n\n{body}"


def _total(widths: Sequence[int], gap: str) -> int:
    return sum(widths) + len(gap) * (len(widths) - 1)


def cut(text: str, width: int) -> str:
    """At most ``width`` characters, the end given up for ``..``."""
    return text if len(text) <= width else text[: max(width - 2, 0)] + ".."[:width]


def cut_path(path: str, width: int) -> str:
    """As ``cut``, but the end of a path says more than its beginning."""
    return path if len(path) <= width else ".." + path[len(path) - width + 2 :]


def _escaped(cell: str) -> str:
    # two spaces set a name in: Markdown would swallow them
    shown = " ".join(printable(cell).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").split())
    return f"&emsp;{shown}" if cell.startswith("  ") else shown


def number(value: float | None, digits: int = 2) -> str:
    """A percentage, or ``-`` where it is undefined; few characters however large it is."""
    if value is None:
        return "-"
    text = f"{value:.{digits}f}"
    return text if len(text) <= digits + 6 else f"{value:.1e}"


def signed(value: float | None) -> str:
    """A difference: with its sign, ``-`` where one side is undefined."""
    if value is None:
        return "-"
    return "0.00" if round(value, 2) == 0 else ("+" if value > 0 else "") + number(value)
