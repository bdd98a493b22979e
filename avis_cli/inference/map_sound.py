"""The sound of a clip as networks of kind ``map`` take it that hear samples."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avis_cli.media.clip_info import SAMPLE_RATE, ClipInfo
from avis_cli.media.waveform import read_channels
from avis_cli.models.system import MapConfig

STRETCH = 60
"""Seconds of sound in memory at once: 8 MB of two channels."""


class SampleReader:
    """Pieces of a clip's sound at 16 kHz; of a muted clip, or one without sound, silence. ``silent``: whether there was
    a sound to read, and nothing but zeros in what was read."""

    def __init__(self, path: str | os.PathLike[str], clip: ClipInfo, config: MapConfig, *, mute: bool) -> None:
        self._path, self._clip, self._channels = path, clip, config.sound_channels
        self._seconds = Fraction(str(config.sound_seconds))
        self._readable = self.silent = clip.audio is not None and not mute
        self._begin = self._end = Fraction(0)
        self._held = np.zeros((self._channels, 0), np.float32)

    def __call__(self, starts: Sequence[Fraction]) -> NDArray[np.float32]:
        """What sounds from each of ``starts`` on, (T, channels, N): silent before the clip and after its end."""
        length = round(self._seconds * SAMPLE_RATE)
        pieces = np.zeros((len(starts), self._channels, length), np.float32)
        if not self._readable:
            return pieces
        for piece, start in zip(pieces, starts, strict=True):
            self._hold(max(start, Fraction(0)), start + self._seconds)
            first = round((start - self._begin) * SAMPLE_RATE)
            here = self._held[:, max(first, 0) : max(first + length, 0)]
            skipped = max(-first, 0)
            piece[:, skipped : skipped + here.shape[1]] = here
        return pieces

    def _hold(self, begin: Fraction, end: Fraction) -> None:
        if end <= begin or (self._begin <= begin and end <= self._end):
            return
        self._begin, self._end = begin, max(begin + STRETCH, end)
        self._held = read_channels(self._path, self._clip, self._channels, start=self._begin, end=self._end)
        self.silent = self.silent and not self._held.any()
