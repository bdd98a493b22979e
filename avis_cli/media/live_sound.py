"""The last seconds of a live source's sound, by the time at which they sounded."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

HELD_SECONDS = 10
_JITTER = 0.02  # seconds by which blocks may disagree with the count of samples
_LEVELS_A_SECOND = 20


class SoundRing:
    """Mono float32 sound of the last ``HELD_SECONDS``, nothing of which is ever left out. One thread appends, others
    read. ``end``: seconds up to which sound is known, None before the first of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._samples = np.zeros(0, np.float32)
        self._begin = 0.0
        self._rate = 16_000
        self.end: float | None = None
        self.gaps = 0
        """Times that sound was missing between two blocks."""

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self._rate

    def append(self, samples: NDArray[np.float32], rate: int, time: float) -> None:
        """A block of ``rate`` samples a second that began to sound at ``time``. What is missing before it is silence;
        what was there already is not taken again. Another rate than before begins anew."""
        with self._lock:
            if rate != self._rate or self.end is None:
                self._samples, self._begin, self._rate = np.zeros(0, np.float32), time, rate
                self.end = time if self.end is None else max(self.end, time)
            missing = round((time - self._end()) * rate)
            if abs(missing) > _JITTER * rate:
                if missing > HELD_SECONDS * rate:
                    self._samples, self._begin = np.zeros(0, np.float32), time
                    self.gaps += 1
                elif missing > 0:
                    self._samples = np.concatenate([self._samples, np.zeros(missing, np.float32)])
                    self.gaps += 1
                else:
                    samples = samples[-missing:]
            self._samples = np.concatenate([self._samples, samples])
            spare = len(self._samples) - HELD_SECONDS * rate
            if spare > 0:
                self._samples = self._samples[spare:]
                self._begin += spare / rate
            self.end = self._end()

    def between(self, start: float, end: float) -> NDArray[np.float32]:
        """The sound from ``start`` to ``end`` seconds, as many samples as these hold; silence where nothing is
        known."""
        with self._lock:
            count = round((end - start) * self._rate)
            out = np.zeros(count, np.float32)
            first = round((start - self._begin) * self._rate)
            source = self._samples[max(first, 0) : max(first + count, 0)]
            out[max(-first, 0) : max(-first, 0) + len(source)] = source
            return out

    def levels(self, start: float, end: float) -> list[float]:
        """How loud it was from ``start`` to ``end`` seconds, 0..1, twenty values a second, one at least."""
        samples = np.abs(self.between(start, max(end, start + 1 / _LEVELS_A_SECOND)))
        parts = np.array_split(samples, max(1, round((end - start) * _LEVELS_A_SECOND)))
        return [min(1.0, float(part.max(initial=0.0))) for part in parts]

    def _end(self) -> float:
        return self._begin + len(self._samples) / self._rate
