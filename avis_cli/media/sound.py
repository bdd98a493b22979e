"""Sound on the picture's clock: samples put where their timestamps say, mixed to mono, resampled.

Down-mix to mono: one or two channels by the plain mean. More channels: front left and right count 1, centre sqrt(2),
side, back and wide channels sqrt(1/2), back centre 1, the low-frequency effects channel 0 (the stereo down-mix of
ITU-R BS.775 with its two sides added), divided by the sum so that nothing can clip. Six or eight channels without
named places are taken as 5.1 and 7.1; any other channels without a known place: the plain mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray

from avis_cli.media.clock import LEAP, REWIND

Samples = NDArray[np.float32]  # (C, N), -1..1

JITTER = Fraction(1, 100)  # seconds by which timestamps may disagree with the count of samples (coarse clocks, drift)
_LOUDEST = 1000  # times full scale: 60 dB above it
_PLANES = 8  # FFmpeg keeps the addresses of more planes than this apart, where PyAV does not look
_CHUNK = 1 << 16  # samples of silence made at a time

_SCALES: dict[str, tuple[Any, float, float]] = {
    "u8": (np.uint8, 128.0, 1 / 2**7),
    "s16": (np.int16, 0.0, 1 / 2**15),
    "s32": (np.int32, 0.0, 1 / 2**31),
    "s64": (np.int64, 0.0, 1 / 2**63),
    "flt": (np.float32, 0.0, 1.0),
    "dbl": (np.float64, 0.0, 1.0),
}
_WEIGHTS = {
    "FL": 1.0,
    "FR": 1.0,
    "FC": 2**0.5,
    "LFE": 0.0,
    "LFE2": 0.0,
    "BC": 1.0,
    "DL": 1.0,
    "DR": 1.0,
} | dict.fromkeys(
    ("BL", "BR", "SL", "SR", "FLC", "FRC", "WL", "WR", "TFL", "TFR", "TBL", "TBR", "TSL", "TSR"), 0.5**0.5
)


def to_samples(*frames: av.AudioFrame) -> Samples:
    """Decoded blocks of any one sample format as float32 (C, N); what is not a number becomes silence.

    Floats beyond all loudness are bounded: filters and encoders would make them infinite.
    """
    kind = frames[0].format.name
    values = np.concatenate([_values(frame) for frame in frames], axis=1)
    if kind.startswith("flt"):
        samples = values.astype(np.float32)
    else:
        _, middle, scale = _SCALES[kind.removesuffix("p")]
        samples = ((values.astype(np.float64) - middle) * scale).astype(np.float32)
    samples = np.nan_to_num(samples, copy=False, nan=0.0, posinf=1.0, neginf=-1.0)
    return np.clip(samples, -_LOUDEST, _LOUDEST, out=samples)


def _values(frame: av.AudioFrame) -> NDArray[Any]:
    """The numbers of a decoded block as they are, (C, N)."""
    count, number = len(frame.layout.channels), frame.samples
    if frame.format.is_planar and count >= _PLANES:
        (frame,) = av.AudioResampler(frame.format.name.removesuffix("p"), frame.layout, frame.sample_rate).resample(
            frame
        )
    dtype = _SCALES[frame.format.name.removesuffix("p")][0]
    if frame.format.is_planar:
        return np.stack([np.frombuffer(memoryview(plane), dtype, number) for plane in frame.planes])
    return np.frombuffer(memoryview(frame.planes[0]), dtype, number * count).reshape(number, count).T


def to_frame(samples: Samples, layout: str, rate: int, position: int) -> av.AudioFrame:
    """(C, N) samples as a block for FFmpeg, the first being sample number ``position``."""
    packed = np.ascontiguousarray(samples.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, "flt", layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
    return frame


def known_layout(layout: av.AudioLayout) -> str | None:
    """The name of a layout whose channels have places; six and eight channels without are taken as 5.1 and 7.1."""
    if all(channel.name in _WEIGHTS for channel in layout.channels):
        return layout.name
    if layout.name == f"{len(layout.channels)} channels":
        return {6: "5.1", 8: "7.1"}.get(len(layout.channels))
    return None


def to_mono(*frames: av.AudioFrame) -> Samples:
    """Decoded blocks of one sample format and layout mixed down to (1, N) by this module's rule."""
    samples = to_samples(*frames)
    weights = np.ones(len(samples), np.float32)
    if len(samples) > 2 and (layout := known_layout(frames[0].layout)) is not None:
        weights = np.array([_WEIGHTS[channel.name] for channel in av.AudioLayout(layout).channels], np.float32)
    return (weights / weights.sum() @ samples)[None]


