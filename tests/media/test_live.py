"""Live sources as they come: files, pipes, connections that break, clocks that jump, pictures that change."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from live_examples import RATE, live_file, picture, serving, tone, write_live

from avis_cli.errors import MediaError
from avis_cli.media import live
from avis_cli.media.live import LiveSource
from avis_cli.media.live_address import parse_address


def read(path: Any, **settings: Any) -> tuple[list[live.LivePicture], LiveSource]:
    source = LiveSource(parse_address(str(path)), **settings)
    try:
        return list(source.pictures()), source
    finally:
        source.close()


def payload(**settings: Any) -> bytes:
    held = io.BytesIO()
    write_live(held, **settings)
    return held.getvalue()


@pytest.mark.parametrize("format", ["matroska", "mpegts", "mp4"])
def test_all_pictures_and_all_sound_of_a_file(tmp_path: Path, format: str) -> None:
    sound = tone(0.5, 1.5, 3)
    path = live_file(tmp_path / "clip", seconds=3.0, samples=sound, format=format)
    pictures, source = read(path)
    assert [one.index for one in pictures] == list(range(30))
    assert np.allclose([one.time for one in pictures], np.arange(30) / 10, atol=2e-3)
    assert all(np.abs(one.image.astype(int) - picture(one.index, (64, 48))).mean() < 6 for one in pictures)
    assert source.has_sound
    assert source.sound.end == pytest.approx(3.0, abs=0.1)
    heard = source.sound.between(0, 3)
    loud = np.flatnonzero(np.abs(heard) > 0.1) / source.sound.rate
    assert loud.min() == pytest.approx(0.5, abs=0.08)
    assert loud.max() == pytest.approx(1.5, abs=0.08)
    if format == "matroska":
        np.testing.assert_allclose(heard, sound, atol=1e-4)


def test_a_picture_waits_for_its_sound(tmp_path: Path) -> None:
    path = live_file(tmp_path / "late.mkv", seconds=4.0, samples=tone(0, 4, 4), sound_late=2.0, format="matroska")
    source = LiveSource(parse_address(str(path)))
    try:
        for one in source.pictures():
            assert source.sound.end is not None
            assert source.sound.end >= min(one.time, 3.9) - 1e-6
    finally:
        source.close()


def test_a_file_paced_like_a_live_source_drops_what_nobody_takes(tmp_path: Path) -> None:
    path = live_file(tmp_path / "clip.ts", seconds=2.0)
    source = LiveSource(parse_address(str(path)), paced=True)
    begun, got = time.monotonic(), []
    try:
        for one in source.pictures():
            got.append(one)
            time.sleep(0.35)
    finally:
        source.close()
    assert time.monotonic() - begun > 1.8
    assert len(got) < 10
    assert sum(one.dropped for one in got) + len(got) == got[-1].index + 1
    assert all(one.wall is not None and one.taken >= one.decoded >= one.arrived for one in got)


def test_of_a_connection_the_newest_wins() -> None:
    with serving(payload(seconds=3.0), seconds=0.6) as address:
        source = LiveSource(parse_address(address))
        got = []
        try:
            for one in source.pictures():
                got.append(one.index)
                time.sleep(0.2)
        finally:
            source.close()
    assert got == sorted(got)
    assert len(got) < 15
    assert got[-1] >= 27


def test_damage_in_the_middle_is_passed_over(tmp_path: Path) -> None:
    data = bytearray(payload(seconds=6.0, samples=tone(0, 6, 6)))
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    path = tmp_path / "damaged.ts"
    path.write_bytes(bytes(data))
    pictures, _ = read(path)
    assert pictures[-1].time > 5.5
    assert 30 < len(pictures) <= 60


def test_a_picture_of_another_size_and_rate_goes_on(tmp_path: Path) -> None:
    first = payload(seconds=2.0, samples=tone(0, 2, 2))
    second = payload(seconds=2.0, fps=20, size=(96, 64), samples=tone(0, 2, 2), shift=2.0)
    path = tmp_path / "both.ts"
    path.write_bytes(first + second)
    pictures, _ = read(path)
    sizes = {one.image.shape[:2] for one in pictures}
    assert sizes == {(48, 64), (64, 96)}
    times = [one.time for one in pictures]
    assert times == sorted(set(times))
    assert times[-1] == pytest.approx(3.95, abs=0.3)


@pytest.mark.parametrize("shift", [-100.0, 4000.0])
def test_a_clock_that_jumps_moves_picture_and_sound_alike(tmp_path: Path, shift: float) -> None:
    base = 200.0
    first = payload(seconds=2.0, samples=tone(0, 2, 2), shift=base)
    second = payload(seconds=2.0, samples=tone(1, 2, 2), shift=base + 2 + shift)
    path = tmp_path / "jump.ts"
    path.write_bytes(first + second)
    pictures, source = read(path)
    times = [one.time for one in pictures]
    assert times == sorted(set(times))
    assert times[-1] == pytest.approx(3.9, abs=0.3)
    assert source.jumps >= 1
    heard = source.sound.between(0, 4)
    loud = np.abs(heard).reshape(-1, RATE // 10).max(1) > 0.1
    assert loud[2:18].all()
    assert not loud[23:28].any()
    assert loud[33:38].all()


def test_what_is_no_source_is_told(tmp_path: Path) -> None:
    sound_only = tmp_path / "sound.wav"
    import wave

    with wave.open(str(sound_only), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes(bytes(2 * RATE))
    with pytest.raises(MediaError, match="has no picture"):
        read(sound_only)
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(MediaError):
        read(tmp_path / "text.mp4")
    with pytest.raises(MediaError):
        read(tmp_path / "missing.mp4")


def test_a_connection_that_breaks_off_ends(tmp_path: Path) -> None:
    whole = payload(seconds=3.0, samples=tone(0, 3, 3))
    with serving(whole[: len(whole) // 2]) as address:
        source = LiveSource(parse_address(address))
        try:
            times = [one.time for one in source.pictures()]
        finally:
            source.close()
    assert times
    assert max(times) < 2.5


def test_pictures_that_wait_for_sound_that_never_comes_are_given_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SOUND_PATIENCE", 0.2)
    path = live_file(tmp_path / "short.mkv", seconds=3.0, samples=tone(0, 0.3, 0.3), format="matroska")
    begun = time.monotonic()
    pictures, _ = read(path, paced=True)
    assert time.monotonic() - begun < 6
    assert pictures[-1].time > 2.5


def test_memory_of_waiting_pictures_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "WAITING_BYTES", 40_000)
    path = live_file(tmp_path / "late.mkv", seconds=4.0, samples=tone(0, 4, 4), sound_late=3.5, format="matroska")
    source = LiveSource(parse_address(str(path)))
    most = 0
    try:
        for _ in source.pictures():
            most = max(most, len(source._waiting))
    finally:
        source.close()
    assert most < 20


def test_it_can_be_given_up_at_any_time(tmp_path: Path) -> None:
    path = live_file(tmp_path / "clip.ts", seconds=2.0, samples=tone(0, 2, 2))
    for taken in range(3):
        source = LiveSource(parse_address(str(path)))
        pictures = source.pictures()
        for _ in range(taken):
            next(pictures)
        source.close()
        assert not any(thread.is_alive() for thread in source._threads)
        source.close()


def test_a_test_picture_of_ffmpeg(tmp_path: Path) -> None:
    source = LiveSource(parse_address("lavfi:testsrc=size=64x48:rate=10:duration=1[out0];sine=duration=1[out1]"))
    try:
        pictures = list(source.pictures())
    finally:
        source.close()
    assert [one.index for one in pictures] == list(range(10))
    assert pictures[0].time == 0
    assert source.has_sound
