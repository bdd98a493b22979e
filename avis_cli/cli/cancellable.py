"""Work that Ctrl-C and the like end at any moment, within two seconds and without a trace.

A signal raises its exception wherever the main thread happens to be: between the making of a folder and the promise to
remove it, or inside a library that takes the exception for a failure of its own. So the work runs in a thread of its
own and the main thread does nothing but wait: the signal reaches that wait, at once however long one step of the
network takes. The work is told by the token it was given, at its next word about progress, and cleans up as after any
failure; where that word is slow to come what it has begun to write is removed for it, and the process ends without it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from avis_cli.batch.cancel import CancelToken
from avis_cli.cli import console
from avis_cli.files import partial

Result = TypeVar("Result")

PATIENCE = 0.9
"""Seconds that cancelled work has for ending by itself, unless told otherwise."""

_GLANCE = 0.25  # seconds: where a wait without end cannot be interrupted (Windows) a signal is seen between two

_at_work: set[threading.Thread] = set()


def cancellable(
    work: Callable[[CancelToken], Result], *, drain: CancelToken | None = None, patience: float = PATIENCE
) -> Result:
    """What ``work`` returns or raises; or what a signal raises in this thread, after the work has been cancelled.

    ``drain``: a token of work that can come to an early end by itself; the first Ctrl-C cancels only that.
    ``patience``: seconds that cancelled work has for ending by itself.
    """
    token = CancelToken()
    if threading.current_thread() is not threading.main_thread():
        return work(token)  # no signal comes here
    outcome: Future[Result] = Future()
    thread = threading.Thread(target=_settle, args=(outcome, work, token), name="work", daemon=True)
    try:
        _at_work.add(thread)
        thread.start()
        while not outcome.done():
            try:
                wait([outcome], _GLANCE)
            except KeyboardInterrupt:
                if drain is None or drain.is_cancelled:
                    raise
                drain.cancel()
                console.note("no other input is begun, what runs is finished; Ctrl-C once more ends it too")
        return outcome.result()
    except BaseException:
        if not outcome.done():
            with _undisturbed():
                _cancel(thread, token, patience)
        raise
    finally:
        if outcome.done():
            _at_work.discard(thread)


def is_unfinished() -> bool:
    """Whether cancelled work still runs, which only the end of the process ends."""
    return any(thread.is_alive() for thread in _at_work)


def _settle(outcome: Future[Result], work: Callable[[CancelToken], Result], token: CancelToken) -> None:
    try:
        outcome.set_result(work(token))
    except BaseException as error:
        outcome.set_exception(error)


def _cancel(thread: threading.Thread, token: CancelToken, patience: float) -> None:
    token.cancel()
    if thread.ident is not None:
        thread.join(patience)
    if thread.is_alive():
        partial.abandon()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """The impatient press Ctrl-C twice: the second one would end the cleaning up."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
