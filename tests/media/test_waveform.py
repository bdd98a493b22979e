"""The sound of real files on the picture's clock."""

from __future__ import annotations

import functools
import math
import tracemalloc
import wave
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import CLICK_EVERY, click_times, make_clip, spread_sound
from scipy.io import wavfile

from avis_cli.errors import MediaError, UsageError
from avis_cli.media import sound
from avis_cli.media.clip_info import Waveform
from avis_cli.media.decode import probe, read_peaks, read_waveform
from avis_cli.media.waveform import read_sound

NTSC = Fraction(30_000, 1001)
MILLISECOND = 1e-3


def read(path: Path, **options: Any) -> Waveform:
    return read_waveform(path, probe(path), **options)


def sine(hertz: float, seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    wave = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


CONTAINERS: list[tuple[str, dict[str, Any]]] = [
    (".mp4", {}),
    (".mp4", {"audio_codec": "alac", "fps": NTSC}),
    (".mp4", {"audio_codec": "ac3", "layout": "5.1"}),
    (".mkv", {}),
    (".mkv", {"audio_codec": "flac", "sample_rate": 96_000}),
    (".webm", {"codec": "libvpx-vp9"}),
    (".mov", {"audio_codec": "pcm_s16le", "fps": NTSC, "sample_rate": 44_100}),
    (".ts", {}),
    (".ts", {"codec": "mpeg2video", "audio_codec": "mp2"}),
    (".flv", {"sample_rate": 44_100, "fps": NTSC}),
]
OFFSETS: list[tuple[Fraction, Fraction]] = [
    (Fraction(0), Fraction(0)),
    (Fraction(6, 5), Fraction(-6, 5)),  # the picture begins late
    (Fraction(0), Fraction(1, 2)),  # the sound begins late
    (Fraction(1), Fraction(-1, 2)),  # both do
]
CASES = [(suffix, how, *offsets) for suffix, how in CONTAINERS for offsets in OFFSETS]
CASES += [(".avi", {"codec": "mjpeg", "audio_codec": "pcm_s16le"}, *OFFSETS[0])]  # AVI has no timestamps to offset
CASES += [(".mp4", {"audio_codec": "libmp3lame"}, Fraction(0), Fraction(1, 100))]


@pytest.mark.parametrize(("suffix", "how", "video_offset", "audio_offset"), CASES)
def test_clicks_sound_with_their_frames(
    tmp_path: Path, suffix: str, how: dict[str, Any], video_offset: Fraction, audio_offset: Fraction
) -> None:
    path = tmp_path / f"clip{suffix}"
    times = make_clip(path, size=(32, 32), video_offset=video_offset, audio_offset=audio_offset, **how)
    expected = [float(time) for time in times[::CLICK_EVERY] if time >= audio_offset]
    # MP3 cannot say how much its encoder delays (1105 samples here)
    allowed = 0.024 if "mp3" in how.get("audio_codec", "") else 1.2 * MILLISECOND
    waveform = read(path)
    assert (waveform.sample_rate, waveform.start) == (16_000, 0)
    assert click_times(waveform.samples, 16_000) == pytest.approx(expected, abs=allowed)
    own = read(path, rate=None)
    assert own.sample_rate == how.get("sample_rate", 48_000)
    assert click_times(own.samples, own.sample_rate) == pytest.approx(expected, abs=allowed)


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le", "pcm_s16be", "pcm_mulaw"]
)
def test_sample_formats_have_the_same_scale(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "clip.mov"
    wave = sine(440, 1, 16_000, channels=2)
    make_clip(path, size=(32, 32), seconds=1, audio=wave, audio_codec=codec, sample_rate=16_000, layout="stereo")
    samples = read(path).samples
    assert len(samples) == 16_000
    assert np.abs(samples - wave[0]).max() < (0.02 if codec in ("pcm_u8", "pcm_mulaw") else 1e-4)


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_resampling_keeps_a_tone(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "clip.mov"
    make_clip(path, size=(32, 32), seconds=1, audio=sine(1000, 1, rate), audio_codec="pcm_f32le", sample_rate=rate)
    waveform = read(path)
    expected = sine(1000, 1, 16_000)[0]
    assert len(waveform.samples) == 16_000
    assert np.abs(waveform.samples - expected)[200:-200].max() < 2e-3
    own = read(path, rate=None)
    assert (own.sample_rate, len(own.samples)) == (rate, rate)
    assert np.array_equal(own.samples, sine(1000, 1, rate)[0])


def test_resampling_stops_what_it_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    make_clip(path, size=(32, 32), seconds=1, audio=sine(9000, 1, 48_000), audio_codec="pcm_f32le")
    assert np.abs(read(path).samples[400:-400]).max() < 1e-3


def test_mono_and_stereo_are_the_same(tmp_path: Path) -> None:
    waves = []
    for layout, channels in (("mono", 1), ("stereo", 2)):
        path = tmp_path / f"{layout}.mkv"
        make_clip(
            path, size=(32, 32), seconds=1, audio=sine(700, 1, 44_100, channels), audio_codec="flac",
            sample_rate=44_100, layout=layout,
        )  # fmt: skip
        waves.append(read(path).samples)
    assert np.abs(waves[0] - waves[1]).max() < 1e-4


def test_stereo_is_the_plain_mean(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    two = np.stack([sine(500, 1, 16_000)[0], np.zeros(16_000, np.float32)])
    make_clip(path, size=(32, 32), seconds=1, audio=two, audio_codec="pcm_f32le", sample_rate=16_000, layout="stereo")
    assert np.allclose(read(path).samples, two[0] / 2, atol=1e-6)


@pytest.mark.parametrize("layout", ["3.0", "quad", "5.0", "5.1", "5.1(side)", "7.1"])
def test_many_channels_do_not_clip(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "clip.mkv"
    count = len(av.AudioLayout(layout).channels)
    loud = np.full((count, 16_000), 0.99, np.float32)
    make_clip(path, size=(32, 32), seconds=1, audio=loud, audio_codec="flac", sample_rate=16_000, layout=layout)
    assert np.allclose(read(path).samples, 0.99, atol=1e-3)


def test_the_downmix_of_five_one() -> None:
    names = [channel.name for channel in av.AudioLayout("5.1").channels]
    total = 2 + math.sqrt(2) + 2 * math.sqrt(0.5)
    shares = {"FL": 1, "FR": 1, "FC": math.sqrt(2), "LFE": 0, "BL": math.sqrt(0.5), "BR": math.sqrt(0.5)}
    for index, name in enumerate(names):
        samples = np.zeros((6, 64), np.float32)
        samples[index] = 0.5
        mixed = sound.to_mono(sound.to_frame(samples, "5.1", 48_000, 0))
        assert mixed == pytest.approx(0.5 * shares[name] / total)


def test_channels_without_places_are_averaged() -> None:
    samples = np.arange(3, dtype=np.float32)[:, None].repeat(8, 1) / np.float32(4)
    assert sound.to_mono(sound.to_frame(samples, "3 channels", 48_000, 0)) == pytest.approx(0.25)


def test_what_is_no_number_is_silent() -> None:
    samples = np.array([[np.nan, np.inf, -np.inf, 0.25]], np.float32)
    assert sound.to_mono(sound.to_frame(samples, "mono", 48_000, 0)).tolist() == [[0, 1, -1, 0.25]]


def test_shorter_sound_ends_in_silence_and_longer_is_cut(tmp_path: Path) -> None:
    for name, seconds in (("short", Fraction(1, 2)), ("long", Fraction(3))):
        path = tmp_path / f"{name}.mp4"
        make_clip(path, size=(32, 32), seconds=Fraction(8, 5), audio="tone", audio_seconds=seconds)
        samples = read(path).samples
        assert len(samples) == 25_600
        assert np.abs(samples[:8000]).max() > 0.3
        assert (np.abs(samples[10_000:]).max() > 0.3) == (name == "long")


def test_silence_is_zeros(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(32, 32), seconds=1, audio="silence")
    assert not read(path).samples.any()


@pytest.mark.parametrize(("suffix", "how"), [(".mp4", {}), (".ts", {}), (".mov", {"audio_codec": "pcm_s16le"})])
@pytest.mark.parametrize("rate", [16_000, None])
def test_a_window_is_a_piece_of_the_whole(tmp_path: Path, suffix: str, how: dict[str, Any], rate: int | None) -> None:
    path = tmp_path / f"clip{suffix}"
    make_clip(path, size=(32, 32), seconds=7, sample_rate=44_100, **how)
    whole = read(path, rate=rate)
    for start, end in ((Fraction(0), Fraction(1)), (Fraction(9, 2), Fraction(11, 2)), (Fraction(5), Fraction(20))):
        part = read(path, rate=rate, start=start, end=end)
        first = round(start * whole.sample_rate)
        assert part.start == Fraction(first, whole.sample_rate)
        expected = whole.samples[first : round(end * whole.sample_rate)]
        assert len(part.samples) == len(expected)
        assert np.abs(part.samples - expected).max() < 2e-3


def test_audio_tracks(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    make_clip(path, size=(32, 32), seconds=1, languages=("eng", "fre"))
    clip = probe(path)
    assert clip.audio is not None
    assert clip.audio.index == 0
    assert [(track.index, track.language) for track in clip.audio_tracks] == [(0, "eng"), (1, "fre")]
    assert any("2 audio tracks" in warning for warning in clip.warnings)
    for wanted in (1, "1", "fre", "FRE", "fr"):
        chosen = probe(path, audio_track=wanted).audio
        assert chosen is not None
        assert chosen.index == 1
    for wanted in (2, "-1", "ger", ""):
        with pytest.raises(UsageError, match="no audio track"):
            probe(path, audio_track=wanted)


def test_no_audio_stream(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(32, 32), seconds=1, audio=None)
    clip = probe(path)
    assert clip.audio is None
    with pytest.raises(MediaError, match="no audio stream"):
        read_waveform(path, clip)
    with pytest.raises(UsageError, match="no audio stream"):
        probe(path, audio_track=0)


def test_sound_in_an_unknown_codec_is_not_called_missing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(32, 32), seconds=1, audio="tone")
    path.write_bytes(path.read_bytes().replace(b"mp4a", b"zzzz").replace(b"esds", b"free"))
    clip = probe(path)
    assert clip.audio is None
    with pytest.raises(MediaError, match=r"audio codec \(unknown .*\) cannot be decoded.*--allow-silent"):
        clip.require_sound()


def test_damaged_sound_is_silent_where_it_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(32, 32), seconds=2, audio="tone")
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[30:50]:
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    samples = read(path).samples
    assert len(samples) == 32_000
    assert np.abs(samples[2000:8000]).max() > 0.3
    assert np.abs(samples[-8000:-2000]).max() > 0.3


def write_wav(path: Path, samples: np.ndarray, rate: int) -> None:
    """Samples (N, C) of any kind that WAV has; 24 bit as int32 whose lowest byte is zero, marked by ``u24``."""
    if samples.dtype != np.dtype("<i4") or samples.astype("<i4").tobytes()[::4].strip(b"\0"):
        wavfile.write(path, rate, samples)
        return
    packed = samples.reshape(-1, 1).view(np.uint8)[:, 1:]
    with wave.open(str(path), "wb") as file:
        file.setparams((samples.shape[1], 3, rate, 0, "NONE", ""))
        file.writeframes(packed.tobytes())


def wav_samples(kind: str, channels: int) -> np.ndarray:
    random = np.random.default_rng(7)
    if kind == "u1":
        return random.integers(0, 256, (3000, channels)).astype(np.uint8)
    if kind == "i3":
        return (random.integers(-(2**23), 2**23, (3000, channels)) << 8).astype("<i4")
    if kind in ("i2", "i4"):
        bound = np.iinfo(f"<{kind}")
        extremes = np.array([[bound.min], [bound.max], [0], [1], [-1]]) + np.zeros((1, channels), np.int64)
        drawn = random.integers(bound.min, bound.max, (3000, channels), endpoint=True)
        return np.concatenate([extremes, drawn]).astype(f"<{kind}")
    return random.uniform(-1, 1, (3000, channels)).astype(f"<{kind}")


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", ["u1", "i2", "i3", "i4", "f4", "f8"])
def test_every_kind_of_wav_gives_the_samples_that_are_in_it(tmp_path: Path, kind: str, channels: int) -> None:
    """Bit for bit what reading the samples as an array, scaling them to -1..1 and taking the mean gives."""
    samples = wav_samples(kind, channels)
    write_wav(tmp_path / "sound.wav", samples, 16_000)
    rate, stored = wavfile.read(tmp_path / "sound.wav")
    stored = stored.reshape(len(samples), channels)
    assert np.array_equal(stored, samples)
    if kind == "u1":
        expected = stored.astype(np.float32) / 128.0 - 1.0
    elif kind.startswith("i"):
        expected = stored.astype(np.float32) / np.float32(-float(np.iinfo(stored.dtype).min))
    else:
        expected = stored.astype(np.float32)
    sound = read_sound(tmp_path / "sound.wav")
    assert (sound.sample_rate, sound.samples.dtype) == (rate, np.float32)
    assert np.array_equal(sound.samples, expected.mean(axis=1, dtype=np.float32))


def test_floats_beyond_full_scale_are_bounded(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "sound.wav", 16_000, np.array([0.5, 1.5, -7.0, np.nan], dtype=np.float32))
    assert read_sound(tmp_path / "sound.wav").samples.tolist() == [0.5, 1.0, -1.0, 0.0]


def longer_sound(folder: Path, times: Iterable[Fraction | float]) -> Path:
    """A clip with a second of picture and a packet of sound at each of ``times``."""
    make_clip(folder / "short.mkv", size=(32, 32), fps=5, seconds=1, audio="tone")
    spread_sound(folder / "short.mkv", folder / "clip.mkv", times)
    return folder / "clip.mkv"


def peak_memory(work: Callable[[], object]) -> int:
    """The most bytes that Python and NumPy hold at once while ``work`` is done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


LONG = [Fraction(1024 * n, 48_000) for n in range(4_000)]  # 85 seconds
LEAPS = [Fraction(1024 * n, 48_000) + 3000 * (n // 10) for n in range(100)]  # seven hours


@pytest.mark.parametrize("times", [LONG, LEAPS], ids=["long", "leaps"])
@pytest.mark.parametrize("rate", [16_000, None])
def test_sound_beyond_the_picture_takes_no_memory(tmp_path: Path, times: list[Fraction], rate: int | None) -> None:
    path = longer_sound(tmp_path, times)
    clip = probe(path)
    waveforms: list[Waveform] = []

    def read(**how: Any) -> None:
        waveforms.append(read_waveform(path, clip, rate=rate, **how))

    for reading in (read, functools.partial(read, end=Fraction(20), within_picture=True)):
        peak = peak_memory(reading)
        assert peak < 4e6
    for waveform in waveforms:
        assert len(waveform.samples) == waveform.sample_rate
        assert waveform.samples.any()
    assert peak_memory(lambda: read_peaks(path, clip, most=1 << 20)) < 4e6


def test_sound_beyond_the_picture_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = longer_sound(tmp_path, LONG)
    clip, original = probe(path), sound.to_mono
    decoded: list[int] = []

    def to_mono(*frames: av.AudioFrame) -> sound.Samples:
        decoded.append(sum(frame.samples for frame in frames))
        return original(*frames)

    monkeypatch.setattr(sound, "to_mono", to_mono)
    for read_sound_of in (read_waveform, functools.partial(read_peaks, most=1000)):
        decoded.clear()
        read_sound_of(path, clip)
        assert 40_000 <= sum(decoded) < 2 * 48_000


def test_within_the_picture_sound_is_cut_where_either_ends(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    make_clip(path, size=(32, 32), seconds=3, audio="tone", audio_seconds=5)
    whole = read(path, rate=None).samples
    assert len(whole) == 3 * 48_000
    for end in (2, 3, 4, 6):
        cut = read(path, rate=None, end=Fraction(end), within_picture=True).samples
        assert np.array_equal(cut, whole[: end * 48_000])
    assert len(read(path, rate=None, end=Fraction(4)).samples) == 4 * 48_000


def test_peaks_are_the_sound_while_it_is_short_and_its_extremes_when_it_is_long(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    wave = np.random.default_rng(7).uniform(-1, 1, (1, 64_000)).astype(np.float32)
    make_clip(path, size=(32, 32), seconds=4, audio=wave, audio_codec="pcm_f32le", sample_rate=16_000)
    clip = probe(path)
    assert np.array_equal(read_peaks(path, clip, most=64_000).samples, wave[0])
    for start, end, most, parts in ((0, None, 63_999, 2), (1, None, 16_000, 3), (0, 2, 1000, 32)):
        peaks = read_peaks(path, clip, start=Fraction(start), end=None if end is None else Fraction(end), most=most)
        assert (peaks.sample_rate, peaks.start) == (16_000 // parts, start)
        assert len(peaks.samples) <= most
        if 16_000 % parts == 0:  # else the sound is resampled first
            groups = wave[0, start * 16_000 : (end or 4) * 16_000].reshape(-1, 2 * parts)
            expected = np.stack([groups.min(axis=1), groups.max(axis=1)], axis=1).ravel()
            assert np.array_equal(peaks.samples, expected)


def test_peaks_of_a_very_long_picture_are_few(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    make_clip(path, size=(32, 32), times=[Fraction(0), Fraction(1800), Fraction(3600)], audio="tone", audio_seconds=2)
    peaks = read_peaks(path, probe(path), rate=1000, most=1000)
    assert peaks.sample_rate == 1  # an hour and a half
    assert len(peaks.samples) <= 1000