def unify_layout(
    frames: Iterable[tuple[Fraction | None, av.AudioFrame]], rate: int, layout: av.AudioLayout
) -> Iterator[tuple[Fraction | None, av.AudioFrame]]:
    """Decoded blocks with their times, brought to one rate and layout wherever the file changes to others."""
    changer: av.AudioResampler | None = None
    form: tuple[int, str, str] | None = None
    for time, frame in frames:
        if (frame.sample_rate, frame.layout.name) == (rate, layout.name):
            yield time, frame
            continue
        if changer is None or form != (frame.sample_rate, frame.layout.name, frame.format.name):
            form = frame.sample_rate, frame.layout.name, frame.format.name
            changer = av.AudioResampler("fltp", layout, rate)
        for changed in changer.resample(frame):
            yield time, changed
            time = None


def place_on_clock(blocks: Iterable[tuple[Fraction | None, Samples]], rate: int, begin: Fraction) -> Iterator[Samples]:
    """Blocks with their clip times (seconds) -> blocks that follow each other without a gap, the first at ``begin``.

    What sounds before ``begin`` is cut, gaps are silent, what would sound twice is cut. Timestamps that differ from
    the count of samples by no more than ``JITTER`` are taken as the count. A clock set anew in the file (back by more
    than a second, ahead by more than an hour) is followed without a gap, until the old clock fits again.
    """
    cursor = 0  # of the next sample to yield, counted from ``begin``
    expected: int | None = None  # where the next block should begin
    shift = 0  # samples by which the clock has been set anew
    for time, block in blocks:
        if time is None:
            index = expected or 0
        elif expected is None:
            index = round((time - begin) * rate)
        else:
            index = round((time - begin) * rate)
            shift = 0 if abs(index - expected) < REWIND * rate else shift
            index += shift
            if not -REWIND * rate < index - expected < LEAP * rate:
                shift, index = shift + expected - index, expected
            elif abs(index - expected) <= JITTER * rate:
                index = expected
        expected = index + block.shape[1]
        for gap in range(cursor, index, _CHUNK):
            yield np.zeros((len(block), min(_CHUNK, index - gap)), np.float32)
        fresh = block[:, max(cursor - index, 0) :]
        cursor = max(cursor, expected)
        if fresh.shape[1]:
            yield fresh


def resample(
    blocks: Iterable[Samples], rate: int, target: int, layout: str = "mono", to_layout: str = "mono"
) -> Iterator[Samples]:
    """(C, N) blocks at ``rate`` Hz -> (D, M) blocks at ``target`` Hz whose first sample sounds at the same moment.

    FFmpeg's polyphase resampler with a filter of 64 taps; where nothing changes, blocks pass through untouched.
    """
    if (rate, layout) == (target, to_layout):
        yield from blocks
        return
    graph = Graph()
    source = graph.add("abuffer", f"sample_rate={rate}:sample_fmt=flt:channel_layout={layout}:time_base=1/{rate}")
    change = graph.add("aresample", f"{target}:filter_size=64:phase_shift=10:cutoff=0.97")
    form = graph.add("aformat", f"sample_fmts=fltp:channel_layouts={to_layout}")
    sink = graph.add("abuffersink")
    source.link_to(change)
    change.link_to(form)
    form.link_to(sink)
    graph.configure()
    position = 0
    for block in blocks:
        graph.push(to_frame(block, layout, rate, position))
        position += block.shape[1]
        yield from _pull(graph)
    if position:
        graph.push(None)
        yield from _pull(graph)


def _pull(graph: Graph) -> Iterator[Samples]:
    while True:
        try:
            frame: Any = graph.pull()
        except (EOFError, av.BlockingIOError):
            return
        yield to_samples(frame)
