"""The mask frames of a clip in order, each with its mask features when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from avis_cli.inference.feature_store import FeatureStore
from avis_cli.inference.frames import ClipFrames
from avis_cli.inference.protocols import ClipModel


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

    ``at_once``: frames in the network together. Where the mask frames are the token frames nothing is decoded but
    frames whose features were not kept.
    """

    def __init__(self, model: ClipModel, frames: ClipFrames, kept: FeatureStore, at_once: int) -> None:
        self._model, self._clip_frames, self._kept, self._at_once = model, frames, kept, at_once
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
            batch = _Batch(self._model, times, frames, self._kept, self._at_once)
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
        self, model: ClipModel, times: list[Fraction], frames: NDArray[np.uint8], kept: FeatureStore, at_once: int
    ) -> None:
        self._model, self._times, self._frames, self._kept, self._at_once = model, times, frames, kept, at_once
        self._first, self._features = 0, None

    _features: Tensor | None

    def features(self, time: Fraction) -> Tensor:
        kept = self._kept.take(time)
        if kept is not None:
            return kept
        index = self._times.index(time)
        first = index - index % self._at_once
        if self._features is None or first != self._first:
            self._features = self._model.mask_features(self._frames[first : first + self._at_once])
            self._first = first
        return self._features[index - first]
