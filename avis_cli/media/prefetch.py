"""Items made ahead of their use, in a thread of their own: decoding and drawing go on while a frame is encoded."""

from __future__ import annotations

import threading
from collections.abc import Generator
from queue import Empty, Full, Queue
from typing import TypeVar

Item = TypeVar("Item")

_POLL = 0.1  # seconds between two checks whether the items are still wanted


class _End:
    """Behind the last item. ``error``: what the items ended with, None where they were all made."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def prefetch(items: Generator[Item, None, None], depth: int = 2) -> Generator[Item, None, None]:
    """The same items in the same order, up to ``depth`` of them made before they are asked for.

    What ``items`` raises is raised here, behind the items before it. When this iterator is closed, or fails, ``items``
    is closed too, and nothing of it runs any more.
    """
    made: Queue[Item | _End] = Queue(depth)
    unwanted = threading.Event()

    def offer(item: Item | _End) -> bool:
        while not unwanted.is_set():
            try:
                made.put(item, timeout=_POLL)
            except Full:
                continue
            return True
        return False

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                if not offer(item):
                    break
        except BaseException as raised:
            error = raised
        finally:
            items.close()
        offer(_End(error))

    thread = threading.Thread(target=make, name="prefetch", daemon=True)
    thread.start()
    try:
        while not isinstance(item := _next(made, thread), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        unwanted.set()
        thread.join()


def _next(made: Queue[Item | _End], thread: threading.Thread) -> Item | _End:
    while True:
        try:
            return made.get(timeout=_POLL)
        except Empty:
            if not thread.is_alive() and made.empty():
                return _End(RuntimeError("the thread that makes the items has gone"))
