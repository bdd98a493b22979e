"""Downloads that hardly move are given up.

The Hub's client waits so many seconds for the next bytes, however few they are: a server that sends one at a time is
waited for for ever. Here what comes in is counted while the client waits for it, headers and content alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_CONNECTED = ("connect_tcp.complete", "start_tls.complete")  # what httpx reports of a connection that has come about


@dataclass(frozen=True)
class Pace:
    """The least that has to come: ``size`` bytes in each ``seconds`` of waiting."""

    size: int = 50_000
    seconds: float = 30.0


class StalledError(Exception):
    """A download that came too slowly."""


@contextmanager
def kept(client: Any, pace: Pace) -> Iterator[None]:
    """While the block runs, the connections that ``client`` (of httpx) opens keep to ``pace``, or StalledError is
    raised in what waits for them."""

    def watch(request: Any) -> None:
        request.extensions = {**request.extensions, "trace": trace}

    def trace(event: str, details: dict[str, Any]) -> None:
        if event.endswith(_CONNECTED):
            _Watch(details["return_value"], pace)

    before = client.event_hooks
    client.event_hooks = {**before, "request": [*before["request"], watch]}
    try:
        yield
    finally:
        client.event_hooks = {
            **client.event_hooks, "request": [hook for hook in client.event_hooks["request"] if hook is not watch]
        }  # fmt: skip


class _Watch:
    """Stands before a connection's ``read`` and ``write``."""

    def __init__(self, stream: Any, pace: Pace) -> None:
        self._pace = pace
        self._read: Callable[..., bytes] = stream.read
        self._write: Callable[..., None] = stream.write
        self._begin()
        stream.read, stream.write = self.read, self.write

    def _begin(self) -> None:
        self._waited, self._come = 0.0, 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        began = time.monotonic()
        data = self._read(max_bytes, timeout)
        self._waited += time.monotonic() - began
        self._come += len(data)
        if self._waited >= self._pace.seconds:
            if self._come < self._pace.size:
                raise StalledError
            self._begin()
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._begin()  # another question
        self._write(buffer, timeout)
