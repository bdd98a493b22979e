"""Building blocks of sound: wave tables, envelopes, filtered noise, repeated events. Mono at ``SAMPLE_RATE``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, sosfilt

from avis_cli.media.clip import SAMPLE_RATE

Samples = NDArray[np.float32]

_TABLE = 4096  # entries of one period


def clock(count: int) -> Samples:
    """Times in seconds of ``count`` samples."""
    return np.arange(count, dtype=np.float32) / np.float32(SAMPLE_RATE)


def samples_of(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def wave_table(amplitudes: Sequence[float]) -> Samples:
    """One period of the harmonics 1, 2, 3 ... with these amplitudes."""
    turn = np.arange(_TABLE) * (2 * math.pi / _TABLE)
    period = np.zeros(_TABLE)
    for number, amplitude in enumerate(amplitudes, start=1):
        period += amplitude * np.sin(number * turn + 0.7 * number * number)
    return np.asarray(period, np.float32)


def phase_of(frequency: ArrayLike, count: int) -> NDArray[np.float64]:
    """Turns completed at each sample for a frequency in Hz, constant or one per sample."""
    steps = np.broadcast_to(np.asarray(frequency, np.float64) / SAMPLE_RATE, (count,))
    return np.cumsum(steps)


def play(table: Samples, turns: NDArray[np.float64]) -> Samples:
    """A wave table read along a phase in turns."""
    return table[(turns * _TABLE).astype(np.int64) % _TABLE]


def sine(frequency: ArrayLike, count: int) -> Samples:
    return np.sin(2 * math.pi * phase_of(frequency, count)).astype(np.float32)


@lru_cache(maxsize=256)
def _band(low: float, high: float) -> NDArray[np.float64]:
    top = SAMPLE_RATE / 2 - 100
    if low <= 0:
        return np.asarray(butter(2, min(high, top), "lowpass", fs=SAMPLE_RATE, output="sos"))
    return np.asarray(butter(2, (low, min(high, top)), "bandpass", fs=SAMPLE_RATE, output="sos"))


def noise(rng: np.random.Generator, count: int, low: float, high: float) -> Samples:
    """Noise between ``low`` and ``high`` Hz (0: from the bottom), root mean square 1."""
    white = rng.standard_normal(count, dtype=np.float32)
    # whole tens of hertz, so that few filters are ever designed
    shaped = np.asarray(sosfilt(_band(round(low, -1), round(high, -1)), white), np.float32)
    return shaped / np.float32(max(float(np.sqrt(np.mean(shaped**2))), 1e-6)) if count else shaped


def decay(count: int, seconds: float, attack: float = 0.004) -> Samples:
    """Rises in ``attack`` seconds, then falls to 1/e every ``seconds``."""
    time = clock(count)
    return np.asarray(np.exp(-time / np.float32(seconds)) * np.minimum(time / np.float32(attack), 1.0), np.float32)


def swell(count: int, attack: float, release: float) -> Samples:
    """1 with a smooth rise and fall of these seconds at the two ends."""
    time = clock(count)
    end = count / SAMPLE_RATE
    rising = np.clip(time / max(attack, 1e-4), 0, 1)
    falling = np.clip((end - time) / max(release, 1e-4), 0, 1)
    return np.asarray(np.sin(0.5 * math.pi * np.minimum(rising, falling)), np.float32)


def place(events: Iterable[tuple[float, Samples]], count: int) -> Samples:
    """Sums events at their starts in seconds, cut at ``count`` samples."""
    total = np.zeros(count, np.float32)
    for start, event in events:
        first = samples_of(start)
        if 0 <= first < count:
            room = min(len(event), count - first)
            total[first : first + room] += event[:room]
    return total
