"""The processes of an evaluation: how they end when they are told to, and what is said when they cannot go on."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace
from typing import Any

import pytest

from avis_cli.errors import AvisError
from avis_cli.evaluate.instances import parallel

# as the command line has it: the signal's handler raises, and the work takes that for an error of its own
_WORKER = """
import os, signal, time
from avis_cli.evaluate.instances import parallel
def stop(number, frame):
    raise SystemExit(128 + number)
for name in ("SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), stop)
parallel._adopt(None)
print("ready", flush=True)
while True:
    try:
        time.sleep(60)
    except BaseException:
        pass
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_process_ends_when_it_is_told_whatever_it_is_doing(name: str) -> None:
    number = getattr(signal, name)
    with subprocess.Popen([sys.executable, "-c", _WORKER], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
        os.kill(worker.pid, number)
        try:
            assert worker.wait(10) == -number
        finally:
            worker.kill()


class _Broken:
    """A pool whose processes are gone."""

    cause = Exception("")

    def __init__(self, *_: object, **__: object) -> None: ...

    def __enter__(self) -> _Broken:
        return self

    def __exit__(self, *_: object) -> None: ...

    def map(self, *_: object) -> Iterator[Any]:
        raise BrokenProcessPool("terminated abruptly") from self.cause
        yield


@pytest.mark.parametrize(
    ("said", "is_memory"),
    [("MemoryError", True), ("OSError: [Errno 12] Cannot allocate memory", True), ("Killed", False)],
)
def test_a_lack_of_memory_is_told_apart_from_a_kill(
    said: str, is_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_Broken, "cause", Exception(f'Traceback:\n"""{said}"""'))
    monkeypatch.setattr(concurrent.futures, "ProcessPoolExecutor", _Broken)
    expected: type[Exception] = MemoryError if is_memory else AvisError
    with pytest.raises(expected, match="processes of the evaluation"):
        list(parallel._in_processes(SimpleNamespace(), [range(1)], 2))  # type: ignore[arg-type]
