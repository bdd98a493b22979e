"""How long work tells how far it is: a callback, so that library code never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as ``progress(phase, done, total)``; ``total`` is None where nobody can know it."""

    def __call__(self, phase: str, done: int, total: int | None) -> None: ...


def silent(phase: str, done: int, total: int | None) -> None:
    """The callback of callers who do not want to know."""
