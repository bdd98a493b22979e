"""Cancelling work: who is told, from where, and that nothing takes it for a failure."""

from __future__ import annotations

import threading

import pytest

from avis_cli.batch.cancel import Cancelled, CancelToken, with_cancellation


def test_work_is_wanted_until_it_is_cancelled() -> None:
    token = CancelToken()
    token.check()
    assert not token.is_cancelled
    token.cancel()
    token.cancel()
    assert token.is_cancelled
    with pytest.raises(Cancelled):
        token.check()


def test_a_child_follows_its_parent_and_not_the_other_way_round() -> None:
    parent = CancelToken()
    child, other = CancelToken(parent), CancelToken(parent)
    child.cancel()
    assert child.is_cancelled
    assert not parent.is_cancelled
    assert not other.is_cancelled
    parent.cancel()
    assert other.is_cancelled


def test_progress_passes_on_what_it_is_told_until_then() -> None:
    token, told = CancelToken(), list[tuple[str, int, int | None]]()
    progress = with_cancellation(lambda *step: told.append(step), token)
    progress("masks", 1, None)
    token.cancel()
    with pytest.raises(Cancelled):
        progress("masks", 2, None)
    assert told == [("masks", 1, None)]


def test_it_is_no_failure_that_work_could_catch() -> None:
    assert not issubclass(Cancelled, Exception)


def test_another_thread_is_told() -> None:
    token, ended = CancelToken(), threading.Event()

    def work() -> None:
        try:
            while True:
                token.check()
        except Cancelled:
            ended.set()

    thread = threading.Thread(target=work)
    thread.start()
    token.cancel()
    thread.join(20)
    assert ended.is_set()
