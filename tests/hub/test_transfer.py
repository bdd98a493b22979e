"""One file over HTTP: resumed, checked against what was announced, given up in one line for each way to fail."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_files import FakeFiles, serve

from avis_cli.errors import WeightsError
from avis_cli.hub import download, refusal, sources, transfer
from avis_cli.hub.pace import Pace
from avis_cli.hub.sources import Remote

CONTENT = bytes(range(256)) * 40
BIN = {"/w.pth": CONTENT}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFiles]:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("AVIS_OFFLINE")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    with serve() as running:
        running.files.update(BIN)
        running.drive["ID"] = ("w.pth", CONTENT)
        monkeypatch.setattr(sources, "DRIVE", running.url)
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which pass at once."""
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    return waited


def get(server: FakeFiles, folder: Path, remote: Remote | None = None, **options: Any) -> Path:
    options = {"announce": lambda *_: None, **options}
    return transfer.fetch(remote or Remote(f"{server.url}/w.pth", "here"), folder, **options)


def drive(server: FakeFiles, file: str = "ID") -> Remote:
    return sources.find(f"https://drive.google.com/file/d/{file}/view?usp=sharing")[0]


def failure(server: FakeFiles, folder: Path, remote: Remote | None = None, **options: Any) -> str:
    with pytest.raises(WeightsError) as caught:
        get(server, folder, remote, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


def part(folder: Path) -> int | None:
    path = folder / transfer.PART
    return path.stat().st_size if path.exists() else None


def test_a_file_comes_under_its_name_and_leaves_nothing_beside_it(server: FakeFiles, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int | None]] = []
    told: list[tuple[str, int | None, int]] = []
    path = get(server, tmp_path / "a", progress=lambda *s: steps.append(s), announce=lambda *t: told.append(t))
    assert path == tmp_path / "a" / "w.pth"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["w.pth"]
    assert told == [("w.pth", len(CONTENT), 0)]
    assert steps[-1] == ("downloading", len(CONTENT), len(CONTENT))


def test_a_download_that_breaks_off_goes_on_where_it_was(server: FakeFiles, tmp_path: Path) -> None:
    server.cuts = [1000, 2000]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.downloads == [None, "bytes=1000-", "bytes=3000-"]


