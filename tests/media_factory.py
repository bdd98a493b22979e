"""Small video files for tests, made on the fly: frame n shows n in blocks, and the sound clicks at known frames."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

BITS = 8  # blocks in a row, the most significant left
CLICK_EVERY = 10  # frames between two clicks
CLICK_SECONDS = 0.004
PLAIN = (0x10000, 0, 0, 0x10000)

# upright from coded: what to do with an array, and the display matrix's a b c d that says so
ORIENTATIONS: dict[str, tuple[Callable[[Any], Any], tuple[int, int, int, int]]] = {
    "as it is": (lambda x: x, (1, 0, 0, 1)),
    "mirrored": (lambda x: x[:, ::-1], (-1, 0, 0, 1)),
    "half turn": (lambda x: x[::-1, ::-1], (-1, 0, 0, -1)),
    "upside down": (lambda x: x[::-1], (1, 0, 0, -1)),
    "transposed": (lambda x: x.swapaxes(0, 1), (0, 1, 1, 0)),
    "clockwise": (lambda x: np.rot90(x, -1), (0, 1, -1, 0)),
    "transverse": (lambda x: np.rot90(x, -1)[::-1], (0, -1, -1, 0)),
    "anticlockwise": (lambda x: np.rot90(x, 1), (0, -1, 1, 0)),
}


def numbered_image(number: int, size: tuple[int, int]) -> np.ndarray:
    """uint8 RGB (H, W, 3): ``number`` in BITS black and white blocks over the upper half; below, four flat colours."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        white = number >> (BITS - 1 - bit) & 1
        image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 235 if white else 20
    for index, colour in enumerate([(200, 40, 40), (40, 180, 40), (40, 40, 200), (180, 180, 40)]):
        image[height // 2 :, index * width // 4 : (index + 1) * width // 4] = colour
    return image


def read_number(image: np.ndarray) -> int:
    """The number that a picture made by ``numbered_image`` shows, whatever was drawn over its lower half."""
    height, width = image.shape[:2]
    row = image[height // 8 : height // 4 + 1].mean(axis=(0, 2))
    centres = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    return sum(1 << (BITS - 1 - bit) for bit, x in enumerate(centres) if row[x] > 127)


def click_track(times: Sequence[Fraction], rate: int, length: int, channels: int = 1) -> np.ndarray:
    """float32 (channels, length): a 2 kHz burst of CLICK_SECONDS at each time, silence between."""
    samples = np.zeros(length, np.float32)
    burst = 0.8 * np.sin(2 * np.pi * 2000 * np.arange(int(CLICK_SECONDS * rate)) / rate, dtype=np.float32)
    for time in times:
        first = round(time * rate)
        if first < length:
            part = burst[: length - first]
            samples[first : first + len(part)] = part
    return np.tile(samples, (channels, 1))


def click_times(samples: np.ndarray, rate: int, threshold: float = 0.2) -> list[float]:
    """Onset of each click in mono samples, in seconds."""
    loud = np.flatnonzero(np.abs(samples) > threshold)
    if not len(loud):
        return []
    onsets = loud[np.concatenate([[True], np.diff(loud) > rate // 20])]
    return [float(onset) / rate for onset in onsets]


def variable_times(count: int = 40, seed: int = 0) -> list[Fraction]:
    """Between 1 and 60 frames per second, on a 90 kHz clock."""
    times = [Fraction(0)]
    for gap in random.Random(seed).choices([1500, 3000, 4500, 9000, 90_000], [8, 8, 4, 4, 1], k=count - 1):
        times.append(times[-1] + Fraction(gap, 90_000))
    return times


def make_clip(
    path: str | Path,
    *,
    size: tuple[int, int] = (96, 64),
    fps: Fraction | int = Fraction(25),
    seconds: Fraction | float = 2,
    times: Sequence[Fraction] | None = None,
    audio: str | np.ndarray | None = "clicks",
    audio_seconds: Fraction | float | None = None,
    audio_offset: Fraction | float = 0,
    video_offset: Fraction | float = 0,
    sample_rate: int = 48000,
    layout: str = "mono",
    codec: str = "libx264",
    audio_codec: str | None = None,
    pix_fmt: str | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    format: str | None = None,
    languages: Sequence[str] = ("eng",),
    aspect: Fraction | None = None,
    image: Callable[[int, tuple[int, int]], np.ndarray] = numbered_image,
    tune: Callable[[Any], None] | None = None,
) -> list[Fraction]:
    """Write a clip and return the time of each frame (seconds, from the first one's).

    ``times`` gives a variable rate, else ``seconds`` at ``fps``. ``audio``: "clicks" (one at every CLICK_EVERY-th
    frame), "tone" (440 Hz), "silence", samples (C, N), or None; one stream per language. ``video_offset`` moves
    everything on the file's clock; ``audio_offset`` is when the sound begins, after (or before) the first picture:
    clicks stay with their frames. ``tune`` may change the video stream before encoding. The container follows the
    suffix unless ``format`` names it.
    """
    fps = Fraction(fps)
    if times is None:
        times = [n / fps for n in range(max(round(Fraction(seconds) * fps), 1))]
    end = times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1 / fps)
    suffix = Path(path).suffix.lower()
    target = f"file:{Path(path).absolute()}"
    with av.open(target, "w", format=format or _FORMATS.get(suffix), container_options=container_options or {}) as out:
        video = out.add_stream(codec, rate=fps, options=dict(_VIDEO_OPTIONS.get(codec, {}), **(options or {})))
        video.width, video.height = size
        video.pix_fmt = pix_fmt or _PIX_FMTS.get(codec, "yuv420p")
        moved = [(time + Fraction(video_offset)) * fps for time in times]
        even = all(tick.denominator == 1 for tick in moved)
        video.codec_context.time_base = 1 / fps if even else Fraction(1, 90_000)
        if aspect is not None:
            video.codec_context.sample_aspect_ratio = aspect
        if tune is not None:
            tune(video)
        sounds = []
        if audio is not None:
            samples = _samples(audio, times, sample_rate, Fraction(audio_seconds or end), layout)
            for language in languages:
                stream = out.add_stream(audio_codec or _AUDIO_CODECS.get(suffix, "aac"), rate=sample_rate)
                stream.codec_context.layout = layout
                stream.metadata["language"] = language
                sounds.append((stream, samples))
        _mux(out, video, times, image, size, Fraction(video_offset), sounds, Fraction(audio_offset))
    return list(times)


def _mux(
    out: Any, video: Any, times: Any, image: Any, size: Any, offset: Fraction, sounds: Any, late: Fraction
) -> None:
    packets = []
    for number, time in enumerate(times):
        frame = av.VideoFrame.from_ndarray(image(number, size), "rgb24")
        if (frame.width, frame.height) != size:
            raise ValueError("the picture has another size")
        base = video.codec_context.time_base
        frame.pts, frame.time_base = round((time + offset) / base), base
        packets += video.encode(frame)
    packets += video.encode(None)
    for stream, samples in sounds:
        rate = stream.codec_context.sample_rate
        skip = round(late * rate)
        block = samples[:, skip:] if skip >= 0 else np.pad(samples, ((0, 0), (-skip, 0)))
        first = skip + round(offset * rate)
        for begin in range(0, block.shape[1], 1024):
            part = np.ascontiguousarray(block[:, begin : begin + 1024])
            heard = av.AudioFrame.from_ndarray(part.T.reshape(1, -1), "flt", stream.codec_context.layout.name)
            heard.sample_rate, heard.pts, heard.time_base = rate, first + begin, Fraction(1, rate)
            packets += stream.encode(heard)
        packets += stream.encode(None)
    packets.sort(key=lambda packet: packet.dts * packet.time_base)
    for packet in packets:
        out.mux(packet)


def _samples(
    audio: str | np.ndarray, times: Sequence[Fraction], rate: int, seconds: Fraction, layout: str
) -> np.ndarray:
    channels = av.AudioLayout(layout).nb_channels
    length = round(seconds * rate)
    if not isinstance(audio, str):
        return audio.astype(np.float32)
    if audio == "clicks":
        return click_track(times[::CLICK_EVERY], rate, length, channels)
    wave = 0.4 * np.sin(2 * np.pi * 440 * np.arange(length) / rate) if audio == "tone" else np.zeros(length)
    return np.tile(wave.astype(np.float32), (channels, 1))


def spread_sound(source: str | Path, target: str | Path, times: Iterable[Fraction | float]) -> None:
    """``source`` with its picture as it is and one packet of its sound, in turn, at each of ``times`` (seconds)."""
    with av.open(str(source)) as file, av.open(str(target), "w") as out:
        streams = [file.streams.video[0], file.streams.audio[0]]
        packets = [packet for packet in file.demux(*streams) if packet.size]
        video, audio = (out.add_stream_from_template(stream) for stream in streams)
        data = [bytes(packet) for packet in packets if packet.stream_index == streams[1].index]
        for packet in packets:
            if packet.stream_index == streams[0].index:
                packet.stream = video
                out.mux(packet)
        for number, time in enumerate(times):
            packet = av.Packet(data[number % len(data)])
            packet.stream, packet.time_base = audio, Fraction(1, 90_000)
            packet.pts = packet.dts = round(time * 90_000)
            out.mux(packet)


def turn(path: str | Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a b c d (whole numbers or 16.16) into the display matrix of every picture track of an MP4 or MOV file."""
    data = bytearray(Path(path).read_bytes())
    a, b, c, d = (value * 0x10000 if abs(value) < 2 else value for value in matrix)
    at = data.find(b"tkhd")
    while at >= 0:
        box = at - 4
        length = struct.unpack(">I", data[box : box + 4])[0]
        width = struct.unpack(">I", data[box + length - 8 : box + length - 4])[0]
        if width:
            start = box + length - 8 - 36
            data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
        at = data.find(b"tkhd", at + 4)
    Path(path).write_bytes(data)


_FORMATS = {".mkv": "matroska", ".ts": "mpegts", ".mts": "mpegts", ".3gp": "3gp", ".mpg": "mpeg"}
_AUDIO_CODECS = {".webm": "libopus", ".avi": "libmp3lame"}
_PIX_FMTS = {"mjpeg": "yuvj420p", "gif": "rgb8", "png": "rgb24", "apng": "rgb24", "ffv1": "yuv420p"}
_VIDEO_OPTIONS = {
    "libx264": {"preset": "ultrafast", "crf": "12", "bf": "0", "threads": "1"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime", "b": "1M", "threads": "1"},
    "libsvtav1": {"preset": "12"},
    "mpeg4": {"b": "2M"},
    "mjpeg": {"q": "3"},
}
