"""How work that nobody wants any more is told: a token that is passed along with it."""

from __future__ import annotations

import threading

from avis_cli.progress import Progress


class Cancelled(BaseException):
    """Ends work that nobody wants any more; no failure, so nothing may catch it as one."""


class CancelToken:
    """Asked by work at its every step. May be used from any thread; once cancelled it stays so.

    ``parent``: a token whose cancelling cancels this one too, but not the other way round.
    """

    def __init__(self, parent: CancelToken | None = None) -> None:
        self._event = threading.Event()
        self._parent = parent

    def cancel(self) -> None:
        """Call the work off."""
        self._event.set()

    @property
    def is_cancelled(self) -> bool:
        return self._event.is_set() or (self._parent is not None and self._parent.is_cancelled)

    def check(self) -> None:
        """Raise Cancelled where the work has been called off."""
        if self.is_cancelled:
            raise Cancelled


def with_cancellation(progress: Progress, token: CancelToken) -> Progress:
    """``progress`` whose every call also asks whether the work is still wanted."""

    def checked(phase: str, done: int, total: int | None) -> None:
        token.check()
        progress(phase, done, total)

    return checked
