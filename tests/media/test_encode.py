"""Video files written and read back: every frame and every click where it was."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import CLICK_EVERY, click_times, make_clip, read_number, variable_times

from avis_cli.errors import MediaError, OutputError
from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.decode import FrameReader, probe, read_waveform
from avis_cli.media.encode import missing_encoders, same_bytes_x264, write_video

NTSC = Fraction(30_000, 1001)


def tinted(frames: FrameReader) -> Iterator[Frame]:
    """What a writer does to frames: a new image, the same time."""
    for frame in frames:
        image = frame.image.copy()
        image[image.shape[0] * 3 // 4 :] //= 2
        yield dataclasses.replace(frame, image=image)


def rewrite(source: Path, target: Path, **span: Any) -> tuple[ClipInfo, list[Frame]]:
    """Overlay ``source`` to ``target``; the source's clip and the frames that went in."""
    clip = probe(source)
    write_video(target, tinted(FrameReader(source, clip, **span)), clip, source=source, **span)
    return clip, list(FrameReader(source, clip, **span))


def check(source: Path, target: Path, times: list[Fraction], **span: Any) -> None:
    """The rewritten file has the same numbers at the same times, and its clicks within a frame of theirs."""
    _, given = rewrite(source, target, **span)
    written = probe(target)
    assert (written.codec, written.origin, written.rotation) == ("h264", 0, 0)
    frames = list(FrameReader(target, written))
    zero = given[0].time
    assert [frame.time for frame in frames] == [frame.time - zero for frame in given]
    assert [read_number(frame.image) for frame in frames] == [read_number(frame.image) for frame in given]
    end = frames[-1].time + (frames[-1].duration or 0)
    last = given[-1]
    expected_end = min(last.time + (last.duration or 0), span.get("end", Fraction(10**6)))
    assert end == expected_end - zero
    waveform = read_waveform(target, written, rate=None)
    expected = [float(time - zero) for time in times[::CLICK_EVERY] if zero <= time < expected_end]
    assert click_times(waveform.samples, waveform.sample_rate) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts", ".flv", ".avi"])
@pytest.mark.parametrize("rate", ["25", "30000/1001", "variable"])
def test_frames_and_clicks_come_back(tmp_path: Path, suffix: str, rate: str) -> None:
    source = tmp_path / f"source{suffix}"
    how: dict[str, Any] = {"codec": "mjpeg", "audio_codec": "pcm_s16le"} if suffix == ".avi" else {}
    if rate == "variable" and suffix == ".avi":
        how["fps"] = Fraction(50)  # a constant rate is all that AVI has
    elif rate == "variable":
        how["times"] = variable_times(40, seed=3)
    else:
        how["fps"] = Fraction(rate)
    check(source, tmp_path / "out.mp4", make_clip(source, size=(64, 48), **how))


