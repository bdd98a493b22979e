"""The tracks of a clip while they are drawn: scores and times, which grow with it, and run lengths.

Run lengths are lists up to ``MEMORY`` bytes of a clip, and wait in a temporary file beyond it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avis_cli.results import run_length
from avis_cli.results.disk_backed_masks import DiskBackedMasks, MaskFile
from avis_cli.results.run_length import RunLength

MEMORY = 16 << 20
"""Bytes of run lengths in memory: some minutes of three objects at 30 masks a second in 1280x720."""
_OVERHEAD = 300  # bytes of Python's for each

Masks = list[RunLength | None] | DiskBackedMasks
Span = tuple[float, float]
Drawn = Sequence[NDArray[np.bool_] | None]


@dataclass
class _Track:
    """``parts``: score, agreement and pixels in each window that it was found in."""

    masks: Masks
    category: int = 0
    parts: list[tuple[float, float, float]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)

    def score(self) -> float:
        """The windows' scores, weighted by the pixels that each is the mean over: held against the threshold."""
        return self._mean([score for score, _, _ in self.parts])

    def reported(self) -> float:
        """The same of the windows' scores times their agreement."""
        return self._mean([score * agreement for score, agreement, _ in self.parts])

    def _mean(self, values: Sequence[float]) -> float:
        counts = [count for _, _, count in self.parts]
        pixels = sum(counts)
        return sum(value * (count / pixels) for value, count in zip(values, counts, strict=True)) if pixels else 0.0


@dataclass(frozen=True)
class FinishedTrack:
    """``category``: its class; ``masks``: one per frame; ``admission``: the score that is held against the threshold;
    ``score``: the one that is reported; ``sounding``: the seconds in which it is heard."""

    category: int
    masks: Masks
    admission: float
    score: float
    sounding: list[Span]


class TrackAccumulator:
    """Masks by the id of their object. ``times``: seconds of the mask frames so far."""

    def __init__(self) -> None:
        self.times: list[Fraction] = []
        self._tracks: dict[int, _Track] = {}
        self._size: list[int] = []
        self._bytes = 0
        self._file: MaskFile | None = None

    def add(self, time: Fraction, ids: Sequence[int | None], masks: Sequence[RunLength | None]) -> None:
        """The next frame's masks, each of the object of that id; of no object where the id is None."""
        for id, mask in zip(ids, masks, strict=True):
            if id is not None and mask is not None:
                track = self._track(id)
                track.masks.extend([None] * (len(self.times) - len(track.masks)))
                track.masks.append(mask)
                self._size = mask["size"]
                self._bytes += len(mask["counts"]) + _OVERHEAD
        self.times.append(time)
        if self._file is None and self._bytes > MEMORY:
            self._file = MaskFile()
            for track in self._tracks.values():
                track.masks = DiskBackedMasks(self._file, self._size, track.masks)

    @property
    def ids(self) -> list[int]:
        """Of the objects so far that were not forgotten, rising."""
        return sorted(self._tracks)

    def _track(self, id: int) -> _Track:
        if id not in self._tracks:
            self._tracks[id] = _Track([] if self._file is None else DiskBackedMasks(self._file, self._size))
        return self._tracks[id]

    def close(
        self,
        ids: Sequence[int | None],
        categories: Sequence[int],
        scores: Sequence[float],
        pixels: Sequence[float],
        agreement: Sequence[float] | None = None,
    ) -> None:
        """Take in what a window says of its objects, when all of it has been drawn. ``agreement``, 0..1: factor of the
        reported score, 1 for all if None."""
        agreement = [1.0] * len(ids) if agreement is None else agreement
        for id, category, *part in zip(ids, categories, scores, agreement, pixels, strict=True):
            if id is not None:
                track = self._track(id)
                track.category = category
                track.parts.append((part[0], part[1], part[2]))

    def add_sounding(
        self, ids: Sequence[int | None], spans: Sequence[Sequence[Span]], begin: float, end: float
    ) -> None:
        """Seconds in which a window's objects are heard, as far as they lie between ``begin`` and ``end``."""
        for id, heard in zip(ids, spans, strict=True):
            if id is None:
                continue
            known = self._track(id).spans
            for first, last in heard:
                first, last = max(first, begin), min(last, end)
                if first < last and known and known[-1][1] >= first:
                    known[-1] = (known[-1][0], last)
                elif first < last:
                    known.append((first, last))

    def forget(self, alive: Collection[int], threshold: float) -> None:
        """Drop the objects that are over and whose score is not above ``threshold``."""
        over = [id for id, track in self._tracks.items() if id not in alive and track.score() <= threshold]
        for id in over:
            del self._tracks[id]

    def finished(self) -> list[FinishedTrack]:
        """Every object that was not forgotten, in the order of their ids."""
        for track in self._tracks.values():
            track.masks.extend([None] * (len(self.times) - len(track.masks)))
        in_order = (self._tracks[id] for id in sorted(self._tracks))
        return [
            FinishedTrack(track.category, track.masks, track.score(), track.reported(), track.spans)
            for track in in_order
        ]


def encoded(masks: Drawn) -> list[RunLength | None]:
    """Masks of one frame as run lengths; candidates of one query share one mask."""
    done: dict[int, RunLength] = {}
    for mask in masks:
        if mask is not None and id(mask) not in done:
            done[id(mask)] = run_length.encode(mask)
    return [None if mask is None else done[id(mask)] for mask in masks]
