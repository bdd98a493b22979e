"""The live page: who may see it, what it gives, and that nobody who looks slows the stream."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from avis_cli.errors import UsageError
from avis_cli.results.frame import FrameResult, FrameTrack, Latency
from avis_cli.serve import guard
from avis_cli.serve.page import LivePage, encode_jpeg, split_address

PICTURE = np.full((32, 48, 3), 90, np.uint8)
HOSTILE = "</script><b>x"


def result(time: float = 1.0, label: str = "bell", dropped: int = 0) -> FrameResult:
    track = FrameTrack(2, 1, label, 0.75, True, None, (1, 2, 3, 4))
    return FrameResult(time, (track,), 7, Latency(1, 2, 30, 33), None, dropped)


@contextmanager
def serving(**settings: Any) -> Iterator[LivePage]:
    page = LivePage("127.0.0.1", 0, **settings)
    page.start()
    try:
        yield page
    finally:
        page.close()


def get(page: LivePage, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@contextmanager
def viewer(page: LivePage, path: str) -> Iterator[Any]:
    connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    until(lambda: page._viewers.count > 0)
    try:
        yield answer
    finally:
        answer.close()
        connection.close()


def until(holds: Any, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:81", ("0.0.0.0", 81)),
        ("[::1]:9", ("::1", 9)),
        ("localhost:0", ("localhost", 0)),
    ],
)
def test_addresses_are_read(text: str, address: tuple[str, int]) -> None:
    assert split_address(text) == address


@pytest.mark.parametrize("text", ["", "web", "70000", "a:b", ":80", "::1:80", "1.2.3.4:", "80 80", "-1"])
def test_what_is_no_address_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(UsageError, match=r"--serve .*expected PORT or HOST:PORT"):
        split_address(text)


def test_the_page_holds_its_scripts_by_a_nonce_that_changes() -> None:
    with serving(title=HOSTILE) as page:
        status, headers, body = get(page, "/")
        policy = headers["content-security-policy"]
        nonce = policy.partition("script-src 'nonce-")[2].partition("'")[0]
        text = body.decode()
        assert status == 200
        assert text.count(f'nonce="{nonce}"') == 2
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert HOSTILE not in text, "the title is text"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert nonce not in get(page, "/")[1]["content-security-policy"]


def test_events_are_the_frames_without_masks() -> None:
    with serving() as page, viewer(page, "/events") as answer:
        assert answer.getheader("content-type").startswith("text/event-stream")
        page.event("gap", {"cause": "it broke off"})
        page.frame(PICTURE, result(label=HOSTILE), levels=[0.25, 1.0])
        lines = [answer.readline().decode().strip() for _ in range(6)]
        assert lines[0] == "retry: 2000"
        assert lines[2:4] == ["event: gap", 'data: {"cause": "it broke off"}']
        frame = json.loads(lines[5].removeprefix("data: "))
        assert (frame["t"], frame["frame"], frame["levels"]) == (1.0, 7, [0.25, 1.0])
        (track,) = frame["tracks"]
        assert (track["id"], track["label"], track["sounding"]) == (2, HOSTILE, True)
        assert "rle" not in track
        assert len(track["colour"]) == 7


def test_the_picture_is_a_row_of_jpegs() -> None:
    with serving() as page, viewer(page, "/stream.mjpg") as answer:
        assert answer.getheader("content-type") == "multipart/x-mixed-replace; boundary=frame"
        page.frame(PICTURE, result())
        assert answer.readline() == b"--frame\r\n"
        assert answer.readline() == b"Content-Type: image/jpeg\r\n"
        length = int(answer.readline().partition(b":")[2])
        answer.readline()
        assert answer.read(length) == encode_jpeg(PICTURE)


def test_a_jpeg_has_the_colours_of_its_picture() -> None:
    import cv2

    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    back = cv2.imdecode(np.frombuffer(encode_jpeg(red), np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert back[8, 8, 2] > 200 > 60 > back[8, 8, 0], "OpenCV's order is blue, green, red"


def test_nothing_is_encoded_while_nobody_looks_and_once_for_all_who_do() -> None:
    encoded: list[int] = []

    def counted(picture: Any) -> bytes:
        encoded.append(int(picture[0, 0, 0]))
        return b"x"

    with serving(encode=counted) as page:
        page.frame(PICTURE, result())
        with viewer(page, "/events"):
            page.frame(PICTURE, result())
        until(lambda: page._viewers.count == 0)
        assert encoded == []
        with viewer(page, "/stream.mjpg") as one, viewer(page, "/stream.mjpg") as other:
            until(lambda: page._viewers.count == 2)
            page.frame(PICTURE + 1, result())
            for answer in (one, other):
                assert answer.readline() == b"--frame\r\n"
            assert encoded == [91]


def test_a_slow_viewer_gets_the_newest_picture_and_holds_nobody_up() -> None:
    big = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    with serving() as page, viewer(page, "/stream.mjpg"), viewer(page, "/events"):
        begun = time.perf_counter()
        for number in range(200):
            page.frame(big, result(float(number)))
        assert time.perf_counter() - begun < 1.0, "feeding waits for nobody"
        with viewer(page, "/stream.mjpg") as quick:
            page.frame(PICTURE, result())
            assert quick.readline() == b"--frame\r\n"


def test_a_listener_who_does_not_read_misses_the_oldest() -> None:
    from avis_cli.serve.page import _EVENTS, _Viewers

    async def missed() -> list[str]:
        viewers = _Viewers(encode_jpeg)
        stream, leave = viewers.listen()
        assert viewers.count == 1
        first = [await anext(stream)]
        assert first == ["retry: 2000\n\n"]
        for number in range(_EVENTS + 5):
            viewers._told(None, str(number))
        got = [await anext(stream) for _ in range(_EVENTS)]
        leave()
        assert viewers.count == 0
        return got

    import asyncio

    got = asyncio.run(missed())
    assert got[0] == "5"
    assert got[-1] == str(_EVENTS + 4)


def test_more_viewers_than_allowed_are_told_to_come_back() -> None:
    with serving(max_viewers=1) as page, viewer(page, "/events"):
        for path in ("/events", "/stream.mjpg"):
            status, headers, _ = get(page, path)
            assert status == 503
            assert headers["retry-after"] == "10"
        assert get(page, "/metrics")[0] == 200


def test_viewers_who_come_at_once_are_no_more_than_allowed() -> None:
    with serving(max_viewers=3) as page:
        crowd = [socket.create_connection(("127.0.0.1", page.port), timeout=5) for _ in range(30)]
        for one in crowd:
            one.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            answers = [one.recv(12) for one in crowd]
            assert sorted(answers) == [b"HTTP/1.1 200"] * 3 + [b"HTTP/1.1 503"] * 27
            assert page._viewers.count == 3
        finally:
            for one in crowd:
                one.close()
        until(lambda: page._viewers.count == 0)
        with viewer(page, "/events"):
            assert page._viewers.count == 1, "places are given back"


def _asking(page: LivePage, request: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", page.port), timeout=5)
    connection.sendall(request)
    return connection


def test_numbers_that_json_does_not_have_do_not_stop_the_stream() -> None:
    with serving() as page, viewer(page, "/events") as answer:
        page.frame(PICTURE, result(), levels=[float("nan"), 0.5])
        page.event("gap", {"seconds": float("inf"), "size": (1, np.int64(2))})
        lines = [answer.readline().decode().strip() for _ in range(6)]
        assert json.loads(lines[2].removeprefix("data: "))["levels"] == [None, 0.5]
        assert json.loads(lines[5].removeprefix("data: ")) == {"seconds": None, "size": [1, "2"]}


def test_health_says_how_long_ago_the_last_frame_was(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as page:
        status, _, body = get(page, "/healthz")
        assert (status, json.loads(body)["seconds_since_frame"]) == (503, None)
        page.frame(PICTURE, result())
        status, _, body = get(page, "/healthz")
        assert (status, json.loads(body)["status"]) == (200, "ok")
        monkeypatch.setattr("avis_cli.serve.page._ALIVE_SECONDS", 0.0)
        assert get(page, "/healthz")[0] == 503


def test_metrics_are_what_prometheus_reads() -> None:
    with serving() as page:
        page.frame(PICTURE, result(dropped=3), metrics={"frames_per_second": 24.5})
        page.frame(PICTURE, result(dropped=1), metrics={"frames_per_second": 25.0})
        _, headers, body = get(page, "/metrics")
        lines = body.decode().splitlines()
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        for line in (
            "avis_frames_total 2", "avis_dropped_total 4", "avis_sounding_tracks 1", "avis_viewers 0",
            'avis_latency_seconds{part="model"} 0.030000', "avis_frames_per_second 25.0",
        ):  # fmt: skip
            assert line in lines
        names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
        assert {line.partition("{")[0].split()[0] for line in lines if not line.startswith("#")} == names


def test_without_the_token_there_is_nothing() -> None:
    with serving(token="s3cret") as page:
        assert page.url.endswith("?token=s3cret")
        for path in ("/", "/events", "/stream.mjpg", "/healthz", "/metrics", "/nowhere"):
            assert get(page, path)[0] == 401
            assert get(page, f"{path}?token=wrong")[0] == 401
        assert get(page, "/?token=s3cret")[0] == 200
        assert get(page, "/metrics", Authorization="Bearer s3cret")[0] == 200
        assert get(page, "/metrics", Authorization="Bearer s3cre")[0] == 401
        assert get(page, "/?token=s3cret", Host="anything.example")[0] == 200


def test_another_host_makes_a_token_and_the_loopback_none() -> None:
    assert LivePage("127.0.0.1", 0).token is None
    assert LivePage("localhost", 0).token is None
    assert LivePage("::1", 0).token is None
    one, other = LivePage("0.0.0.0", 0), LivePage("0.0.0.0", 0)
    assert one.token is not None
    assert len(one.token) >= 16
    assert one.token != other.token
    assert LivePage("192.168.1.5", 0, token="mine").token == "mine"
    assert LivePage("0.0.0.0", 0, token="").token, "an empty token is none"
    assert LivePage("127.0.0.1", 0, token="a&b c").url.endswith("/?token=a%26b%20c")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_a_name_that_somebody_else_chose_is_not_answered_to(host: str) -> None:
    with serving() as page:
        assert get(page, "/", Host=host)[0] in (400, 421)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:8080", "[::1]:80", "127.0.0.5"])
def test_names_of_the_loopback_are(host: str) -> None:
    with serving() as page:
        assert get(page, "/", Host=host)[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_changed(method: str) -> None:
    with serving() as page:
        assert get(page, "/", method)[0] == 405
        assert get(page, "/", "HEAD")[0] == 200


def test_a_taken_port_is_told() -> None:
    with serving() as page, pytest.raises(UsageError, match=rf"cannot have 127\.0\.0\.1:{page.port} .*another port"):
        LivePage("127.0.0.1", page.port).start()
    with pytest.raises(UsageError, match=r"cannot have 203\.0\.113\.1"):
        LivePage("203.0.113.1", 0).start()


def test_connections_that_only_hold_a_place_give_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as page:
        held = [socket.create_connection(("127.0.0.1", page.port), timeout=5) for _ in range(guard.MOST_WAITING + 72)]
        try:
            for one in held:
                one.sendall(b"GET / HT")
            assert get(page, "/metrics")[0] == 200
            until(lambda: _is_closed(held[0]))
            assert not _is_closed(held[-1])
        finally:
            for one in held:
                one.close()


def test_a_request_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "REQUEST_SECONDS", 0.2)
    with serving() as page, socket.create_connection(("127.0.0.1", page.port), timeout=5) as slow:
        for _ in range(3):
            slow.sendall(b"G")
            time.sleep(0.02)
        until(lambda: _is_closed(slow), 2.0)


@pytest.mark.parametrize("more", [b"Content-Length: 100000\r\n\r\nx", b"\r\nGET /"], ids=["a body", "a second request"])
def test_a_connection_is_not_kept_by_what_follows_its_request(more: bytes) -> None:
    with serving(token="s3cret") as page:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + more
        held = [_asking(page, request) for _ in range(200)]
        try:
            until(lambda: all(_is_closed(one) for one in held), 3.0)
            assert get(page, "/?token=s3cret")[0] == 200
        finally:
            for one in held:
                one.close()


def test_a_malformed_request_writes_nothing_to_the_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    import logging

    with serving() as page, _asking(page, b"\x00\xff\r\n\r\n") as connection:
        assert connection.recv(12) == b"HTTP/1.1 400"
        assert any(isinstance(one, logging.NullHandler) for one in logging.getLogger("uvicorn.error").handlers)
    assert capfd.readouterr().err == ""


def _is_closed(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_closing_lets_every_viewer_go_and_leaves_no_thread() -> None:
    before = threading.active_count()
    page = LivePage("127.0.0.1", 0)
    page.start()
    ends: list[bytes] = []
    with viewer(page, "/stream.mjpg") as picture, viewer(page, "/events") as events:
        readers = [threading.Thread(target=lambda one=one: ends.append(one.read())) for one in (picture, events)]
        for reader in readers:
            reader.start()
        begun = time.monotonic()
        page.close()
        for reader in readers:
            reader.join(5)
        assert time.monotonic() - begun < 3
        assert len(ends) == 2
    page.close()
    until(lambda: threading.active_count() <= before)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", page.port), timeout=1)
    page.frame(PICTURE, result())  # a stream may outlive its page


def test_closing_ends_a_viewer_who_does_not_read() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    page = LivePage("127.0.0.1", 0)
    page.start()
    with _asking(page, b"GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n") as connection:
        until(lambda: page._viewers.count == 1)
        for number in range(40):
            page.frame(noise, result(float(number)))
            time.sleep(0.01)
        page.close()
        until(lambda: _is_closed(connection))


def test_without_its_libraries_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(UsageError, match=r"starlette and uvicorn.*pip install 'avis-cli\[stream\]'"):
        LivePage("127.0.0.1", 0)