@pytest.mark.parametrize(
    ("suffix", "how", "becomes"),
    [
        (".mp4", {}, "aac"),
        (".ts", {}, "aac"),
        (".mp4", {"audio_codec": "alac", "sample_rate": 44_100}, "alac"),
        (".mp4", {"audio_codec": "ac3", "layout": "5.1"}, "ac3"),
        (".mkv", {"audio_codec": "flac", "layout": "5.1"}, "flac"),
        (".webm", {"codec": "libvpx-vp9"}, "opus"),
        (".mp4", {"audio_codec": "libmp3lame", "audio_offset": Fraction(1, 50)}, "mp3"),
        (".mov", {"audio_codec": "pcm_s24le", "sample_rate": 44_100, "layout": "stereo"}, "aac"),
        (".mov", {"audio_codec": "pcm_u8", "sample_rate": 8000}, "aac"),
        (".mkv", {"audio_codec": "pcm_f32le", "sample_rate": 192_000}, "aac"),
        (".mkv", {"audio_codec": "pcm_s16le", "layout": "7.1"}, "aac"),
        (".mkv", {"audio_codec": "libmp3lame", "sample_rate": 8000}, "aac"),  # MP4 has no MP3 this slow
        (".mpg", {"codec": "mpeg2video", "audio_codec": "mp2"}, "aac"),
    ],
)
def test_sound_is_copied_where_mp4_can_hold_it(tmp_path: Path, suffix: str, how: dict[str, Any], becomes: str) -> None:
    source, target = tmp_path / f"source{suffix}", tmp_path / "out.mp4"
    times = make_clip(source, size=(64, 48), **how)
    clip, frames = rewrite(source, target)
    written = probe(target)
    assert written.audio is not None
    assert written.audio.codec == becomes
    if clip.audio is not None and becomes == clip.audio.codec:
        assert (written.audio.sample_rate, written.audio.channels) == (clip.audio.sample_rate, clip.audio.channels)
    begins = how.get("audio_offset", 0)
    delay = 0.024 if "mp3" in how.get("audio_codec", "") else 2e-3  # of an MP3 encoder: no file says it
    clicks = click_times(read_waveform(target, written).samples, 16_000)
    assert clicks == pytest.approx([float(time) for time in times[::CLICK_EVERY] if time >= begins], abs=delay)
    assert len(list(FrameReader(target, written))) == len(frames)


@pytest.mark.parametrize(
    ("suffix", "how"),
    [(".mp4", {}), (".mkv", {"audio_codec": "libopus"}), (".mkv", {"audio_codec": "pcm_s16le"}), (".ts", {})],
)
@pytest.mark.parametrize(
    ("start", "end"),
    [(Fraction(1, 3), Fraction(5, 4)), (Fraction(41, 10), Fraction(21, 4)), (Fraction(4), Fraction(100))],
)
def test_a_span_keeps_its_sound(
    tmp_path: Path, suffix: str, how: dict[str, Any], start: Fraction, end: Fraction
) -> None:
    source = tmp_path / f"source{suffix}"
    times = make_clip(source, size=(32, 32), seconds=6, options={"g": "12", "bf": "2"}, **how)
    check(source, tmp_path / "out.mp4", times, start=start, end=end)


@pytest.mark.parametrize("offset", [Fraction(-7, 10), Fraction(7, 10)])
@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_offsets_are_kept(tmp_path: Path, offset: Fraction, codec: str) -> None:
    source, target = tmp_path / "source.mov", tmp_path / "out.mp4"
    times = make_clip(source, size=(32, 32), audio_offset=offset, audio_codec=codec)
    rewrite(source, target)
    clicks = click_times(read_waveform(target, probe(target)).samples, 16_000)
    assert clicks == pytest.approx([float(time) for time in times[::CLICK_EVERY] if time >= offset], abs=2e-3)


def test_sound_is_cut_with_the_picture_and_may_end_before_it(tmp_path: Path) -> None:
    for seconds in (Fraction(1, 2), Fraction(5)):
        source, target = tmp_path / "source.mp4", tmp_path / "out.mp4"
        make_clip(source, size=(32, 32), seconds=2, audio_seconds=seconds)
        rewrite(source, target)
        with av.open(str(target)) as container:
            stream = container.streams.audio[0]
            length = float(stream.duration * stream.time_base)
        assert length == pytest.approx(min(float(seconds), 2), abs=0.05)


