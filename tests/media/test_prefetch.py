"""Items made in a thread ahead of their use are the same items, and end with their user."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from avis_cli.media.prefetch import prefetch


def counted(log: list[object], count: int = 1000) -> Generator[int, None, None]:
    try:
        for number in range(count):
            log.append(number)
            yield number
    finally:
        log.append("closed")


def test_all_items_in_order() -> None:
    log: list[object] = []
    assert list(prefetch(counted(log, 100))) == list(range(100))
    assert log == [*range(100), "closed"]


def test_no_more_are_made_than_asked_for() -> None:
    log: list[object] = []
    items = prefetch(counted(log), depth=3)
    assert next(items) == 0
    time.sleep(0.3)
    assert len(log) <= 1 + 3 + 1  # used, waiting, and one in the hand
    assert next(items) == 1
    items.close()


def test_a_failure_comes_after_the_items_before_it() -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        yield 2
        raise ValueError("the third")

    items = prefetch(failing())
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(ValueError, match="the third"):
        next(items)


def test_closing_ends_the_thread_and_the_items() -> None:
    log: list[object] = []
    before = threading.active_count()
    items = prefetch(counted(log))
    next(items)
    items.close()
    assert log[-1] == "closed"
    assert threading.active_count() == before


def test_nothing_is_nothing() -> None:
    assert list(prefetch(counted([], 0))) == []
