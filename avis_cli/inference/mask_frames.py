"""The mask frames of a clip in order, each with its mask features when they are asked for.

Between the two passes mask features are kept in memory, then in a temporary file, then not at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.inference.clip_frames import ClipFrames

MEMORY_BYTES = 1 << 30
"""Kept in memory: a minute of token frames at 640x360."""
MEMORY_FRAMES = 120
"""And of no more token frames, however small they are, so that a clip of an hour takes what one of minutes takes."""
FILE_BYTES = 4 << 30
"""Kept in a file beyond that: to read a frame's features takes a hundredth of the time to compute them."""


@dataclass(frozen=True)
class FeatureLimits:
    """How much is kept; beyond it features are computed again."""

    memory_bytes: int = MEMORY_BYTES
    memory_frames: int = MEMORY_FRAMES
    file_bytes: int = FILE_BYTES


class FeatureStore:
    """Mask features of token frames by the frame's time until they are taken, as many as the limits allow."""

    def __init__(self, limits: FeatureLimits | None = None) -> None:
        self._limits = limits or FeatureLimits()
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


Compute = Callable[[NDArray[np.uint8]], Tensor]
"""Frames uint8 RGB (T, 3, h, w) -> their mask features (T, M, h', w')."""


class MaskFrame:
    """One frame. ``time`` in seconds; ``features`` (M, h, w) are looked up or computed when first asked for."""

    def __init__(self, time: Fraction, fetch: Callable[[Fraction], Tensor]) -> None:
        self.time = time
        self._fetch = fetch

    @cached_property
    def features(self) -> Tensor:
        return self._fetch(self.time)


class MaskFrames:
    """Mask frames, decoded as far as they are needed; features that the first pass kept are not computed again.

    ``compute``: the network's mask features; ``at_once``: frames in it together. Where the mask frames are the token
    frames nothing is decoded but frames whose features were not kept.
    """

    def __init__(self, compute: Compute, frames: ClipFrames, kept: FeatureStore, at_once: int) -> None:
        self._compute, self._clip_frames, self._kept, self._at_once = compute, frames, kept, at_once
        rate = frames.sampling.mask_fps
        self._frames = self._of_tokens() if frames.sampling.one_grid else self._of_rate(rate)
        self._again: Iterator[MaskFrame] | None = None
        self._next: MaskFrame | None = None

    def until(self, limit: Fraction | None) -> Iterator[MaskFrame]:
        """The next frames before ``limit`` seconds, None for all that are left.

        The token frames before ``limit``, and the one at it, have to be through the first pass.
        """
        while True:
            frame = self._next or next(self._frames, None)
            if frame is None or (limit is not None and frame.time >= limit):
                self._next = frame
                return
            self._next = None
            self._kept.forget_before(frame.time)
            yield frame

    def _of_tokens(self) -> Iterator[MaskFrame]:
        for time in self._kept.times:  # it grows meanwhile
            yield MaskFrame(time, self._kept_or_decoded)

    def _of_rate(self, rate: Fraction | None) -> Iterator[MaskFrame]:
        for times, frames in self._clip_frames.batches(rate):
            batch = _Batch(self._compute, times, frames, self._kept, self._at_once)
            for time in times:
                yield MaskFrame(time, batch.features)

    def _kept_or_decoded(self, time: Fraction) -> Tensor:
        features = self._kept.take(time)
        if features is not None:
            return features
        if self._again is None:
            self._again = self._of_rate(self._clip_frames.sampling.mask_fps)
        return next(frame for frame in self._again if frame.time == time).features


class _Batch:
    """Frames that were decoded together; when one of them needs the network its neighbours get theirs with it."""

    def __init__(
        self, compute: Compute, times: list[Fraction], frames: NDArray[np.uint8], kept: FeatureStore, at_once: int
    ) -> None:
        self._compute, self._times, self._frames, self._kept, self._at_once = compute, times, frames, kept, at_once
        self._first, self._features = 0, None

    _features: Tensor | None

    def features(self, time: Fraction) -> Tensor:
        kept = self._kept.take(time)
        if kept is not None:
            return kept
        index = self._times.index(time)
        first = index - index % self._at_once
        if self._features is None or first != self._first:
            self._features = self._compute(self._frames[first : first + self._at_once])
            self._first = first
        return self._features[index - first]
