"""The ten sounds, and what they are made of: wave tables, envelopes, filtered noise, repeated events.

All is mono at ``SAMPLE_RATE``. Each function of a category gives ``count`` samples of one instance sounding without a
break. The generator fixes the instance's pitch, timbre and rhythm: the same seed is the same voice. No voice pauses
for longer than half a second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, sosfilt

from avis_cli.datasets.synth import name_of
from avis_cli.media.clip_info import SAMPLE_RATE

Samples = NDArray[np.float32]

_TABLE = 4096  # entries of one period


def sample_times(count: int) -> Samples:
    """Times in seconds of ``count`` samples."""
    return np.arange(count, dtype=np.float32) / np.float32(SAMPLE_RATE)


def sample_count(seconds: float) -> int:
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


def read_table(table: Samples, turns: NDArray[np.float64]) -> Samples:
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
    time = sample_times(count)
    return np.asarray(np.exp(-time / np.float32(seconds)) * np.minimum(time / np.float32(attack), 1.0), np.float32)


def fade_in_out(count: int, attack: float, release: float) -> Samples:
    """1 with a smooth rise and fall of these seconds at the two ends."""
    time = sample_times(count)
    end = count / SAMPLE_RATE
    rising = np.clip(time / max(attack, 1e-4), 0, 1)
    falling = np.clip((end - time) / max(release, 1e-4), 0, 1)
    return np.asarray(np.sin(0.5 * math.pi * np.minimum(rising, falling)), np.float32)


def mix_events(events: Iterable[tuple[float, Samples]], count: int) -> Samples:
    """Sums events at their starts in seconds, cut at ``count`` samples."""
    total = np.zeros(count, np.float32)
    for start, event in events:
        first = sample_count(start)
        if 0 <= first < count:
            room = min(len(event), count - first)
            total[first : first + room] += event[:room]
    return total


Rng = np.random.Generator


def _bell(rng: Rng, count: int) -> Samples:
    """Strikes of inharmonic partials, the high ones dying first."""
    base, length = rng.uniform(420, 900), sample_count(1.3)
    strike = np.zeros(length, np.float32)
    partials = (
        (0.5, 0.5),
        (1.0, 1.0),
        (1.19, 0.7),
        (1.5, 0.4),
        (2.0, 0.9),
        (2.52, 0.45),
        (3.01, 0.4),
        (4.16, 0.3),
    )
    for ratio, loudness in partials:
        detuned = base * ratio * rng.uniform(0.995, 1.005)
        strike += loudness * sine(detuned, length) * decay(length, rng.uniform(0.8, 1.1) / (0.6 + ratio))
    strike *= fade_in_out(length, 0.0, 0.4)  # nothing may end in a click
    period = rng.uniform(0.42, 0.85)
    return mix_events(((step * period, strike) for step in range(math.ceil(count / SAMPLE_RATE / period) + 1)), count)


def _drum(rng: Rng, count: int) -> Samples:
    """A low skin whose pitch falls, with a noisy stroke, in a pattern of eight."""
    base, length = rng.uniform(75, 150), sample_count(0.30)
    fall = base * (1 + 0.9 * np.exp(-sample_times(length) / 0.035))
    snap = rng.uniform(0.25, 0.6)
    skin = sine(fall, length) * decay(length, 0.11)
    stroke = skin + np.float32(snap) * noise(rng, length, 250, 2200) * decay(length, 0.05)
    stroke *= fade_in_out(length, 0.0, 0.1)
    step = rng.uniform(0.14, 0.24)
    pattern = rng.random(8) < 0.5
    pattern[[0, 2, 5]] = True
    loud = rng.uniform(0.5, 1.0, 8)
    steps = range(math.ceil(count / SAMPLE_RATE / step) + 1)
    return mix_events(((n * step, stroke * np.float32(loud[n % 8])) for n in steps if pattern[n % 8]), count)


def _bird(rng: Rng, count: int) -> Samples:
    """Phrases of short chirps that glide between 2.5 and 6.5 kHz."""
    base = rng.uniform(3000, 4600)
    syllables = []
    for _ in range(int(rng.integers(2, 4))):
        length = sample_count(rng.uniform(0.05, 0.13))
        start, end = base * rng.uniform(0.8, 1.35, 2)
        glide = np.linspace(start, end, length) + rng.uniform(0, 250) * np.sin(2 * math.pi * 28 * sample_times(length))
        syllables.append(sine(glide, length) * fade_in_out(length, 0.012, 0.03))
    events, at = [], 0.0
    while at < count / SAMPLE_RATE:
        for _ in range(int(rng.integers(3, 8))):
            syllable = syllables[int(rng.integers(len(syllables)))]
            events.append((at, syllable))
            at += len(syllable) / SAMPLE_RATE + rng.uniform(0.015, 0.06)
        at += rng.uniform(0.08, 0.28)
    return mix_events(events, count)


def _car(rng: Rng, count: int) -> Samples:
    """An engine: many harmonics of a low firing rate that revs up and down, over exhaust noise."""
    base, time = rng.uniform(48, 85), sample_times(count)
    revs = 1 + rng.uniform(0.15, 0.4) * np.sin(2 * math.pi * rng.uniform(0.3, 0.8) * time + rng.uniform(0, 6.3))
    amplitudes = [rng.uniform(0.4, 1.0) / (1 + 0.10 * number) for number in range(1, 26)]
    turns = phase_of(base * revs, count)
    engine = read_table(wave_table(amplitudes), turns) / np.float32(3.0)
    beat = (0.75 + 0.25 * np.sin(2 * math.pi * turns / 2)).astype(np.float32)
    return engine * beat + np.float32(0.35) * noise(rng, count, 80, 900) * beat


def _phone(rng: Rng, count: int) -> Samples:
    """A ringer that warbles between two tones, with a short rest in every ring."""
    low = rng.uniform(900, 1350)
    rate, ratio = rng.uniform(14, 24), rng.uniform(1.2, 1.34)
    ring, rest = sample_count(rng.uniform(0.45, 0.75)), rng.uniform(0.12, 0.25)
    which = np.sin(2 * math.pi * rate * sample_times(ring)) > 0
    turns = phase_of(np.where(which, low, low * ratio), ring)
    tone = read_table(wave_table([1.0, 0.1, 0.35, 0.05, 0.15]), turns) * fade_in_out(ring, 0.01, 0.03)
    period = ring / SAMPLE_RATE + rest
    return mix_events(((step * period, tone) for step in range(math.ceil(count / SAMPLE_RATE / period))), count)


def _kettle(rng: Rng, count: int) -> Samples:
    """A steady whistle between 1.8 and 2.8 kHz that wavers, and the hiss of steam."""
    pitch, time = rng.uniform(1800, 2800), sample_times(count)
    waver = 1 + 0.012 * np.sin(2 * math.pi * rng.uniform(5, 9) * time) + 0.03 * np.sin(2 * math.pi * 0.4 * time)
    turns = phase_of(pitch * waver, count)
    flutter = (1 + 0.25 * np.sin(2 * math.pi * rng.uniform(9, 15) * time)).astype(np.float32)
    whistle = read_table(wave_table([1.0, 0.22]), turns) * flutter
    return whistle + np.float32(rng.uniform(0.25, 0.5)) * noise(rng, count, 3200, 7600)


_SCALE = (0, 2, 4, 7, 9, 12)  # semitones above the lowest note


def _trumpet(rng: Rng, count: int) -> Samples:
    """A tune of bright harmonic notes with vibrato, brighter when louder."""
    lowest = rng.uniform(230, 370)
    dull = wave_table([1.0, 0.6, 0.3, 0.12, 0.05])
    bright = wave_table([0.7, 0.85, 1.0, 0.9, 0.75, 0.6, 0.45, 0.35, 0.25, 0.18, 0.12, 0.08])
    events, at = [], 0.0
    step = rng.uniform(0.17, 0.30)
    while at < count / SAMPLE_RATE:
        length = sample_count(step * int(rng.choice([1, 1, 2, 3])))
        pitch = lowest * 2 ** (_SCALE[int(rng.integers(len(_SCALE)))] / 12)
        vibrato = 1 + 0.008 * np.sin(2 * math.pi * 5.5 * sample_times(length))
        turns = phase_of(pitch * vibrato, length)
        loud = fade_in_out(length, 0.035, 0.05)
        events.append((at, (read_table(dull, turns) * (1 - loud) + read_table(bright, turns) * loud) * loud))
        at += length / SAMPLE_RATE + 0.01
    return mix_events(events, count)


def _robot(rng: Rng, count: int) -> Samples:
    """Square blips at random pitches, ring modulated and coarsely sampled."""
    step, metal = sample_count(rng.uniform(0.07, 0.12)), rng.uniform(55, 110)
    low = rng.uniform(220, 380)
    pitches = low * 2 ** rng.uniform(0, 2.2, count // step + 1)
    frequency = np.repeat(pitches, step)[:count]
    square = np.tanh(2.5 * sine(frequency, count))
    ring = sine(metal, count)
    gate = np.tile(fade_in_out(step, 0.004, 0.02), count // step + 1)[:count]
    blips = square * (0.5 + 0.5 * ring) * gate
    held = 4  # samples each value is held: 4 kHz with its aliases
    return np.repeat(blips[::held], held)[:count].astype(np.float32)


def _clock(rng: Rng, count: int) -> Samples:
    """Ticks and tocks: clicks of a few milliseconds with two resonances."""
    first, second, length = rng.uniform(1500, 2300), rng.uniform(3600, 5200), sample_count(0.05)
    sounds = []
    for lower in (1.0, 0.82):
        click = noise(rng, length, 900, 7000) * decay(length, 0.004, 0.0005)
        wood = sine(first * lower, length) * decay(length, 0.012, 0.0005)
        metal = sine(second * lower, length) * decay(length, 0.008, 0.0005)
        sounds.append(click + wood + np.float32(0.6) * metal)
    period = rng.uniform(0.22, 0.42)
    return mix_events(((n * period, sounds[n % 2]) for n in range(math.ceil(count / SAMPLE_RATE / period) + 1)), count)


def _cat(rng: Rng, count: int) -> Samples:
    """Meows: a voice that rises and falls while the mouth opens and closes."""
    base = rng.uniform(420, 680)
    closed = wave_table([1.0, 0.35, 0.12, 0.06])
    opened = wave_table([0.6, 0.8, 1.0, 0.55, 0.3, 0.2, 0.12])
    events, at = [], 0.0
    while at < count / SAMPLE_RATE:
        length = sample_count(rng.uniform(0.45, 0.75))
        along = np.linspace(0, 1, length)
        bend = 0.78 + 0.42 * np.sin(math.pi * along**0.7) - 0.14 * along
        turns = phase_of(base * rng.uniform(0.93, 1.07) * bend * (1 + 0.01 * np.sin(2 * math.pi * 24 * along)), length)
        mouth = np.sin(math.pi * along).astype(np.float32) ** 2
        voice = read_table(closed, turns) * (1 - mouth) + read_table(opened, turns) * mouth
        events.append((at, voice * fade_in_out(length, 0.06, 0.16)))
        at += length / SAMPLE_RATE + rng.uniform(0.10, 0.25)
    return mix_events(events, count)


_VOICES: dict[str, Callable[[Rng, int], Samples]] = {
    "bell": _bell,
    "drum": _drum,
    "bird": _bird,
    "car": _car,
    "phone": _phone,
    "kettle": _kettle,
    "trumpet": _trumpet,
    "robot": _robot,
    "clock": _clock,
    "cat": _cat,
}

_RMS, _PEAK = 0.11, 0.75  # loudness every voice is brought to: sustained ones by the first, clicks by the second


def voice(category_id: int, seed: int, count: int) -> Samples:
    """``count`` samples at 16 kHz of the instance ``seed``, about as loud as any other voice."""
    sound = _VOICES[name_of(category_id)](np.random.default_rng(seed), count)
    if not count:
        return sound
    rms, peak = float(np.sqrt(np.mean(sound**2))), float(np.abs(sound).max())
    return sound * np.float32(min(_RMS / max(rms, 1e-6), _PEAK / max(peak, 1e-6)))
