"""Mask features between the two passes: kept in memory, then in a temporary file, then not at all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import IO

import torch
from torch import Tensor

MEMORY_BYTES = 1 << 30
"""Kept in memory: a minute of token frames at 640x360."""
MEMORY_FRAMES = 120
"""And of no more token frames, however small they are, so that a clip of an hour takes what one of minutes takes."""
FILE_BYTES = 4 << 30
"""Kept in a file beyond that: to read a frame's features takes a hundredth of the time to compute them."""


@dataclass(frozen=True)
class Limits:
    """How much is kept; beyond it features are computed again."""

    memory_bytes: int = MEMORY_BYTES
    memory_frames: int = MEMORY_FRAMES
    file_bytes: int = FILE_BYTES


class FeatureStore:
    """Mask features of token frames by the frame's time until they are taken, as many as the limits allow."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._kept: dict[Fraction, Tensor] = {}
        self._spilled = _Spilled(self._limits.file_bytes)
        self._bytes = 0
        self.times: list[Fraction] = []

    def keep(self, times: Sequence[Fraction], features: Tensor) -> None:
        """features (T, M, h, w) of the frames at ``times``."""
        self.times += times
        for time, one in zip(times, features, strict=True):
            if self._bytes + one.nbytes <= self._limits.memory_bytes and len(self._kept) < self._limits.memory_frames:
                self._bytes += one.nbytes
                self._kept[time] = one.clone()
            else:
                self._spilled.keep(time, one)

    def forget_before(self, time: Fraction) -> None:
        """Give back the features of frames before ``time``."""
        for earlier in [kept for kept in self._kept if kept < time]:
            self._bytes -= self._kept.pop(earlier).nbytes
        self._spilled.forget_before(time)

    def take(self, time: Fraction) -> Tensor | None:
        """The features of a frame, which are no longer kept from then on; None where there was no room."""
        features = self._kept.pop(time, None)
        if features is None:
            return self._spilled.take(time)
        self._bytes -= features.nbytes
        return features


class _Spilled:
    """Features in a temporary file without a name, in slots of one frame each that are used again.

    Where nothing can be written (a full disk) nothing is kept: that costs time and no result.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._file: IO[bytes] | None = None
        self._slots: dict[Fraction, int] = {}
        self._free: list[int] = []
        self._kind: tuple[torch.Size, torch.dtype, torch.device] | None = None  # the same for all

    def keep(self, time: Fraction, features: Tensor) -> None:
        self._kind = features.shape, features.dtype, features.device
        slot = self._free[-1] if self._free else len(self._slots)
        if (slot + 1) * features.nbytes > self._limit:
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="avis-features-", buffering=0)  # noqa: SIM115
            self._file.seek(slot * features.nbytes)
            data = features.contiguous().cpu().view(torch.uint8).numpy().reshape(-1).data
            while data:
                data = data[self._file.write(data) :]
        except OSError:
            self._limit = 0
            return
        if self._free:
            self._free.pop()
        self._slots[time] = slot

    def forget_before(self, time: Fraction) -> None:
        for earlier in [kept for kept in self._slots if kept < time]:
            self._free.append(self._slots.pop(earlier))

    def take(self, time: Fraction) -> Tensor | None:
        slot = self._slots.pop(time, None)
        if slot is None or self._file is None or self._kind is None:
            return None
        self._free.append(slot)
        shape, dtype, device = self._kind
        out = torch.empty(shape, dtype=dtype)
        self._file.seek(slot * out.nbytes)
        room = out.view(torch.uint8).numpy().reshape(-1).data
        while room:
            count = self._file.readinto(room)  # type: ignore[attr-defined]
            if not count:
                return None
            room = room[count:]
        return out.to(device)
