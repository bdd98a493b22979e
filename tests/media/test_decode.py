"""Frames and descriptions out of real files, made on the fly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import ORIENTATIONS, make_clip, numbered_image, read_number, turn, variable_times

from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.decode import FrameReader, probe

NTSC = Fraction(30_000, 1001)
MATRIX: list[tuple[str, dict[str, Any], str]] = [
    (".mp4", {}, "h264"),
    (".mp4", {"options": {"bf": "3"}}, "h264"),
    (".mp4", {"codec": "libx265"}, "hevc"),
    (".mkv", {"codec": "libvpx-vp9"}, "vp9"),
    (".webm", {"codec": "libvpx-vp9"}, "vp9"),
    (".mkv", {"codec": "ffv1", "audio_codec": "flac"}, "ffv1"),
    (".mov", {"codec": "mjpeg", "audio_codec": "pcm_s16le"}, "mjpeg"),
    (".avi", {"codec": "mpeg4", "audio_codec": "pcm_s16le"}, "mpeg4"),
    (".ts", {"codec": "mpeg2video", "audio_codec": "mp2"}, "mpeg2video"),
    (".ts", {"options": {"bf": "2"}}, "h264"),
    (".flv", {"sample_rate": 44_100}, "h264"),
]


def read(path: Path, clip: ClipInfo | None = None, **options: Any) -> tuple[list[Frame], FrameReader]:
    reader = FrameReader(path, clip or probe(path), **options)
    return list(reader), reader


def numbers(frames: list[Frame]) -> list[int]:
    return [read_number(frame.image) for frame in frames]


@pytest.mark.parametrize(("suffix", "how", "codec"), MATRIX, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("fps", [Fraction(25), NTSC], ids=["25", "30000_1001"])
def test_containers_and_codecs(tmp_path: Path, suffix: str, how: dict[str, Any], codec: str, fps: Fraction) -> None:
    path = tmp_path / f"clip{suffix}"
    times = make_clip(path, size=(64, 48), fps=fps, seconds=1, **how)
    clip = probe(path)
    assert (clip.codec, clip.width, clip.height, clip.rotation, clip.mirrored) == (codec, 64, 48, 0, False)
    assert clip.frame_rate == fps
    assert clip.audio is not None
    assert clip.duration == pytest.approx(float(len(times) / fps), abs=0.1)
    frames, reader = read(path, clip)
    assert numbers(frames) == list(range(len(times)))
    tick = clip.time_base or 0
    assert all(abs(frame.time - time) < tick for frame, time in zip(frames, times, strict=True))
    assert all(isinstance(frame.time, Fraction) for frame in frames)
    assert (reader.failures, reader.stopped, reader.warnings) == (0, False, [])


def test_variable_rate_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    times = make_clip(path, size=(64, 48), times=variable_times(), audio=None)
    frames, _ = read(path)
    assert [frame.time for frame in frames] == times
    assert numbers(frames) == list(range(len(times)))
    picked, _ = read(path, rate=Fraction(4))
    assert [frame.time for frame in picked] == [Fraction(k, 4) for k in range(len(picked))]
    assert numbers(picked) == [max(n for n, time in enumerate(times) if time <= frame.time) for frame in picked]


def test_long_ntsc_does_not_drift(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(
        path, size=(16, 16), fps=NTSC, seconds=40, audio=None, image=lambda n, size: np.zeros((*size, 3), np.uint8)
    )
    frames, _ = read(path, rate=Fraction(1, 20))
    assert [frame.time for frame in frames] == [0, 20, 40]
    frames, _ = read(path)
    assert frames[-1].time == 1198 / NTSC
    assert frames[-1].index == 1198


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("start", [Fraction(1, 3), Fraction(21, 5), Fraction(5)])
def test_start_and_end(tmp_path: Path, suffix: str, start: Fraction) -> None:
    path = tmp_path / f"clip{suffix}"
    make_clip(path, size=(64, 48), seconds=6, options={"g": "12", "bf": "2"})
    clip = probe(path)
    whole, _ = read(path, clip)
    end = start + Fraction(1, 2)
    frames, _ = read(path, clip, start=start, end=end)
    expected = [frame for frame in whole if start <= frame.time < end]
    assert [frame.time for frame in frames] == [frame.time for frame in expected]
    assert numbers(frames) == numbers(expected)
    assert [frame.index for frame in frames] == list(range(len(expected)))
    gridded, _ = read(path, clip, start=start, end=end, rate=Fraction(7))
    assert [frame.time for frame in gridded] == [start + Fraction(k, 7) for k in range(4)]
    assert numbers(gridded) == [max(n for n, f in enumerate(whole) if f.time <= g.time) for g in gridded]


def test_a_rate_above_the_sources_repeats_frames(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=Fraction(3, 25), audio=None)
    frames, _ = read(path, rate=Fraction(50))
    assert numbers(frames) == [0, 0, 1, 1, 2, 2]
    assert all(frame.duration == Fraction(1, 50) for frame in frames)


def test_reading_again_and_closing_early(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=1)
    reader = FrameReader(path, probe(path))
    with reader:
        assert next(iter(reader)).index == 0
    assert numbers(list(reader)) == list(range(25))
    assert numbers(list(reader)) == list(range(25))


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_upright(tmp_path: Path, name: str) -> None:
    coded_to_upright, matrix = ORIENTATIONS[name]
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=Fraction(2, 25), aspect=Fraction(4, 3), audio=None)
    turn(path, matrix)
    clip = probe(path)
    expected = coded_to_upright(numbered_image(1, (64, 48)))
    assert (clip.height, clip.width) == expected.shape[:2]
    assert clip.sample_aspect_ratio == (Fraction(3, 4) if clip.rotation in (90, 270) else Fraction(4, 3))
    assert clip.warnings == ()
    frames, _ = read(path, clip)
    assert np.abs(frames[1].image.astype(int) - expected).mean() < 4
    turned = expected if not clip.rotation else np.rot90(expected, clip.rotation // 90)  # back to the coded picture
    assert np.array_equal(turned[:, ::-1] if clip.mirrored else turned, numbered_image(1, (64, 48)))


def test_an_odd_angle_is_taken_as_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=Fraction(1, 25), audio=None)
    turn(path, (0x2000, 0xFE00, -0xFE00, 0x2000))
    clip = probe(path)
    assert (clip.rotation, clip.mirrored, clip.width) == (90, False, 48)
    assert any("odd angle" in warning for warning in clip.warnings)


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix", "size"),
    [
        ("libx264", "yuv444p", ".mp4", (97, 63)),
        ("ffv1", "yuv420p", ".mkv", (97, 63)),
        ("ffv1", "yuva420p", ".mkv", (64, 48)),
        ("png", "rgba", ".mov", (63, 47)),
        ("png", "rgb24", ".mov", (64, 48)),
        ("utvideo", "gbrp", ".avi", (64, 48)),
        ("ffv1", "yuv422p10le", ".mkv", (64, 48)),
        ("libx265", "yuv420p10le", ".mp4", (64, 48)),
        ("mjpeg", "yuvj420p", ".avi", (63, 47)),
        ("gif", "rgb8", ".gif", (64, 48)),
        ("apng", "rgb24", ".apng", (64, 48)),
    ],
)
def test_pixel_formats(tmp_path: Path, codec: str, pix_fmt: str, suffix: str, size: tuple[int, int]) -> None:
    path = tmp_path / f"clip{suffix}"
    make_clip(path, codec=codec, pix_fmt=pix_fmt, size=size, seconds=Fraction(4, 25), audio=None)
    clip = probe(path)
    frames, _ = read(path, clip)
    assert numbers(frames) == [0, 1, 2, 3]
    assert frames[3].image.shape == (size[1], size[0], 3)
    error = np.abs(frames[3].image.astype(int) - numbered_image(3, size))
    assert np.median(error) < (40 if codec == "gif" else 6)
    assert (error[:, -1].max() < 60) or codec == "gif"
    assert bool(clip.warnings) == ("10" in pix_fmt)
    assert clip.audio is None


def test_grey(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    make_clip(path, codec="ffv1", pix_fmt="gray", size=(64, 48), seconds=Fraction(2, 25), audio=None)
    frames, _ = read(path)
    assert numbers(frames) == [0, 1]
    assert np.ptp(frames[1].image.astype(int), axis=2).max() == 0


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range(tmp_path: Path, transfer: int, name: str) -> None:
    def ramp(number: int, size: tuple[int, int]) -> np.ndarray:
        return np.repeat(np.linspace(0, 255, size[0]).astype(np.uint8)[None, :, None], 3, 2).repeat(size[1], 0)

    def tune(video: Any) -> None:
        context = video.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9

    path = tmp_path / "clip.mkv"
    make_clip(
        path,
        codec="ffv1",
        pix_fmt="yuv420p10le",
        size=(64, 48),
        seconds=Fraction(1, 25),
        image=ramp,
        tune=tune,
        audio=None,
    )
    clip = probe(path)
    assert any("high dynamic range" in warning for warning in clip.warnings)
    row = read(path, clip)[0][0].image[24].astype(int)
    assert np.ptp(row, axis=1).max() <= 12  # grey stays grey
    assert (np.diff(row.mean(axis=1)) >= -1).all()  # and order is kept
    assert row[0].max() < 10
    assert row[-1].min() > 220
    white = {"PQ": 0.58, "HLG": 0.75}[name]  # signal of reference white
    assert 215 <= row[round(white * 63)].mean() <= 240


def test_interlaced_is_said(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 64), seconds=1, options={"x264-params": "tff=1"}, audio=None)
    assert any("interlaced" in warning for warning in probe(path).warnings)
    assert numbers(read(path)[0]) == list(range(25))


def test_size_change_is_resized_and_said(tmp_path: Path) -> None:
    parts = []
    for index, size in enumerate([(64, 48), (96, 80)]):
        part = tmp_path / f"part{index}.ts"
        make_clip(part, size=size, seconds=1, video_offset=10 + index, audio=None)
        parts.append(part.read_bytes())
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    frames, reader = read(path)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    assert len(frames) == 50
    assert [warning for warning in reader.warnings if "changes to 96x80" in warning]


def test_a_clock_set_back_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    make_clip(path, size=(64, 48), seconds=2, video_offset=20, audio=None)
    path.write_bytes(path.read_bytes() * 2)
    frames, _ = read(path)
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in range(100)]


@pytest.mark.parametrize("seconds", [Fraction(1, 25), Fraction(1, 5)])
def test_very_short(tmp_path: Path, seconds: Fraction) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=seconds)
    frames, _ = read(path, rate=Fraction(1))
    assert [frame.time for frame in frames] == [0]
    frames, _ = read(path)
    assert sum(frame.duration or 0 for frame in frames) == seconds


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".flv"])
def test_a_late_picture_still_begins_at_zero(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    make_clip(path, size=(64, 48), seconds=1, video_offset=Fraction(3, 2), audio_offset=Fraction(-3, 2))
    clip = probe(path)
    assert clip.origin >= Fraction(3, 2) - Fraction(1, 20)
    frames, _ = read(path, clip)
    assert frames[0].time == 0
    assert abs(frames[-1].time - Fraction(24, 25)) < Fraction(1, 500)


def test_several_streams(tmp_path: Path) -> None:
    small, large, path = tmp_path / "small.mkv", tmp_path / "large.mkv", tmp_path / "both.mkv"
    make_clip(small, size=(32, 32), seconds=1, audio=None)
    make_clip(large, size=(64, 48), seconds=1, audio=None)
    with av.open(str(small)) as one, av.open(str(large)) as two, av.open(str(path), "w") as out:
        streams = [source.streams.video[0] for source in (one, two)]
        copies = [out.add_stream_from_template(stream, opaque=True) for stream in streams]
        for source, stream, copy in zip((one, two), streams, copies, strict=True):
            for packet in source.demux(stream):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    clip = probe(path)
    assert (clip.width, clip.height) == (64, 48)
    assert any("2 video streams" in warning for warning in clip.warnings)
    assert numbers(read(path, clip)[0]) == list(range(25))
