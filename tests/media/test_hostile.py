"""Files that are not what they seem: each gets its reason, none gets memory, time or another file."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import av
import numpy as np
import pytest
from media_factory import make_clip, read_number

from avis_cli.errors import AvisError, MediaError, UsageError
from avis_cli.media.decode import FrameReader, probe, read_waveform
from avis_cli.media.frames import open_decoder

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"


def refusal(path: Any, **options: Any) -> AvisError:
    with pytest.raises(AvisError) as caught:
        probe(path, **options)
    assert "\n" not in str(caught.value)
    assert caught.value.file == os.fspath(path)
    return caught.value


@pytest.fixture
def clip_path(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=2, options={"g": "5"})
    return path


def wipe(path: Path, which: Iterable[int], fill: bytes = b"\0") -> None:
    """Overwrite some of the picture's packets."""
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for index in which:
        position, size = packets[index]
        data[position : position + size] = fill * size
    path.write_bytes(data)


def test_no_media(tmp_path: Path) -> None:
    for name, content, said in (
        ("empty.mp4", b"", "empty"),
        ("text.mp4", b"These are only words.\n" * 99, "text"),
        ("noise.mp4", np.random.default_rng(0).bytes(9999), "not a video"),
        ("page.mp4", b"<!DOCTYPE html><html><body>log in</body></html>" * 99, "text"),
        ("zeros.mkv", bytes(9999), "not a video"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        assert said in str(refusal(path)), name


@pytest.mark.parametrize(
    "text",
    [
        HLS.format("file://{secret}"),
        HLS.format("http://127.0.0.1:{port}/a.ts"),
        "ffconcat version 1.0\nfile {secret}\n",
        "ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.ts'\n",
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'><BaseURL>http://127.0.0.1:{port}/</BaseURL></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
        "[Reference]\nRef1=http://127.0.0.1:{port}/a\n",
    ],
    ids=["hls file", "hls http", "concat file", "concat http", "dash", "sdp", "asx"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".sdp"])
def test_playlists_open_nothing(clip_path: Path, text: str, suffix: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0)
        path = clip_path.with_name(f"list{suffix}")
        path.write_text(text.replace("{secret}", str(clip_path)).replace("{port}", str(listening.getsockname()[1])))
        assert isinstance(refusal(path), MediaError)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_names_mean_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip("plain.mp4", size=(32, 32), seconds=Fraction(1, 5))
    content = Path("plain.mp4").read_bytes()
    names: list[Any] = [
        "a:b.mp4",
        "-x.mp4",
        "http:x",
        "concat:a|b",
        "%04d.png",
        "a'b\"$(id).mp4",
        "ü😀.mp4",
        "line\nbreak",
    ]
    names += [b"not-\xff-text.mp4", Path("file:x"), "pipe:0", "no_extension", "wrong.txt", "list.m3u8"]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(content)
        clip = probe(name)
        assert len(list(FrameReader(name, clip))) == 5
        assert len(read_waveform(name, clip).samples) == 3200
        assert clip.file == os.fsdecode(name)
    address = refusal("http://127.0.0.1/x.mp4")
    assert str(address).startswith("http://127.0.0.1/x.mp4: an address on the network, not a file; download it first")
    assert address.exit_code == 2
    for name in ("file:plain.mp4", "concat:plain.mp4|plain.mp4", "data:video/mp4;base64,AA"):
        assert "no such file" in str(refusal(name))


def test_not_a_regular_file(tmp_path: Path, clip_path: Path) -> None:
    assert isinstance(refusal(tmp_path), UsageError)
    assert "no such file" in str(refusal(tmp_path / "missing.mp4"))
    assert "cannot be opened" in str(refusal(tmp_path / ("x" * 400)))
    assert "possible" in str(refusal("a\0b"))
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    assert "not a regular file" in str(refusal(fifo))
    assert "not a regular file" in str(refusal("/dev/zero"))
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    assert "cannot be opened" in str(refusal(loop))
    link = tmp_path / "link.mp4"
    link.symlink_to(clip_path)
    assert probe(link).width == 64


def test_no_permission(clip_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*arguments: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)  # root would be let in
    assert "permission" in str(refusal(clip_path))


def test_a_cut_off_index(tmp_path: Path, clip_path: Path) -> None:
    data = clip_path.read_bytes()
    assert data.find(b"mdat") < data.find(b"moov")
    fast = tmp_path / "fast.mp4"
    make_clip(fast, size=(64, 48), seconds=2, container_options={"movflags": "+faststart"})
    ahead = fast.read_bytes()
    for name, content in (
        ("recording.mp4", data[: data.find(b"moov") - 9]),
        ("download.mp4", ahead[: ahead.find(b"mdat") // 2]),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        error = refusal(path)
        assert "moov atom not found" in str(error)
        assert "incomplete" in (error.hint or "")


def test_a_cut_off_end_is_said(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=4, container_options={"movflags": "+faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: (data.find(b"mdat") + len(data)) // 2])
    clip = probe(path)
    reader = FrameReader(path, clip)
    frames = list(reader)
    assert 20 < len(frames) < 80
    assert [read_number(frame.image) for frame in frames] == list(range(len(frames)))
    assert any("cut-off" in warning for warning in reader.warnings)
    assert 16_000 < len(read_waveform(path, clip).samples) < 64_000


@pytest.mark.parametrize(
    ("suffix", "how"),
    [
        (".mp4", {}),
        (".mkv", {"codec": "libvpx-vp9"}),
        (".ts", {}),
        (".avi", {"codec": "mjpeg", "audio_codec": "pcm_s16le"}),
    ],
)
def test_too_large_a_picture(tmp_path: Path, suffix: str, how: dict[str, Any]) -> None:
    path = tmp_path / f"clip{suffix}"
    make_clip(path, size=(320, 240), seconds=Fraction(2, 25), **how)
    assert "320x240" in str(refusal(path, max_pixels=320 * 240 - 1))
    clip = probe(path, max_pixels=320 * 240)
    assert len(list(FrameReader(path, clip, max_pixels=320 * 240))) == 2
    assert len(list(FrameReader(path, clip))) == 2
    with pytest.raises(MediaError):
        list(FrameReader(path, clip, max_pixels=320 * 240 - 1))


def test_a_huge_header_costs_nothing(clip_path: Path) -> None:
    data = bytearray(clip_path.read_bytes())
    at = data.find(b"avc1", data.find(b"stsd"))
    data[at + 28 : at + 32] = struct.pack(">HH", 65_535, 65_535)
    clip_path.write_bytes(data)
    clip = probe(clip_path)  # the pictures say how large they are
    assert (clip.width, clip.height) == (64, 48)
    assert {frame.image.shape for frame in FrameReader(clip_path, clip)} == {(48, 64, 3)}


def test_a_picture_that_grows_too_large(tmp_path: Path) -> None:
    parts = []
    for index, size in enumerate([(64, 48), (640, 480)]):
        part = tmp_path / f"part{index}.ts"
        make_clip(part, size=size, seconds=1, video_offset=10 + index, audio=None)
        parts.append(part.read_bytes())
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(parts))
    reader = FrameReader(path, probe(path, max_pixels=10_000), max_pixels=10_000)
    shapes = [frame.image.shape for frame in reader]
    assert 20 <= len(shapes) <= 25
    assert set(shapes) == {(48, 64, 3)}
    assert reader.stopped


def test_absurd_duration_allocates_nothing(clip_path: Path) -> None:
    data = bytearray(clip_path.read_bytes())
    for box, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        at = data.find(box)
        while at >= 0:
            data[at + offset : at + offset + 4] = struct.pack(">I", 0xFFFFFFF0)
            at = data.find(box, at + 4)
    clip_path.write_bytes(data)
    clip = probe(clip_path)
    reader = FrameReader(clip_path, clip)
    assert len(list(reader)) == 50
    assert len(read_waveform(clip_path, clip).samples) == 32_000
    assert len(read_waveform(clip_path, clip, end=clip.duration).samples) <= 32_000


def test_no_video_stream(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=48_000)
        stream.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48_000, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    assert "no video stream" in str(refusal(path))


def test_cover_art_is_never_the_picture(tmp_path: Path) -> None:
    cover, path = tmp_path / "cover.mkv", tmp_path / "song.mp4"
    make_clip(cover, codec="mjpeg", size=(320, 240), seconds=Fraction(1, 25), audio=None)
    for with_video in (False, True):
        make_clip(clip := tmp_path / "clip.mp4", size=(64, 48), seconds=1)
        with av.open(str(cover)) as art, av.open(str(clip)) as source, av.open(str(path), "w") as out:
            inputs = [(art, art.streams.video[0]), (source, source.streams.audio[0])]
            inputs += [(source, source.streams.video[0])] if with_video else []
            outputs = [out.add_stream_from_template(stream, opaque=True) for _, stream in inputs]
            outputs[0].disposition = 1 << 10
            for (container, stream), copy in zip(inputs, outputs, strict=True):
                if container is source:
                    source.seek(0)
                for packet in container.demux(stream):
                    if packet.size:
                        packet.stream = copy
                        out.mux(packet)
        if with_video:
            assert (probe(path).width, probe(path).codec) == (64, "h264")
        else:
            assert "only a cover picture" in str(refusal(path))


def test_encrypted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 31 + "1", "encryption_kid": "2" * 32}
    make_clip(path, size=(64, 48), seconds=1, container_options=key)
    assert "encrypted" in str(refusal(path))


def test_isolated_damage_is_skipped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(64, 48), seconds=2, options={"g": "1"}, audio=None)
    wipe(path, [7, 20, 21, 22])
    reader = FrameReader(path, probe(path))
    frames = list(reader)
    kept = [n for n in range(50) if n not in (7, 20, 21, 22)]
    assert [read_number(frame.image) for frame in frames] == kept
    assert [frame.time for frame in frames] == [Fraction(n, 25) for n in kept]
    assert (reader.failures, reader.stopped) == (4, False)
    assert any("4 frames" in warning for warning in reader.warnings)
    gridded = FrameReader(path, probe(path), rate=Fraction(25))
    assert [read_number(frame.image) for frame in gridded][5:9] == [5, 6, 6, 8]


def test_seven_in_a_row_go_on_and_eight_stop(tmp_path: Path) -> None:
    for count, left in ((7, 43), (8, 20)):
        path = tmp_path / f"clip{count}.mp4"
        make_clip(path, size=(64, 48), seconds=2, options={"g": "1"}, audio=None)
        wipe(path, range(20, 20 + count))
        reader = FrameReader(path, probe(path))
        assert len(list(reader)) == left
        assert (reader.failures, reader.stopped) == (count, count == 8)


def test_nothing_but_damage(clip_path: Path) -> None:
    wipe(clip_path, range(50))
    assert "not one picture" in str(refusal(clip_path))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".flv", ".webm"])
def test_noise_in_a_file_never_escapes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip{suffix}"
    codecs = {".webm": {"codec": "libvpx-vp9"}, ".avi": {"codec": "mpeg4", "audio_codec": "pcm_s16le"}}
    how: dict[str, Any] = codecs.get(suffix, {})
    make_clip(path, size=(64, 48), seconds=1, options={"g": "5"} if suffix != ".webm" else None, **how)
    sound_data = path.read_bytes()
    random = np.random.default_rng(7)
    for _ in range(12):
        data = np.frombuffer(sound_data, np.uint8).copy()
        for _ in range(3):
            at = int(random.integers(0, len(data) - 40))
            data[at : at + 40] = random.integers(0, 256, 40)
        path.write_bytes(data.tobytes())
        with suppress(AvisError):
            clip = probe(path)
            times = [frame.time for frame in FrameReader(path, clip, rate=Fraction(10), end=Fraction(10))]
            assert times == sorted(set(times))
            if clip.audio is not None:
                samples = read_waveform(path, clip, end=Fraction(10)).samples
                assert np.isfinite(samples).all()
                assert len(samples) <= 160_000


def test_a_file_that_changes_is_refused(clip_path: Path) -> None:
    clip = probe(clip_path)
    make_clip(clip_path, size=(64, 48), seconds=1)
    with pytest.raises(MediaError, match="changed"):
        list(FrameReader(clip_path, clip))
    with pytest.raises(MediaError, match="changed"):
        read_waveform(clip_path, clip)


def test_a_start_beyond_the_end(clip_path: Path) -> None:
    with pytest.raises(MediaError, match=r"no frame at or after 7\.000 s"):
        list(FrameReader(clip_path, probe(clip_path), start=Fraction(7)))


def test_a_recording_that_begins_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "clip.ts"
    make_clip(
        path, size=(64, 48), seconds=3, options={"g": "20"}, container_options={"mpegts_flags": "+resend_headers"}
    )
    data = path.read_bytes()
    path.write_bytes(data[len(data) // 6 // 188 * 188 :])
    clip = probe(path)
    frames = list(FrameReader(path, clip))
    first = read_number(frames[0].image)
    assert first in (20, 40)
    assert [read_number(frame.image) for frame in frames] == list(range(first, 75))
    assert frames[0].time == 0


@pytest.mark.parametrize("tag", [b"00:00:1e999999999", b"00:00:1/0", b"1e9999999", b"-1:00:00.0", b"00:00:nan"])
def test_a_duration_tag_that_is_no_duration_is_ignored(tmp_path: Path, tag: bytes) -> None:
    """A large exponent must not be computed, which would take for ever."""
    path = tmp_path / "clip.mkv"
    make_clip(path, size=(64, 48), seconds=2)
    written = b"00:00:02.000000000"
    data = path.read_bytes()
    assert data.count(written) >= 1
    assert probe(path).duration == 2
    path.write_bytes(data.replace(written, tag.ljust(len(written), b"\0")))
    assert 2 <= probe(path).duration < Fraction(21, 10)  # what the container says: its sound is a little longer


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOMEM, MemoryError), (errno.EAGAIN, MemoryError), (errno.EINVAL, MediaError)]
)
def test_a_decoder_without_memory_is_no_fault_of_the_file(number: int, expected: type[Exception]) -> None:
    class Context:
        name, width, height, coded_width, coded_height = "h264", 8, 8, 8, 8
        options: ClassVar[dict[str, str]] = {}

        def open(self, strict: bool) -> None:
            av.error.err_check(-number)

    with pytest.raises(expected):
        open_decoder(SimpleNamespace(codec_context=Context()), "clip.mp4", 10**6)