@pytest.mark.parametrize("size", [(97, 63), (96, 63), (97, 64), (1, 1), (2, 3)])
def test_odd_sizes_are_padded(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    image = np.full((height, width, 3), 200, np.uint8)
    image[-1, -1] = (30, 60, 90)
    frames = [Frame(image, Fraction(n, 25), n) for n in range(3)]
    clip = ClipInfo("x", width, height, 0, Fraction(3, 25), Fraction(25), None, sample_aspect_ratio=Fraction(4, 3))
    target = tmp_path / "out.mp4"
    write_video(target, frames, clip)
    written = probe(target)
    assert (written.width, written.height) == (width + width % 2, height + height % 2)
    assert written.sample_aspect_ratio == Fraction(4, 3)
    assert written.duration == Fraction(3, 25)
    assert written.audio is None


def test_the_file_is_what_players_want(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "out.tmp"
    make_clip(source, size=(64, 48))
    rewrite(source, target)
    data = target.read_bytes()
    assert data[4:8] == b"ftyp"
    assert 0 < data.find(b"moov") < data.find(b"mdat")
    with av.open(str(target)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


def test_colours_survive(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (4, 4, 3)).repeat(16, 0).repeat(16, 1).astype(np.uint8)
    clip = ClipInfo("x", 64, 64, 0, Fraction(1), Fraction(25), None)
    write_video(tmp_path / "out.mp4", [Frame(rows, Fraction(n, 25), n) for n in range(3)], clip)
    (first, *_) = FrameReader(tmp_path / "out.mp4", probe(tmp_path / "out.mp4"))
    centres = np.ix_(range(8, 64, 16), range(8, 64, 16))
    assert np.abs(first.image[centres].astype(int) - rows[centres]).max() <= 10


def test_grid_frames_keep_their_exact_times(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "out.mp4"
    make_clip(source, size=(64, 48), fps=NTSC)
    clip = probe(source)
    write_video(target, FrameReader(source, clip, rate=Fraction(7), start=Fraction(1, 9)), clip, source=source)
    assert [frame.time for frame in FrameReader(target, probe(target))] == [Fraction(k, 7) for k in range(14)]


def test_names_mean_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip("source.mp4", size=(32, 32), seconds=Fraction(1, 5))
    for name in ("-x.mp4", "a:b.tmp", "http:x", "%d.mp4", "ü😀", "line\nbreak", os.fsdecode(b"not-\xff-text")):
        rewrite(Path("source.mp4"), Path(name))
        assert probe(name).width == 32


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    source = tmp_path / "source.mov"
    make_clip(source, size=(64, 48), audio_codec="pcm_s16le")
    made = set()
    for _ in range(20):
        rewrite(source, tmp_path / "again.mp4")
        made.add((tmp_path / "again.mp4").read_bytes())
    assert len(made) == 1


@pytest.mark.parametrize("processor", ["with AVX-512", "without"])
def test_the_encoder_leaves_out_what_changes_its_bytes(monkeypatch: pytest.MonkeyPatch, processor: str) -> None:
    """x264's code for AVX-512 gives other files now and then; a processor without it is asked for nothing it lacks."""
    asked: list[int] = []

    def supports(feature: int) -> bool:
        asked.append(feature)
        return processor == "with AVX-512"

    monkeypatch.setattr("cv2.checkHardwareSupport", supports)
    assert same_bytes_x264() == ({"x264-params": "asm=AVX2"} if processor == "with AVX-512" else {})
    assert asked == [13]


def test_progress(tmp_path: Path) -> None:
    source = tmp_path / "source.mp4"
    make_clip(source, size=(32, 32), seconds=1)
    seen: list[tuple[str, int, int | None]] = []
    clip = probe(source)
    write_video(tmp_path / "out.mp4", FrameReader(source, clip), clip, progress=lambda *step: seen.append(step))
    assert [done for _, done, _ in seen] == list(range(1, 26))


def test_nothing_is_left_after_a_failure(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mp4", tmp_path / "out.mp4"
    make_clip(source, size=(64, 48))
    clip = probe(source)

    def broken(kind: BaseException) -> Iterator[Frame]:
        for frame in FrameReader(source, clip):
            if frame.index == 20:
                raise kind
            yield frame

    for kind in (RuntimeError("a bug"), MediaError("bad"), KeyboardInterrupt()):
        with pytest.raises(type(kind)):
            write_video(target, broken(kind), clip, source=source)
        assert not target.exists()
    with pytest.raises(MediaError, match="no frame"):
        write_video(target, [], clip, source=source)
    with pytest.raises(OutputError):
        write_video(tmp_path / "missing" / "out.mp4", FrameReader(source, clip), clip, source=source)
    frames = list(FrameReader(source, clip))
    with pytest.raises(ValueError, match="rise"):
        write_video(target, [frames[1], frames[0]], clip)
    with pytest.raises(ValueError, match="shape"):
        write_video(target, [frames[0], dataclasses.replace(frames[1], image=frames[1].image[:20])], clip)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.mp4"]


def spoil_sound(data: bytes, every: int) -> bytes:
    """An MPEG transport stream with the first bytes of every so many-th AAC frame changed."""
    spoiled, found = bytearray(data), 0
    at = data.find(b"\xff\xf1")
    while at >= 0:
        found += 1
        if found % every == 0:
            spoiled[at : at + 2] = b"\x12\x34"
        at = data.find(b"\xff\xf1", at + 2)
    assert found > 40
    return bytes(spoiled)


def loud_seconds(path: Path) -> float:
    clip = probe(path)
    if clip.audio is None:
        return 0
    waveform = read_waveform(path, clip)
    return float((np.abs(waveform.samples) > 0.1).sum()) / waveform.sample_rate


@pytest.mark.parametrize(("every", "low", "high"), [(1, 0.0, 0.1), (5, 0.5, 0.95)])
def test_damaged_sound_is_left_out_where_it_cannot_be_copied(
    tmp_path: Path, every: int, low: float, high: float
) -> None:
    source, target = tmp_path / "source.ts", tmp_path / "out.mp4"
    make_clip(source, size=(64, 48), fps=5, seconds=2, audio="tone")
    rewrite(source, target)
    whole = loud_seconds(target)
    source.write_bytes(spoil_sound(source.read_bytes(), every))
    _, given = rewrite(source, target)
    assert [frame.time for frame in FrameReader(target, probe(target))] == [frame.time for frame in given]
    assert low <= loud_seconds(target) / whole <= high


@pytest.mark.parametrize("how", ["copied", "encoded"])
def test_what_cannot_be_read_is_blamed_on_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    from avis_cli.media import packets

    source, target = tmp_path / "source.mkv", tmp_path / "out.mp4"
    make_clip(source, size=(64, 48), fps=5, seconds=2, audio="tone", audio_codec="aac" if how == "copied" else "mp2")
    clip = probe(source)
    frames = list(FrameReader(source, clip))
    original, seen = packets.demux, [0]

    def demux(container: Any, streams: list[Any], damage: Any) -> Iterator[Any]:
        for packet in original(container, streams, damage):
            seen[0] += 1
            if seen[0] > 20:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            yield packet

    monkeypatch.setattr(packets, "demux", demux)
    with pytest.raises(MediaError) as caught:
        write_video(target, frames, clip, source=source)
    assert str(caught.value) == f"{source}: its sound cannot be read: {os.strerror(errno.EIO)}; copy it again"
    assert not target.exists()


def test_a_full_disk(tmp_path: Path) -> None:
    source, target = tmp_path / "source.mkv", tmp_path / "out.mp4"
    make_clip(source, codec="ffv1", audio_codec="pcm_s16le", size=(320, 240), seconds=4)
    program = (
        "import resource, signal, sys\n"
        "from avis_cli.errors import OutputError\n"
        "from avis_cli.media.decode import FrameReader, probe\n"
        "from avis_cli.media.encode import write_video\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "clip = probe(sys.argv[1])\n"
        "try:\n"
        "    write_video(sys.argv[2], FrameReader(sys.argv[1], clip), clip, source=sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(source), str(target)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert os.strerror(errno.EFBIG) in done.stdout
    assert not target.exists()


def test_encoders_are_there() -> None:
    assert missing_encoders() == []
