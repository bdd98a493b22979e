"""A Hugging Face Hub on the loopback that serves the files it is told to, in the ways it is told to misbehave."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """``files``: (repository, file) -> content; every revision in ``revisions`` is ``COMMIT``.

    ``status``: answer everything with this status and ``error_code``; ``failures``: only the first so many requests.
    ``only_get``: misbehave in downloads only. ``cut``: bytes left out at the end of each download. ``announce_less``:
    announce the cut length rather than the whole one. ``swap``: bytes to send instead. ``portal``: send a login page.
    ``drip``: seconds before each byte of a download; ``drip_headers``: and before each byte of any answer's headers.
    ``pause``: seconds before each answer.
    """

    url: str = ""
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    revisions: tuple[str, ...] = ("main", COMMIT)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    status: int | None = None
    error_code: str | None = None
    failures: int | None = None
    only_get: bool = False
    cut: int = 0
    announce_less: bool = False
    swap: bytes | None = None
    portal: bool = False
    large_files: bool = True
    drip: float = 0.0
    drip_headers: bool = False
    pause: float = 0.0

    def answer(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        self.requests.append((method, handler.path, handler.headers.get("authorization")))
        time.sleep(self.pause)
        if self.drip and (self.drip_headers or method == "GET"):
            self._drip(handler)
        elif self._fails(method):
            assert self.status is not None
            _send(handler, self.status, {"X-Error-Code": self.error_code} if self.error_code else {}, b"no", method)
        elif self.portal:
            _send(handler, 200, {"Content-Type": "text/html"}, b"<html>Please log in</html>", method)
        else:
            self._serve(handler, method)

    def _fails(self, method: str) -> bool:
        if self.status is None or (self.only_get and method == "HEAD"):
            return False
        if self.failures is None:
            return True
        self.failures -= 1
        return self.failures >= 0

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        """Byte after byte until nobody listens."""
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        if not self.drip_headers:
            size = len(next(iter(self.files.values())))
            handler.wfile.write(f"Content-Length: {size}\r\n\r\n".encode())
        try:
            while True:
                time.sleep(self.drip)
                handler.wfile.write(b"x")
        except OSError:
            pass

    def _serve(self, handler: BaseHTTPRequestHandler, method: str) -> None:
        owner, name, verb, revision, file = handler.path.lstrip("/").split("/", 4)
        repo = f"{owner}/{name}"
        if verb != "resolve" or repo not in {repo for repo, _ in self.files}:
            return _send(handler, 404, {"X-Error-Code": "RepoNotFound"}, b"", method)
        if unquote(revision) not in self.revisions:
            return _send(handler, 404, {"X-Error-Code": "RevisionNotFound"}, b"", method)
        content = self.files.get((repo, unquote(file)))
        if content is None:
            return _send(handler, 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT}, b"", method)
        digest = hashlib.sha256(content) if self.large_files else hashlib.sha1(content)
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{digest.hexdigest()}"'}
        if self.large_files:
            headers |= {"X-Linked-Etag": f'"{digest.hexdigest()}"', "X-Linked-Size": str(len(content))}
        body = self.swap if self.swap is not None else content
        return _send(handler, 200, headers, body, method, self.cut, self.announce_less)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    headers: dict[str, Any],
    body: bytes,
    method: str,
    cut: int = 0,
    announce_less: bool = False,
) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    sent = body[: len(body) - cut] if method == "GET" else b""
    announced = len(sent) if announce_less and method == "GET" else len(body)
    handler.send_header("Content-Length", str(announced))
    handler.end_headers()
    handler.wfile.write(sent)
    if cut:
        handler.close_connection = True


@contextmanager
def serve() -> Iterator[FakeHub]:
    """A running hub; ``url`` is its address."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            hub.answer(self, "HEAD")

        def do_GET(self) -> None:
            hub.answer(self, "GET")

        def log_message(self, *arguments: Any) -> None:
            """Nothing: what was asked is kept in ``requests``."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
