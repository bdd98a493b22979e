"""Work that a signal ends: soon, wherever it is, and with nothing half-written left."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from avis_cli.batch.cancel import CancelToken, with_cancellation
from avis_cli.cli import cancellable as module
from avis_cli.cli.cancellable import cancellable
from avis_cli.files.atomic import output_file
from avis_cli.progress import silent
from avis_cli.writers.result_folder import ResultFolder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Lets work end that would not by itself, so that no thread outlives its test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_after(*seconds: float) -> None:
    for pause in seconds:
        threading.Timer(pause, os.kill, (os.getpid(), signal.SIGINT)).start()


def seconds_until_interrupted(work: Callable[[CancelToken], object]) -> float:
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        cancellable(work)
    return time.monotonic() - began


def test_what_work_returns() -> None:
    assert cancellable(lambda token: 7) == 7


def test_what_work_raises() -> None:
    def work(token: CancelToken) -> None:
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        cancellable(work)


def test_work_that_speaks_ends_by_itself(tmp_path: Path) -> None:
    def work(token: CancelToken) -> None:
        progress = with_cancellation(silent, token)
        with output_file(tmp_path / "new" / "film.mp4") as part:
            part.write_bytes(b"half")
            while True:
                progress("drawing", 1, 2)
                time.sleep(0.01)

    interrupt_after(0.1)
    assert seconds_until_interrupted(work) < 1
    assert list(tmp_path.iterdir()) == []
    assert not module.is_unfinished()


def test_work_that_is_silent_is_left_behind_and_what_it_wrote_removed(tmp_path: Path, release: threading.Event) -> None:
    def work(token: CancelToken) -> None:
        with ResultFolder(tmp_path / "deep" / "clip") as folder, output_file(tmp_path / "film.mp4") as part:
            (folder / "tracks.json").write_text("{}")
            part.write_bytes(b"half")
            release.wait(30)
            token.check()

    interrupt_after(0.1)
    assert seconds_until_interrupted(work) < 2
    assert list(tmp_path.iterdir()) == []
    assert module.is_unfinished()


def test_pressed_twice(tmp_path: Path, release: threading.Event) -> None:
    def work(token: CancelToken) -> None:
        with ResultFolder(tmp_path / "clip"):
            release.wait(30)
            token.check()

    interrupt_after(0.1, 0.4)
    assert seconds_until_interrupted(work) < 2
    assert list(tmp_path.iterdir()) == []


def test_results_that_were_complete_stay(tmp_path: Path, release: threading.Event) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "tracks.json").write_text("old")

    def work(token: CancelToken) -> None:
        with ResultFolder(tmp_path / "new") as folder:
            (folder / "tracks.json").write_text("new")
        with ResultFolder(tmp_path / "old", overwrite=True) as folder:
            (folder / "tracks.json").write_text("never")
            release.wait(30)
            token.check()

    interrupt_after(0.2)
    seconds_until_interrupted(work)
    kept = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("tracks.json")}
    assert kept == {"old/tracks.json": "old", "new/tracks.json": "new"}


def test_an_interrupt_that_the_work_takes_for_its_own_failure() -> None:
    def work(token: CancelToken) -> str:
        progress = with_cancellation(silent, token)
        try:
            while True:
                progress("listening", 1, 2)
        except BaseException:
            return "as if nothing had happened"  # as a library does that turns whatever it meets into its own

    interrupt_after(0.1)
    assert seconds_until_interrupted(work) < 2


def test_work_after_an_interrupted_one() -> None:
    def work(token: CancelToken, seconds: float) -> str:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            token.check()
        return "done"

    interrupt_after(0.1)
    seconds_until_interrupted(lambda token: work(token, 20))
    assert cancellable(lambda token: work(token, 0.01)) == "done"


def test_from_another_thread() -> None:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(cancellable(lambda token: 5)))
    thread.start()
    thread.join()
    assert found == [5]


def test_the_first_interrupt_only_drains_where_work_can_come_to_an_end(capfd: pytest.CaptureFixture[str]) -> None:
    drain = CancelToken()

    def work(token: CancelToken) -> str:
        while not drain.is_cancelled:
            time.sleep(0.01)
        assert not token.is_cancelled
        return "what had begun"

    interrupt_after(0.2)
    assert cancellable(work, drain=drain) == "what had begun"
    assert "what runs is finished; Ctrl-C once more" in capfd.readouterr().err


def test_the_second_interrupt_ends_it() -> None:
    drain, seen = CancelToken(), threading.Event()

    def work(token: CancelToken) -> None:
        while not token.is_cancelled:
            time.sleep(0.01)
        seen.set()

    interrupt_after(0.2, 0.5)
    with pytest.raises(KeyboardInterrupt):
        cancellable(work, drain=drain)
    assert drain.is_cancelled
    assert seen.is_set()


def test_work_has_the_patience_it_is_given(release: threading.Event) -> None:
    ended = threading.Event()

    def work(token: CancelToken) -> None:
        while not token.is_cancelled:
            time.sleep(0.01)
        time.sleep(module.PATIENCE + 0.6)
        ended.set()

    interrupt_after(0.1)
    with pytest.raises(KeyboardInterrupt):
        cancellable(work, patience=module.PATIENCE + 3)
    assert ended.is_set()