def test_a_later_run_goes_on_where_an_earlier_one_stopped(server: FakeFiles, tmp_path: Path) -> None:
    def stop(phase: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    server.cuts = [1000]
    with pytest.raises(KeyboardInterrupt):
        get(server, tmp_path, progress=stop)
    assert part(tmp_path) == 1000
    told: list[tuple[str, int | None, int]] = []
    assert get(server, tmp_path, announce=lambda *t: told.append(t)).read_bytes() == CONTENT
    assert server.downloads == [None, "bytes=1000-"]
    assert told == [("w.pth", len(CONTENT), 1000)]


def test_a_download_that_brings_nothing_more_is_given_up_and_kept(server: FakeFiles, tmp_path: Path) -> None:
    server.cuts = [1000, 0, 0, 0, 0]
    line = failure(server, tmp_path)
    assert "w.pth: the download broke off; run again, it goes on from where it stopped" in line
    assert len(server.downloads) == 4
    assert part(tmp_path) == 1000
    server.cuts = []
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_download_of_many_pieces_ends(server: FakeFiles, tmp_path: Path) -> None:
    server.cuts = [10] * 50
    assert "the download broke off" in failure(server, tmp_path)
    assert len(server.downloads) == transfer.ATTEMPTS


def test_a_file_that_changed_meanwhile_starts_again(server: FakeFiles, tmp_path: Path) -> None:
    server.cuts = [1000, 0, 0, 0]
    failure(server, tmp_path)
    server.files["/w.pth"] = other = bytes(reversed(CONTENT))
    assert get(server, tmp_path).read_bytes() == other


def test_a_rest_of_another_length_is_not_taken(server: FakeFiles, tmp_path: Path) -> None:
    server.etag = '"same"'  # a server that does not notice
    server.cuts = [1000, 0, 0, 0]
    failure(server, tmp_path)
    server.files["/w.pth"] = other = bytes(reversed(CONTENT)) + b"more"
    assert get(server, tmp_path).read_bytes() == other


def test_a_server_that_sends_less_of_the_rest_than_was_asked_for_is_asked_again(
    server: FakeFiles, tmp_path: Path
) -> None:
    server.cuts = [1000, 0, 0, 0]
    failure(server, tmp_path)
    server.total, server.cuts = 100, [100] * 20
    assert "the download broke off" in failure(server, tmp_path)
    assert part(tmp_path) == 1000 + 100 * transfer.ATTEMPTS


def test_a_server_without_ranges_starts_again(server: FakeFiles, tmp_path: Path) -> None:
    server.no_ranges = True
    server.cuts = [1000]
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_starts_again(server: FakeFiles, tmp_path: Path) -> None:
    server.cuts = [1000, 0, 0, 0]
    failure(server, tmp_path)
    with open(tmp_path / transfer.PART, "ab") as file:
        file.write(b"x" * len(CONTENT))
    assert get(server, tmp_path).read_bytes() == CONTENT


def test_a_part_that_nothing_is_known_of_is_not_trusted(server: FakeFiles, tmp_path: Path) -> None:
    (tmp_path / transfer.PART).write_bytes(b"x" * 100)
    (tmp_path / transfer.STATE).write_text("[")
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert server.downloads == [None]


def test_another_size_than_the_origin_said_is_refused(server: FakeFiles, tmp_path: Path) -> None:
    remote = Remote(f"{server.url}/w.pth", "here", size=5)
    assert f"the wrong file: {len(CONTENT)} bytes instead of 5; get it from elsewhere" in failure(
        server, tmp_path, remote
    )
    assert part(tmp_path) is None


@pytest.mark.parametrize("as_file", [True, False])
def test_a_page_is_not_taken_for_a_file(server: FakeFiles, tmp_path: Path, as_file: bool) -> None:
    server.page, server.page_as_file = "\n<!doctype html><p>Please log in", as_file
    assert "sent a web page instead of the file; open the address in a browser" in failure(server, tmp_path)
    assert not part(tmp_path)


def test_redirects_without_an_end_are_given_up(server: FakeFiles, tmp_path: Path) -> None:
    server.loop = True
    assert "leads from address to address without an end" in failure(server, tmp_path)
    assert len(server.requests) < 30


def test_no_address_without_encryption_follows_one_with_it() -> None:
    from types import SimpleNamespace

    def step(scheme: str) -> Any:
        return SimpleNamespace(url=SimpleNamespace(scheme=scheme))

    response = SimpleNamespace(history=[step("https")], url=step("http").url)
    with pytest.raises(refusal.UnsafeRedirectError):
        transfer._refuse_downgrade(response)
    line = str(refusal.explain(refusal.UnsafeRedirectError(), "w.pth", "https://a.example/w.pth"))
    assert "a.example leads to an address without https" in line


@pytest.mark.parametrize(
    ("status", "message", "asked"),
    [
        (403, "not allowed (403); open the address in a browser", 1),
        (404, "not found (404); check the address", 1),
        (418, "refused (418)", 1),
        (429, "too many requests (429); wait some minutes", 3),
        (500, "server error (500); run again later", 3),
        (503, "server error (503); run again later", 3),
    ],
)
def test_each_refusal_has_its_line_and_few_retries(
    server: FakeFiles, tmp_path: Path, status: int, message: str, asked: int
) -> None:
    server.answers = [(status, {})] * 9
    assert message in failure(server, tmp_path)
    assert len(server.requests) == asked


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_is_left_alone_for_as_long_as_it_asks(
    server: FakeFiles, tmp_path: Path, waits: list[float], status: int
) -> None:
    server.answers = [(status, {"Retry-After": "7"}), (status, {"Retry-After": formatdate(time.time() + 30)})]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert waits[0] == 7
    assert 25 < waits[1] <= 30


def test_nobody_waits_for_longer_than_a_minute(server: FakeFiles, tmp_path: Path, waits: list[float]) -> None:
    server.answers = [(429, {"Retry-After": "3600"})] * 3
    assert "too many requests (429)" in failure(server, tmp_path)
    assert (waits, len(server.requests)) == ([], 1)


def test_a_wait_that_is_no_time_is_our_own(server: FakeFiles, tmp_path: Path, waits: list[float]) -> None:
    server.answers = [(503, {"Retry-After": "soon"}), (503, {"Retry-After": formatdate(0)})]
    assert get(server, tmp_path).read_bytes() == CONTENT
    assert waits == [0.0, 0.0]


def test_a_server_that_drips_is_given_up(server: FakeFiles, tmp_path: Path) -> None:
    server.drip = 0.02
    began = time.monotonic()
    assert "sends next to nothing" in failure(server, tmp_path, least=Pace(size=1000, seconds=0.4))
    assert time.monotonic() - began < 20


def test_a_server_that_says_nothing_is_given_up(server: FakeFiles, tmp_path: Path) -> None:
    server.drip = 3.0
    assert "did not answer in time" in failure(server, tmp_path, least=Pace(size=1000, seconds=0.3))


def test_nobody_there(tmp_path: Path, server: FakeFiles) -> None:
    remote = Remote("http://127.0.0.1:9/w.pth", "nobody")
    assert "w.pth: cannot connect to 127.0.0.1:9; check the network" in failure(server, tmp_path, remote)


def test_a_full_disk_is_told_before_the_download(
    server: FakeFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=500))
    assert "no space: needs 0.0 MB, 0.0 MB are free" in failure(server, tmp_path)


