"""Live sources for tests, and an online model that says what it is given: what is loud sounds, what is bright is it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor, nn

from avis_cli.inference.model import Model
from avis_cli.models.system import OnlineConfig
from avis_cli.models.tokens import OnlineFrame, OnlineTrack

RATE = 16_000
CONFIG = OnlineConfig(
    name="listening", categories=("bell", "drum"), short_side=32, long_side=96, size_divisor=4, audio="own",
    audio_width=1, width=4, masks_every_frame=True,
)  # fmt: skip
PIECES = 60
"""In which a live source is sent."""
LOUD = 0.5
"""Embedding above which the object sounds: the loudness of a second in which it is on throughout is 1."""


@dataclass(frozen=True)
class ListeningState:
    frames: int = 0
    named: int = 0
    id: int = 0


class ListeningNetwork(nn.Module):
    """One object: whatever is bright in the picture, sounding where its second is loud. ``heard``: embeddings that it
    was given, ``times`` of token frames, ``drawn``: how often mask features were asked for between them."""

    def __init__(self, config: OnlineConfig = CONFIG) -> None:
        super().__init__()
        self.config = config
        self.weight = nn.Parameter(torch.zeros(1))
        self.heard: list[float] = []
        self.times: list[float] = []
        self.gates: list[bool | None] = []
        self.drawn = 0

    def embed_log_mel(self, patches: Tensor) -> Tensor:
        # of a 440 Hz tone one band is loud; in silence all are at the floor
        return (patches.amax(2).mean(1, keepdim=True) > -2).float()

    def start(self, named: int = 0) -> ListeningState:
        return ListeningState(named=named)

    def step(
        self, state: ListeningState, frame: Tensor, audio: Tensor, *, time: float | None = None, gated: Any = None
    ) -> tuple[OnlineFrame, ListeningState]:
        time = float(state.frames) if time is None else time
        self.heard.append(float(audio))
        self.times.append(time)
        self.gates.append(gated)
        sounds = float(audio) > LOUD
        id, named = state.id, state.named
        if sounds and not id:
            id = named = named + 1
        tracks = (OnlineTrack(id, 0, 0.9, float(audio), 0 if sounds else None),) if id else ()
        size = (frame.shape[-2], frame.shape[-1])
        found = OnlineFrame(time, size, tracks, torch.ones(1, 1), self._features(frame[None])[0])
        return found, replace(state, frames=state.frames + 1, named=named, id=id)

    def mask_features(self, frames: Tensor) -> Tensor:
        self.drawn += len(frames)
        return self._features(frames)

    def _features(self, frames: Tensor) -> Tensor:
        height, width = frames.shape[-2:]
        bright = torch.where(frames.float().mean(1, keepdim=True) > 128, 12.0, -12.0)
        padded = nn.functional.pad(bright, (0, -width % 4, 0, -height % 4), value=-12.0)
        return nn.functional.avg_pool2d(padded, 2)


def listening_model(**changes: Any) -> Model:
    return Model(ListeningNetwork(replace(CONFIG, **changes)))


def picture(number: int, size: tuple[int, int]) -> np.ndarray:
    """Black, with a white square that goes right by two pixels a frame. ``size``: width and height."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    left = 4 + 2 * number % (size[0] - 24)
    image[8:24, left : left + 16] = 255
    return image


def tone(start: float, end: float, seconds: float) -> np.ndarray:
    """A second's worth of silence but for a tone from ``start`` to ``end``."""
    times = np.arange(round(RATE * seconds)) / RATE
    on = (times >= start) & (times < end)
    return (0.5 * np.sin(2 * np.pi * 440 * times) * on).astype(np.float32)


def write_live(
    out: Any,
    *,
    seconds: float = 4.0,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    samples: np.ndarray | None = None,
    shift: float = 0.0,
    sound_late: float = 0.0,
    format: str = "mpegts",
) -> None:
    """Mux pictures and, unless ``samples`` is None, sound into ``out`` (a path or file). ``shift``: seconds added to
    all timestamps; ``sound_late``: how much later than its picture sound is interleaved."""
    pcm = format == "matroska"
    with av.open(out, "w", format=format) as container:
        video: Any = container.add_stream("mpeg4" if format != "mp4" else "libx264", rate=fps, options={"g": "5"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio: Any = None
        if samples is not None:
            audio = container.add_stream("pcm_s16le" if pcm else "aac", rate=RATE, layout="mono")
        packets: list[tuple[float, Any]] = []
        for number in range(round(seconds * fps)):
            frame = av.VideoFrame.from_ndarray(picture(number, size), "rgb24")
            frame.pts, frame.time_base = number + round(shift * fps), Fraction(1, fps)
            packets += [(number / fps, packet) for packet in video.encode(frame)]
        packets += [(seconds, packet) for packet in video.encode(None)]
        if audio is not None and samples is not None:
            packets += _sound_packets(audio, samples, shift, sound_late, "s16" if pcm else "fltp")
        for _, packet in sorted(packets, key=lambda pair: pair[0]):
            container.mux(packet)


def _sound_packets(audio: Any, samples: np.ndarray, shift: float, late: float, kind: str) -> list[tuple[float, Any]]:
    packets: list[tuple[float, Any]] = []
    for first in range(0, len(samples), 1024):
        part = samples[first : first + 1024]
        values = part if kind == "fltp" else np.round(part * 32767).astype(np.int16)
        block = av.AudioFrame.from_ndarray(values[None], kind, "mono")
        block.sample_rate, block.time_base = RATE, Fraction(1, RATE)
        block.pts = first + round(shift * RATE)
        packets += [(first / RATE + late, packet) for packet in audio.encode(block)]
    packets += [(len(samples) / RATE + late, packet) for packet in audio.encode(None)]
    return packets


def live_file(path: Path, **settings: Any) -> Path:
    write_live(str(path), **settings)
    return path


@contextmanager
def serving(*payloads: bytes | None, seconds: float = 0.5) -> Iterator[str]:
    """A TCP server on the loopback that sends each of ``payloads`` to one connection after another, evenly in so many
    ``seconds``, and closes it; None holds a connection open and sends nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        for payload in payloads:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            held.append(connection)
            if payload is not None:
                piece = -(-len(payload) // PIECES)
                with suppress(OSError):
                    for first in range(0, len(payload), piece):
                        connection.sendall(payload[first : first + piece])
                        time.sleep(seconds / PIECES)
                connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        for connection in held:
            connection.close()


def spans(flags: Sequence[tuple[float, bool]]) -> list[tuple[float, float]]:
    """Times with a flag -> (first, last) of each run of true ones."""
    runs: list[tuple[float, float]] = []
    on = False
    for now, flag in flags:
        if flag and on:
            runs[-1] = (runs[-1][0], now)
        elif flag:
            runs.append((now, now))
        on = flag
    return runs
