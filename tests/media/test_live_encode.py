"""Recordings and published streams: read back, they are what was put in."""

from __future__ import annotations

import io
import resource
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from live_examples import RATE, picture, tone

from avis_cli.errors import OutputError, UsageError
from avis_cli.media import decode
from avis_cli.media.live_encode import LiveEncoder, published_format


def record(path: Path, times: list[float], size: tuple[int, int] = (64, 48), sound: np.ndarray | None = None) -> None:
    encoder = LiveEncoder(path, None, (size[1], size[0]), has_sound=sound is not None)
    before = times[0]
    for number, time in enumerate(times):
        part = np.zeros(0, np.float32) if sound is None else sound[round(before * RATE) : round(time * RATE)]
        encoder.write(picture(number, size), time, part, RATE)
        before = time
    encoder.close()
    encoder.close()


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
def test_a_recording_has_every_picture_at_its_time(tmp_path: Path, size: tuple[int, int]) -> None:
    times = [5.0, 5.1, 5.24, 5.3, 6.05]
    record(tmp_path / "clip.mp4", times, size)
    clip = decode.probe(tmp_path / "clip.mp4")
    assert (clip.width, clip.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    frames = list(decode.FrameReader(tmp_path / "clip.mp4", clip))
    assert [float(frame.time) for frame in frames] == pytest.approx([time - 5 for time in times], abs=1e-4)
    for number, frame in enumerate(frames):
        seen = frame.image[: size[1], : size[0]].astype(int)
        assert np.abs(seen - picture(number, size)).mean() < 8


def test_its_sound_is_where_it_was(tmp_path: Path) -> None:
    sound = tone(1.0, 2.0, 4)
    record(tmp_path / "clip.mp4", [number / 10 for number in range(40)], sound=sound)
    clip = decode.probe(tmp_path / "clip.mp4")
    assert clip.audio is not None
    heard = decode.read_waveform(tmp_path / "clip.mp4", clip)
    loud = np.flatnonzero(np.abs(heard.samples) > 0.1) / heard.sample_rate
    assert loud.min() == pytest.approx(1.0, abs=0.03)
    assert loud.max() == pytest.approx(2.0, abs=0.03)


def test_pictures_of_another_size_are_brought_to_the_first_ones(tmp_path: Path) -> None:
    encoder = LiveEncoder(tmp_path / "clip.mp4", None, (48, 64), has_sound=False)
    for number, size in enumerate(((64, 48), (128, 96), (64, 48))):
        encoder.write(picture(number, size), number / 5, np.zeros(0, np.float32), RATE)
    encoder.close()
    clip = decode.probe(tmp_path / "clip.mp4")
    assert len(list(decode.FrameReader(tmp_path / "clip.mp4", clip))) == 3


def test_what_a_killed_recording_holds_can_be_read(tmp_path: Path) -> None:
    script = f"""
    import os, sys
    sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
    import numpy as np
    from live_examples import picture
    from avis_cli.media.live_encode import LiveEncoder
    encoder = LiveEncoder({str(tmp_path / "cut.mp4")!r}, None, (48, 64), has_sound=False)
    for number in range(200):
        encoder.write(picture(number, (64, 48)), number / 10, np.zeros(0, np.float32), 16000)
    os._exit(9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    clip = decode.probe(tmp_path / "cut.mp4")
    assert len(list(decode.FrameReader(tmp_path / "cut.mp4", clip))) > 50


def test_a_full_disk_is_told_and_what_there_is_stays(tmp_path: Path) -> None:
    script = f"""
    import sys
    sys.path[:0] = {[str(Path(__file__).parents[1])]!r}
    import numpy as np
    from avis_cli.errors import OutputError
    from avis_cli.media.live_encode import LiveEncoder
    encoder = LiveEncoder({str(tmp_path / "full.mp4")!r}, None, (96, 128), has_sound=False)
    random = np.random.default_rng(0)
    try:
        for number in range(400):
            image = random.integers(0, 256, (96, 128, 3), dtype=np.uint8)
            encoder.write(image, number / 10, np.zeros(0, np.float32), 16000)
    except OutputError as error:
        print(error)
    try:
        encoder.close()
    except OutputError:
        pass
    """
    import signal

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], preexec_fn=limited, capture_output=True, text=True, check=False
    )
    assert "full.mp4: cannot be written" in ended.stdout, ended.stderr
    clip = decode.probe(tmp_path / "full.mp4")
    assert len(list(decode.FrameReader(tmp_path / "full.mp4", clip))) >= 1


def test_a_place_that_cannot_be_is_told(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be opened for writing"):
        LiveEncoder(tmp_path / "none" / "clip.mp4", None, (48, 64), has_sound=False)
    with pytest.raises(OutputError, match="cannot be opened for writing"):
        LiveEncoder("tcp://127.0.0.1:9", "mpegts", (48, 64), has_sound=False)


def test_what_is_published_arrives_with_its_sound() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    data = bytearray()

    def receive() -> None:
        connection, _ = listening.accept()
        while part := connection.recv(1 << 16):
            data.extend(part)

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    encoder = LiveEncoder(address, published_format(address), (48, 64), has_sound=True)
    for number in range(20):
        encoder.write(picture(number, (64, 48)), number / 10, tone(0, 0.1, 0.1), RATE)
    encoder.close()
    thread.join(5)
    listening.close()
    with av.open(io.BytesIO(bytes(data))) as container:
        assert container.format.name == "mpegts"
        frames = list(container.decode(video=0))
    assert len(frames) == 20
    times = [float(frame.time or 0) for frame in frames]
    assert np.allclose(np.diff(times), 0.1, atol=1e-3)


@pytest.mark.parametrize("url", ["out.mp4", "http://x/y", "file:///x", "rtsp", "://x", ""])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"--publish .*expected an address such as rtsp://HOST/NAME"):
        published_format(url)


@pytest.mark.parametrize(("url", "format"), [("rtsp://h/x", "rtsp"), ("RTMP://h/x", "flv"), ("srt://h:9", "mpegts")])
def test_each_kind_of_address_has_its_format(url: str, format: str) -> None:
    assert published_format(url) == format
