"""What killed processes left is removed, whichever container they ran in; what living ones write is not touched."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from avis_cli.files import locks, partial
from avis_cli.files.atomic import output_file, output_tree
from avis_cli.files.partial import Partial, abandon, remove_leftovers

NAMESPACE = ["unshare", "--pid", "--fork"]  # its process has the number 1, as in a container

WRITE = """
import os, sys
from avis_cli.files.atomic import output_tree
with output_tree(sys.argv[1], overwrite=True) as folder:
    (folder / "half").write_text(str(os.getpid()))
    print(folder.name, flush=True)
    {}
"""
DIE = WRITE.format("os._exit(9)")
WAIT = WRITE.format("sys.stdin.read()")


def has_namespaces() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0


needs_namespaces = pytest.mark.skipif(not has_namespaces(), reason="process namespaces cannot be made here")
IN_BOTH = pytest.mark.parametrize(
    "prefix", [[], pytest.param(NAMESPACE, marks=needs_namespaces)], ids=["plain", "namespace"]
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def age(folder: Path, seconds: float) -> None:
    """Let everything in a folder be as old as that."""
    for path in [*folder.rglob("*")]:
        os.utime(path, (time.time() - seconds,) * 2)


def die(target: Path, prefix: list[str]) -> None:
    """A process that is killed while it writes ``target``."""
    subprocess.run([*prefix, sys.executable, "-c", DIE, str(target)], check=False, capture_output=True)


@contextmanager
def at_work(target: Path, prefix: list[str]) -> Iterator[str]:
    """A process that writes ``target`` meanwhile; the name of what it writes into."""
    command = [*prefix, sys.executable, "-c", WAIT, str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            assert process.wait(60) == 0


@IN_BOTH
def test_what_a_killed_process_left_is_removed(tmp_path: Path, prefix: list[str]) -> None:
    die(tmp_path / "clip", prefix)
    assert len(names(tmp_path)) == 2
    with output_tree(tmp_path / "clip") as mine:
        assert names(tmp_path) == {mine.name, f"{mine.name}.~lock"}
    assert names(tmp_path) == {"clip"}


@IN_BOTH
def test_of_two_living_processes_neither_removes_what_the_other_writes(tmp_path: Path, prefix: list[str]) -> None:
    with at_work(tmp_path / "clip", prefix) as first, at_work(tmp_path / "clip", prefix) as second:
        remove_leftovers(tmp_path / "clip")
        assert names(tmp_path) == {first, second, f"{first}.~lock", f"{second}.~lock"}
        assert (tmp_path / first / "half").exists()
        assert (tmp_path / second / "half").exists()
    assert names(tmp_path) == {"clip"}


@needs_namespaces
def test_a_process_number_means_nothing(tmp_path: Path) -> None:
    """Both processes have the number 1: what tells them apart is that one is gone."""
    die(tmp_path / "clip", NAMESPACE)
    with at_work(tmp_path / "clip", NAMESPACE) as living:
        assert (tmp_path / living / "half").read_text() == "1"
        assert names(tmp_path) == {living, f"{living}.~lock"}


def test_this_process_keeps_its_own(tmp_path: Path) -> None:
    with Partial(tmp_path / "clip") as mine:
        mine.path.mkdir()
        remove_leftovers(tmp_path / "clip")
        assert mine.path.exists()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("seconds", [-1e9, 1e9])
def test_a_clock_that_jumps_neither_keeps_leftovers_nor_loses_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Where locks work, times say nothing: neither those of files nor what time it is."""
    die(tmp_path / "clip", [])
    age(tmp_path, seconds)
    with at_work(tmp_path / "clip", []) as living:  # removes the leftovers first
        assert names(tmp_path) == {living, f"{living}.~lock"}
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + seconds)
        age(tmp_path, -seconds)
        remove_leftovers(tmp_path / "clip")
        assert (tmp_path / living / "half").exists()
    assert names(tmp_path) == {"clip"}


def test_other_destinations_are_not_touched(tmp_path: Path) -> None:
    die(tmp_path / "clip", [])
    before = names(tmp_path)
    remove_leftovers(tmp_path / "other")
    assert names(tmp_path) == before
    remove_leftovers(tmp_path / "missing" / "clip")


class TestWhereLocksTellNothing:
    """On another machine, on drives without locks, and for what older versions left, a day has to pass."""

    @pytest.fixture(params=["another machine", "no locks", "no lock file", "older version"])
    def left(self, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        die(tmp_path / "clip", [])
        (lock,) = tmp_path.glob("*.~lock")
        (left,) = (path for path in tmp_path.iterdir() if path != lock)
        if request.param == "another machine":
            lock.write_bytes(b"another")
        elif request.param == "no locks":
            monkeypatch.setattr(partial, "take_lock", lambda file: None)
        else:
            lock.unlink()
        if request.param == "older version":  # name, host, process and a number of its own
            prefix, token = left.name.rsplit("-", 1)
            left = left.rename(tmp_path / f"{prefix}-00000000-1-{token}")
        return left

    def test_it_stays_for_a_day(self, tmp_path: Path, left: Path) -> None:
        age(tmp_path, 80_000)
        remove_leftovers(tmp_path / "clip")
        assert left.exists()
        age(tmp_path, 90_000)
        remove_leftovers(tmp_path / "clip")
        assert names(tmp_path) == set()

    def test_it_stays_while_anything_inside_is_written(self, tmp_path: Path, left: Path) -> None:
        age(tmp_path, 90_000)
        os.utime(left / "half")
        remove_leftovers(tmp_path / "clip")
        assert left.exists()


def test_a_drive_without_locks_is_written_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks, "_lock", refuse)
    with output_tree(tmp_path / "one"), output_file(tmp_path / "two"):
        pass
    assert names(tmp_path) == {"one", "two"}


def test_who_is_taken_for_a_leftover_before_the_lock_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = partial.take_lock
    calls: list[str] = []

    def take_lock(file: object) -> bool | None:
        calls.append("")
        if len(calls) == 1:
            return False  # whoever looks for leftovers has it at this moment
        if len(calls) == 2:
            next(tmp_path.glob("*.~lock")).unlink()  # or had it, and removed it
        return original(file)  # type: ignore[arg-type]

    monkeypatch.setattr(partial, "take_lock", take_lock)
    with Partial(tmp_path / "clip") as mine:
        assert len(calls) == 3
        assert names(tmp_path) == {f"{mine.path.name}.~lock"}
    assert names(tmp_path) == set()


def test_old_results_that_were_put_aside_when_the_process_was_killed_are_put_back(tmp_path: Path) -> None:
    die(tmp_path / "clip", [])
    (lock,) = tmp_path.glob("*.~lock")
    aside = lock.with_suffix(".~old")
    aside.mkdir()
    (aside / "tracks.json").write_text("old")
    remove_leftovers(tmp_path / "clip")
    assert (tmp_path / "clip" / "tracks.json").read_text() == "old"
    assert names(tmp_path) == {"clip"}


def test_abandon_removes_everything_that_is_being_written(tmp_path: Path) -> None:
    tree, file = output_tree(tmp_path / "deep" / "clip"), output_file(tmp_path / "film.mp4")
    (tree.__enter__() / "half").write_text("half")
    file.__enter__().write_text("half")
    abandon()
    assert names(tmp_path) == set()
    # the work ends later, when nobody waits for it any more
    tree.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    file.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert names(tmp_path) == set()
