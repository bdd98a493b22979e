"""README.md and docs/*.md as tests need them: their fenced blocks, and the comment that stands above each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from paths import ROOT

_FENCE = re.compile(r"(?P<mark>```+)(?P<language>[\w-]*)\s*")
_COMMENT = re.compile(r"<!--\s*(?P<text>.*?)\s*-->")


def pages() -> list[Path]:
    """The README and every page of the docs."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@dataclass(frozen=True)
class Block:
    """``line``: of its first line of text in the page, from 1; ``note``: the comment right above it, or nothing."""

    language: str
    text: str
    line: int
    note: str

    @property
    def is_not_run(self) -> bool:
        """Whether the page says that the block is only to be read."""
        return self.note.startswith("not run:")

    @property
    def needs(self) -> str | None:
        """The library without which the block is not run."""
        return self.note.removeprefix("needs:").strip() if self.note.startswith("needs:") else None


def blocks(page: Path) -> list[Block]:
    """The page's fenced blocks in order. A fence that is not closed is an AssertionError."""
    return list(_blocks(page.read_text(encoding="utf-8").splitlines(), page.name))


def _blocks(lines: list[str], name: str) -> Iterator[Block]:
    begin, open_fence = 0, None
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.fullmatch(line)
        if open_fence is None and fence is not None:
            begin, open_fence = number, fence
        elif open_fence is not None and fence is not None and fence["mark"] == open_fence["mark"]:
            text = "\n".join(lines[begin : number - 1]) + "\n"
            above = _COMMENT.fullmatch(lines[begin - 2].strip()) if begin > 1 else None
            yield Block(open_fence["language"], text, begin + 1, above["text"] if above is not None else "")
            open_fence = None
    assert open_fence is None, f"{name}:{begin}: this block has no end"
