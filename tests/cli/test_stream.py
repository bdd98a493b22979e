"""``avis stream`` as a program: what it prints where, how it ends, and what signals leave behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from live_examples import live_file, serving, tone
from paths import ROOT

from avis_cli.cli.main import main

SAMPLE = ROOT / "samples" / "two_bells.mp4"


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return live_file(tmp_path / "clip.mkv", seconds=2.0, samples=tone(0, 2, 2), format="matroska")


def start(*words: str, **more: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "avis_cli", "stream", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment, **more,
    )  # fmt: skip


def test_lines_of_json_are_all_there_is_on_standard_output(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", str(clip), "--json", "--masks", "none"]) == 0
    out, err = capfd.readouterr()
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["event"] for line in lines if "event" in line] == ["start", "eof"]
    frames = [line for line in lines if "event" not in line]
    assert [frame["frame"] for frame in frames] == list(range(20))
    assert {"v", "t", "wall", "latency_ms", "dropped", "tracks"} <= set(frames[0])
    assert "a frame hears from -1 to +0 s; before a second has passed the rest is silence" in err


def test_the_bundled_model_hears_the_samples(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", str(SAMPLE), "--json", "--duration", "6.5"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    new = [line for line in lines if line.get("event") == "track_new"]
    assert [line["label"] for line in new] == ["bell", "bell"]
    masks = [track["rle"] for line in lines for track in line.get("tracks", []) if track["sounding"]]
    assert len(masks) > 50
    assert sum(mask is not None for mask in masks) > 0.9 * len(masks)


def test_without_json_objects_are_told_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", str(SAMPLE), "--duration", "2"]) == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert "bell 1 sounds" in err
    assert main(["stream", str(SAMPLE), "--duration", "2", "-q"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        ([], 2, "no source"),
        (["SOURCE", "--masks", "rle"], 2, "--masks without --json"),
        (["SOURCE", "--overwrite"], 2, "--overwrite without --record"),
        (["SOURCE", "--list"], 2, "--list with a source"),
        (["SOURCE", "--model", "avism-tiny"], 2, "avism-tiny sees clips whole"),
        (["SOURCE", "--style", "outline"], 2, "--style where nothing is drawn"),
        (["SOURCE", "--realtime", "--no-reconnect"], 2, "--no-reconnect with a source that is read once"),
        (["SOURCE", "--max-latency", "10"], 2, "give --realtime too"),
        (["ftp://x/y"], 2, "expected one of rtsp"),
        (["nowhere.mp4"], 1, "nowhere.mp4"),
        (["tcp://127.0.0.1:9"], 1, "cannot be opened"),
        (["tcp://127.0.0.1:9", "--realtime"], 2, "live already"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(
    words: list[str], code: int, text: str, clip: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", *(str(clip) if word == "SOURCE" else word for word in words)]) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert text in err
    assert "Traceback" not in err


def test_a_lost_source_ends_with_4(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = live_file(tmp_path / "clip.ts", seconds=2.0, samples=tone(0, 2, 2)).read_bytes()
    with serving(data) as address:
        assert main(["stream", address, "--no-reconnect"]) == 4
    assert "the source ended" in capfd.readouterr().err


def test_a_port_that_is_taken_is_told_and_nothing_begins(clip: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["stream", str(clip), "--serve", str(port)]) == 2
    assert f"cannot have 127.0.0.1:{port}" in capfd.readouterr().err


def test_standard_input_is_a_source(clip: Path) -> None:
    with clip.open("rb") as data:
        process = start("-", "--json", "--masks", "none", stdin=data)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["event"] == "eof"
    process = start("-", stdin=subprocess.DEVNULL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot be opened" in err


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if text in line:
            return
    raise AssertionError("it ended early")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_a_recording_whole(tmp_path: Path, name: str) -> None:
    out = tmp_path / "out"
    process = start(str(SAMPLE), "--realtime", "--record", str(out))
    wait_for(process, "sounds")
    time.sleep(0.5)
    process.send_signal(getattr(signal, name))
    printed, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert printed.strip() == str(out)
    assert {"recording.mp4", "overlay.mp4", "tracks.json", "report.html"} <= {path.name for path in out.iterdir()}
    document = json.loads((out / "tracks.json").read_text())
    assert document["tracks"]
    assert 0.5 < document["times"][-1] < 6


def test_a_reader_who_has_gone_ends_it_quietly(clip: Path) -> None:
    process = start(str(clip), "--realtime", "--json")
    assert process.stdout is not None
    assert process.stdout.readline()
    process.stdout.close()
    process.wait(timeout=30)
    assert process.stderr is not None
    err = process.stderr.read()
    assert "Traceback" not in err
    assert "unexpected" not in err
    process.stderr.close()


def test_the_page_is_served_while_it_runs(tmp_path: Path) -> None:
    import urllib.request

    process = start(str(SAMPLE), "--realtime", "--serve", "0")
    assert process.stderr is not None
    url = next(line for line in process.stderr if "watch it on" in line).split()[-1]
    deadline = time.monotonic() + 30
    while True:
        try:
            text = urllib.request.urlopen(f"{url}metrics", timeout=5).read().decode()
            if "avis_frames_total 0" not in text:
                break
        except OSError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert "avis_latency_seconds" in text
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0


def test_devices_are_listed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "--list"]) == 0
    out, err = capfd.readouterr()
    assert out.strip() or "no camera and no microphone was found" in err
