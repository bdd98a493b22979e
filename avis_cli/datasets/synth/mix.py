"""The sound of a scene: every voice while it sounds, background noise, changing levels, nothing clipped; as WAV."""

from __future__ import annotations

import math

import numpy as np

from avis_cli.datasets.synth.scenes import OffScreenSource, Scene, SceneObject, stream
from avis_cli.datasets.synth.voices import Samples, fade_in_out, noise, sample_count, sample_times, voice
from avis_cli.media.clip_info import SAMPLE_RATE

_FADE = (0.015, 0.05)  # seconds of fade in and out at the borders of an interval


def _gain(decibels: float) -> np.float32:
    return np.float32(10.0 ** (decibels / 20.0))


def _add(total: Samples, source: SceneObject | OffScreenSource) -> None:
    for interval in source.sounds:
        first, beyond = sample_count(interval.start), min(sample_count(interval.end), len(total))
        count = beyond - first
        if count <= 0:
            continue
        # every interval begins alike: one instance keeps its voice, tune and rhythm
        sound = voice(source.category_id, source.voice_seed, count) * fade_in_out(count, *_FADE) * _gain(source.gain_db)
        skipped = max(-first, 0)
        total[max(first, 0) : beyond] += sound[skipped:]


def _background_noise(rng: np.random.Generator, count: int, level_db: float) -> Samples:
    """Noise of a random colour, sometimes with mains hum, its level slowly changing."""
    low, high = ((0, 500), (0, 2000), (100, 7000), (1500, 7500))[int(rng.integers(4))]
    slow = 1 + 0.5 * np.sin(2 * math.pi * rng.uniform(0.05, 0.25) * sample_times(count) + rng.uniform(0, 6.3))
    sound = noise(rng, count, low, high) * slow.astype(np.float32)
    if rng.random() < 0.25:
        sound += np.sin(2 * math.pi * float(rng.choice([100.0, 120.0])) * sample_times(count)).astype(np.float32)
    return sound * _gain(level_db)


def soundtrack(scene: Scene) -> Samples:
    """Mono float32 in -1..1 at 16 kHz, ``scene.seconds`` long."""
    rng = stream(scene.seed, 2)
    count = scene.seconds * SAMPLE_RATE
    total = np.zeros(count, np.float32)
    sources: tuple[SceneObject | OffScreenSource, ...] = (*scene.objects, *scene.off_screen)
    for source in sources:
        _add(total, source)
    level = 1 + rng.uniform(0, 0.3) * np.sin(
        2 * math.pi * rng.uniform(0.05, 0.2) * sample_times(count) + rng.uniform(0, 6.3)
    )
    total *= level.astype(np.float32)
    total += _background_noise(rng, count, scene.noise_db)
    return np.asarray(np.tanh(total), np.float32)
