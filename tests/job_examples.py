"""Functions that processes started anew can import."""

from __future__ import annotations


def even(number: int) -> int | None:
    return None if number % 2 else 10 * number


def reciprocal(number: int) -> float:
    return 1 / number
