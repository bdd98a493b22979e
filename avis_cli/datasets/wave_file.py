"""Sound as a WAV file."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import wavfile

from avis_cli.media.clip_info import SAMPLE_RATE


def write_wave(path: Path, waveform: NDArray[np.float32], rate: int = SAMPLE_RATE) -> None:
    """16 bit mono; ``waveform`` (N,) in -1..1, what is beyond is clipped."""
    pcm = np.rint(np.clip(waveform, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm.tobytes())


def write_float_wave(path: Path, waveform: NDArray[np.float32], rate: int = SAMPLE_RATE) -> None:
    """32 bit floats, ``waveform`` (C, N): nothing is clipped."""
    wavfile.write(path, rate, np.ascontiguousarray(waveform.T))
