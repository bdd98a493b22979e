"""A log-mel spectrogram as a picture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.media.clip import SAMPLE_RATE

_WINDOW, _HOP, _POINTS = 400, 160, 512  # samples: 25 ms every 10 ms
_BANDS, _LOW, _HIGH = 96, 80.0, 7800.0  # Hz
_FLOOR, _CEILING = -4.6, 3.2  # natural logarithms of magnitude shown as black and as white


def _mel(hertz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def _triangles() -> NDArray[np.float64]:
    """(bins, bands) weights, linear on the mel axis."""
    bins = _mel(np.arange(_POINTS // 2 + 1) * SAMPLE_RATE / _POINTS)[:, None]
    edges = np.linspace(_mel(_LOW), _mel(_HIGH), _BANDS + 2)
    width = edges[1] - edges[0]
    return np.clip(np.minimum(bins - edges[:-2], edges[2:] - bins) / width, 0.0, None)


def log_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    """(frames, bands) of a 16 kHz waveform, 100 frames per second, the last ones over silence."""
    padded = np.concatenate([waveform, np.zeros(_WINDOW, np.float32)])
    count = max(len(waveform) // _HOP, 1)
    at = np.arange(count)[:, None] * _HOP + np.arange(_WINDOW)
    spectrum = np.abs(np.fft.rfft(padded[at] * np.hanning(_WINDOW), _POINTS))
    return np.asarray(np.log(spectrum @ _triangles() + 0.01))


def picture(waveform: NDArray[np.float32], width: int, height: int) -> NDArray[np.uint8]:
    """uint8 RGB (height, width, 3): time to the right, low tones at the bottom."""
    loud = (log_mel(waveform).T[::-1] - _FLOOR) / (_CEILING - _FLOOR)
    grey = (np.clip(loud, 0, 1) * 255).astype(np.uint8)
    sized = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.applyColorMap(sized, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)
