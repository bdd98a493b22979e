"""Sound as a WAV file."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avis_cli.media.clip import SAMPLE_RATE


def write_wave(path: Path, waveform: NDArray[np.float32]) -> None:
    """16 bit mono at 16 kHz; ``waveform`` (N,) in -1..1."""
    pcm = np.rint(np.clip(waveform, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm.tobytes())