def test_a_disk_that_fills_up_on_the_way_is_told_and_freed(server: FakeFiles, tmp_path: Path) -> None:
    def full(phase: str, done: int, total: int | None) -> None:
        raise OSError(28, "No space left on device")

    line = failure(server, tmp_path / "a", progress=full)
    assert "no space left on the disk; free some disk space, or set AVIS_HOME to another disk" in line
    assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_made_is_told(server: FakeFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot keep the download" in failure(server, tmp_path / "file" / "a")


@pytest.mark.parametrize("confirm", [True, False])
def test_google_drive_gives_a_file_with_and_without_asking(server: FakeFiles, tmp_path: Path, confirm: bool) -> None:
    server.confirm = confirm
    path = get(server, tmp_path, drive(server))
    assert (path.name, path.read_bytes()) == ("w.pth", CONTENT)


def test_google_drive_goes_on_where_it_broke_off(server: FakeFiles, tmp_path: Path) -> None:
    server.confirm, server.cuts = True, [1000]
    assert get(server, tmp_path, drive(server)).read_bytes() == CONTENT
    # a part is asked of the file only: of a page it would be no use
    assert [part for part in server.downloads if part] == ["bytes=1000-"]


def test_a_file_that_too_many_want_is_told_as_that(server: FakeFiles, tmp_path: Path) -> None:
    server.quota = True
    line = failure(server, tmp_path, drive(server))
    assert "too many have fetched it today, its quota is used up; wait a day, or fetch it in a browser" in line


def test_a_file_that_drive_keeps_asking_about_is_given_up(server: FakeFiles, tmp_path: Path) -> None:
    server.page = f'<form id="download-form" action="{server.url}/confirmed"></form>'
    assert "sent a web page instead of the file" in failure(server, tmp_path, drive(server))
    assert len(server.requests) == transfer.PAGES


def test_a_page_without_an_end_is_not_read_to_it(
    server: FakeFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PAGE", 1000)
    server.page = "x" * 5000
    assert "sent a web page instead of the file" in failure(server, tmp_path, drive(server))


@pytest.mark.parametrize(
    ("given", "kept"),
    [("../../etc/passwd", "passwd"), (".bashrc", "bashrc"), ("a b\x1b.pth", "a_b_.pth"), ("..", "file"), ("", "w.pth")],
)
def test_no_name_leads_out_of_the_folder(server: FakeFiles, tmp_path: Path, given: str, kept: str) -> None:
    from urllib.parse import quote

    server.drive["ID"] = (given, CONTENT)
    remote = drive(server)
    if not given:
        remote = Remote(f"{server.url}/w.pth", "here")
    if "\x1b" in given:
        remote = Remote(f"{server.url}/{quote(given)}", "here")
        server.files[f"/{quote(given)}"] = CONTENT
    assert get(server, tmp_path, remote) == tmp_path / kept


def test_a_wait_of_too_many_digits_is_too_long() -> None:
    error = Exception()
    error.response = SimpleNamespace(headers={"Retry-After": "9" * 30}, status_code=429)  # type: ignore[attr-defined]
    assert refusal.wait_before_retry(error, 1.0) is None
