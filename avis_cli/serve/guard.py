"""Who may ask the page for what: the token, the Host header, and connections that only hold a place."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

REQUEST_SECONDS = 10.0
"""That a connection may take to send its request, and to take in the end of its answer."""
MOST_WAITING = 128
"""Connections whose request has not come yet; of more the oldest are closed, so that new ones get in."""

_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"cross-origin-resource-policy": b"same-origin",
    b"connection": b"close",  # one request each: a second one, or a body, could be sent without end
}


def is_loopback(host: str) -> bool:
    """Whether ``host`` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """An ASGI application around ``app`` that answers 405, 421 and 401 in its place.

    ``token``: what every request has to carry, None for nothing. A name that somebody else's page has made to mean this
    machine is told by the Host header: it has to be ``host``, a name of the loopback, or an address in numbers; where a
    token is asked for any name will do, since the page of somebody else does not know it.
    """

    def __init__(self, app: Any, host: str, token: str | None) -> None:
        self._app, self._host, self._token = app, host, token

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.lower(): value for name, value in scope["headers"]}
        if scope["method"] not in ("GET", "HEAD"):
            await _answer(send, 405, "only GET")
        elif not self._knows(headers.get(b"host", b"").decode("latin-1")):
            await _answer(send, 421, "this page does not go by that name")
        elif not self._allows(scope, headers):
            await _answer(send, 401, "the token is missing or wrong: open the address that was printed")
        else:

            async def guarded(message: Any) -> None:
                if message["type"] == "http.response.start":
                    given = {name for name, _ in message["headers"]}
                    message["headers"] += [pair for pair in _HEADERS.items() if pair[0] not in given]
                await send(message)

            await self._app(scope, receive, guarded)

    def _knows(self, given: str) -> bool:
        name = given.rsplit(":", 1)[0] if not given.endswith("]") else given
        name = name.strip("[]").lower()
        if not name:
            return False
        if self._token is not None or name in (self._host, "localhost"):
            return True
        return is_loopback(name)

    def _allows(self, scope: Any, headers: Mapping[bytes, bytes]) -> bool:
        if self._token is None:
            return True
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        bearer = headers.get(b"authorization", b"").decode("latin-1")
        given = asked or bearer.removeprefix("Bearer ")
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token.encode())


async def _answer(send: Any, status: int, text: str) -> None:
    body = text.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *_HEADERS.items()]})
    await send({"type": "http.response.body", "body": body})


def patient_protocol() -> Any:
    """uvicorn's protocol, with an end to its patience: a connection that has not sent its request in time is closed,
    and the oldest of too many that wait."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    waiting: dict[Any, None] = {}

    class PatientProtocol(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            waiting[self] = None
            while len(waiting) > MOST_WAITING:
                oldest = next(iter(waiting))
                del waiting[oldest]
                oldest.transport.abort()
            self._impatience = self.loop.call_later(REQUEST_SECONDS, self._give_up)

        def handle_events(self) -> None:
            super().handle_events()
            if self.cycle is not None:
                waiting.pop(self, None)
                self._impatience.cancel()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._impatience = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.pop(self, None)
            self._impatience.cancel()
            super().connection_lost(exc)

        def _give_up(self) -> None:
            waiting.pop(self, None)
            if self.cycle is None:
                self.transport.abort()

    return PatientProtocol
