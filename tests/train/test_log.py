"""The log as a table and as TensorBoard's event files, read back by TensorBoard itself."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from avis_cli.errors import OutputError
from avis_cli.train import log as log_module
from avis_cli.train.log import RunLog, read_log


def test_rows_are_read_back_and_a_resumed_run_drops_what_it_will_write_again(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    for step in (10, 20, 30):
        log.write(step, "training", {"total": step / 7})
    log.close()
    (tmp_path / "log.csv").open("a").write("40,train")  # a killed run's last words
    log = RunLog(tmp_path, after=10)
    log.write(20, "training", {"total": 1.5})
    log.close()
    rows = read_log(tmp_path / "log.csv")
    assert [(row["step"], row["value"]) for row in rows] == [("10", "1.42857"), ("20", "1.5")]


@pytest.mark.parametrize("step", ["", "-1", "1e9", "nan", "9" * 5000, "\u0663", " 7", "1_0"])
def test_a_damaged_row_is_dropped(tmp_path: Path, step: str) -> None:
    (tmp_path / "log.csv").write_text(f"step,phase,name,value\n{step},training,total,1\n10,training,total,2\n")
    RunLog(tmp_path, after=10).close()
    assert [row["value"] for row in read_log(tmp_path / "log.csv")] == ["2"]


def test_tensorboard_reads_the_same_numbers(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = RunLog(tmp_path)
    log.write(10, "training", {"total": 0.5, "gate": 0.25})
    log.write(300, "training", {"total": 0.125})
    events = EventAccumulator(str(tmp_path)).Reload()  # while the run goes on
    assert [(event.step, event.value) for event in events.Scalars("training/total")] == [(10, 0.5), (300, 0.125)]
    assert [event.value for event in events.Scalars("training/gate")] == [0.25]
    log.close()
    log = RunLog(tmp_path, after=10)
    log.write(20, "training", {"total": 1.5})
    log.close()
    resumed = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in resumed.Scalars("training/total")] == [(10, 0.5), (20, 1.5)]


def test_without_tensorboard_there_is_the_table_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    log = RunLog(tmp_path)
    log.write(1, "training", {"total": 1.0})
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_log(tmp_path / "log.csv") == []


@pytest.mark.skipif(sys.platform == "win32", reason="files cannot be limited there")
def test_a_disk_that_fills_up_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(log_module, "_event_writer", lambda folder, after: None)
    log = RunLog(tmp_path)
    log.write(1, "training", {"loss": 1.0})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, ((tmp_path / "log.csv").stat().st_size + 3, hard))
    try:
        with pytest.raises(OutputError, match="cannot be written: File too large; choose another --out"):
            log.write(2, "training", {"loss": 2.0})
        with pytest.raises(OutputError):
            log.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [row["step"] for row in read_log(tmp_path / "log.csv")] == ["1"]


def test_a_full_disk_is_one_error_and_no_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.summary.writer.record_writer import RecordWriter

    told: list[type[BaseException]] = []

    def before(failure: threading.ExceptHookArgs) -> None:
        told.append(failure.exc_type)

    monkeypatch.setattr(threading, "excepthook", before)
    log = RunLog(tmp_path)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(RecordWriter, "write", full)

    def write_for_a_while() -> None:
        for step in range(100):
            log.write(step, "training", {"total": 1.0})
            time.sleep(0.01)

    with pytest.raises(OutputError, match=r"log\.csv: cannot be written: No space left on device; free some space"):
        write_for_a_while()
    worker = threading.Thread(target=lambda: 1 / 0)  # whoever else fails is still told
    worker.start()
    worker.join()
    with contextlib.suppress(OutputError):
        log.close()
    assert threading.excepthook is before
    assert told == [ZeroDivisionError]
