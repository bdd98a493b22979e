"""Masks of a few frames a second -> masks of every frame, carried along by how the picture moves.

Dense optical flow (DIS, Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016, as OpenCV has it) is
taken between neighbouring frames in both directions. Steps are chained to displacements from each frame in between to
the drawn frame before it and to the one after it, so that every mask is resampled once; the two masks that arrive are
mixed by the frame's distance to either. What sounds at one end only is carried from there.
Letters: P tracks, F frames from one drawn frame to the next, both included, h, w the frames, H, W the masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.inference.clean_masks import clean_mask
from avis_cli.inference.clip_frames import ClipFrames, network_size
from avis_cli.inference.segment_clip import ClipMasks
from avis_cli.inference.track_accumulator import TrackAccumulator, encoded
from avis_cli.progress import Progress, silent
from avis_cli.results import run_length
from avis_cli.results.run_length import RunLength

Mask = NDArray[np.bool_]
Picture = NDArray[np.uint8]
"""A frame in grey (h, w)."""
Field = NDArray[np.float32]
"""For each pixel of a frame where it was in another one, less where it is: (h, w, 2), x and y in pixels."""

FLOW_SIDE = 240  # pixels
_MARGIN = 2  # pixels around a mask that resampling may reach


def flow_size(height: int, width: int) -> tuple[int, int]:
    """Height and width in pixels of the pictures that flow is taken of: the clip's own, or as much smaller as it takes
    to have ``FLOW_SIDE`` on the shorter side. Larger ones cost more time than they gain."""
    return network_size(height, width, min(FLOW_SIDE, height, width), max(height, width))


@dataclass(frozen=True)
class DrawnFrame:
    """A frame whose masks are the network's. ``masks``: one (H, W) for each track, None where there is none;
    ``heard`` (P,): whether it sounds there, so that None means out of sight."""

    masks: Sequence[Mask | None]
    heard: Sequence[bool]


def displacements(pictures: Sequence[Picture]) -> tuple[list[Field], list[Field]]:
    """F pictures -> for each of those in between its displacement to the first one, and to the last one."""
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def step(of: Picture, to: Picture) -> Field:
        out: Field = np.zeros((*of.shape, 2), np.float32)
        flow.calc(of, to, out)
        return out

    inner = range(1, len(pictures) - 1)
    to_first: list[Field] = []
    for index in inner:
        one = step(pictures[index], pictures[index - 1])
        to_first.append(_chained(one, to_first[-1]) if to_first else one)
    to_last: list[Field] = []
    for index in reversed(inner):
        one = step(pictures[index], pictures[index + 1])
        to_last.append(_chained(one, to_last[-1]) if to_last else one)
    return to_first, to_last[::-1]


def _chained(step: Field, onward: Field) -> Field:
    """A step to a neighbour, and the displacement from that neighbour on -> both in one."""
    height, width = step.shape[:2]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    further = cv2.remap(
        onward, columns + step[..., 0], rows + step[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(step + further, np.float32)


def carried(mask: Mask, displacement: Field) -> NDArray[np.float32]:
    """A mask (H, W) of the frame that ``displacement`` points to -> 0..1 in the frame that it starts from."""
    height, width = mask.shape
    out = np.zeros((height, width), np.float32)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return out
    down, across = height / displacement.shape[0], width / displacement.shape[1]
    # nothing arrives from farther than the largest step: the rest of the frame is left alone
    reach_x, reach_y = np.ceil(np.abs(displacement).max((0, 1)) * (across, down)).astype(int) + _MARGIN
    top, bottom = max(rows[0] - reach_y, 0), min(rows[-1] + 1 + reach_y, height)
    left, right = max(columns[0] - reach_x, 0), min(columns[-1] + 1 + reach_x, width)
    x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    # centres of pixels are at halves on both grids
    moved = cv2.remap(displacement, (x + 0.5) / across - 0.5, (y + 0.5) / down - 0.5, cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)  # fmt: skip
    out[top:bottom, left:right] = cv2.remap(
        mask.astype(np.float32), x + moved[..., 0] * np.float32(across), y + moved[..., 1] * np.float32(down),
        cv2.INTER_LINEAR,
    )  # fmt: skip
    return out


def between(
    pictures: Sequence[Picture], first: DrawnFrame, last: DrawnFrame, heard: Sequence[Sequence[bool]]
) -> Iterator[list[Mask | None]]:
    """The masks of the frames between two drawn ones. ``heard``: for each of them whether each track sounds there."""
    to_first, to_last = displacements(pictures)
    for index, sounds in enumerate(heard):
        share = (index + 1) / (len(pictures) - 1)
        masks: list[Mask | None] = []
        for track, audible in enumerate(sounds):
            sides = [
                (end.masks[track], field, weight)
                for end, field, weight in ((first, to_first[index], 1 - share), (last, to_last[index], share))
                if end.heard[track]
            ]
            masks.append(_mixed(sides) if audible else None)
        yield masks


def _mixed(sides: Sequence[tuple[Mask | None, Field, float]]) -> Mask | None:
    total = sum(weight for _, _, weight in sides)
    seen = [(mask, field, weight / total) for mask, field, weight in sides if mask is not None]
    if not seen:
        return None
    out: Mask = np.sum([weight * carried(mask, field) for mask, field, weight in seen], axis=0) > 0.5
    return out if out.any() else None


def fill_between(
    found: ClipMasks, frames: ClipFrames, progress: Progress = silent, *, clean: bool = False
) -> ClipMasks:
    """``found`` at some frames of a clip -> at every frame of it, ``drawn`` saying which are the network's own.

    ``frames``: the same clip, its pictures of ``flow_size``. A track sounds in between
    where ``found.sounding`` says, or, of a clip that was not gated, throughout. ``clean``: take specks and pinholes out
    of the masks in between, as out of the network's own.
    """
    return _Filling(found, frames, progress, clean).run()


class _Filling:
    """Frame after frame of a clip: those since the latest drawn one wait for the next."""

    def __init__(self, found: ClipMasks, frames: ClipFrames, progress: Progress, clean: bool) -> None:
        self._found, self._frames, self._progress, self._clean = found, frames, progress, clean
        self._count = len(found.scores)
        self._tracks = TrackAccumulator()
        self._drawn: list[bool] = []
        self._waiting: list[tuple[Fraction, Picture]] = []  # from the latest drawn frame on
        self._latest: DrawnFrame | None = None

    def run(self) -> ClipMasks:
        total = self._frames.expected(None)
        drawn = 0  # mask frames of ``found`` that have had their picture
        before: tuple[Fraction, Picture] | None = None
        for time, picture in self._pictures():
            # a mask frame shows the last picture that is not after it
            while drawn < len(self._found.times) and self._found.times[drawn] < time and before is not None:
                self._reach(drawn)
                drawn += 1
            before = time, picture
            self._waiting.append(before)
            self._progress("carrying masks", len(self._drawn), total)
        while drawn < len(self._found.times) and before is not None:
            self._reach(drawn)
            drawn += 1
        self._finish()
        return self._result()

    def _pictures(self) -> Iterator[tuple[Fraction, Picture]]:
        for times, images in self._frames.batches(None):
            for time, image in zip(times, images, strict=True):
                yield time, np.asarray(cv2.cvtColor(image.transpose(1, 2, 0), cv2.COLOR_RGB2GRAY), np.uint8)

    def _at(self, number: int) -> DrawnFrame:
        masks = [track[number] for track in self._found.masks]
        return DrawnFrame(
            [None if mask is None else run_length.decode(mask) for mask in masks],
            self._heard(self._found.times[number]),
        )

    def _heard(self, time: Fraction) -> list[bool]:
        spans = self._found.sounding
        if spans is None:
            return [True] * self._count
        return [any(start <= float(time) < end for start, end in of_track) for of_track in spans]

    def _reach(self, number: int) -> None:
        """Mask frame ``number`` is that of the latest picture: draw those between it and the drawn one before."""
        now = self._at(number)
        times = [time for time, _ in self._waiting]
        if self._latest is not None and len(times) > 1:
            inner = [self._heard(time) for time in times[1:-1]]
            pictures = [picture for _, picture in self._waiting]
            for time, masks in zip(times[1:-1], between(pictures, self._latest, now, inner), strict=True):
                self._add(time, self._encoded(masks), False)
        if self._latest is None or len(times) > 1:
            self._add(times[-1], [track[number] for track in self._found.masks], True)
        self._waiting, self._latest = self._waiting[-1:], now

    def _finish(self) -> None:
        """The frames after the last mask frame have it alone to go by."""
        if self._latest is None or len(self._waiting) < 2:
            return
        times = [time for time, _ in self._waiting[1:]]
        pictures = [picture for _, picture in self._waiting]
        nothing = DrawnFrame([None] * self._count, [False] * self._count)
        heard = [self._heard(time) for time in times]
        for time, masks in zip(times, between([*pictures, pictures[-1]], self._latest, nothing, heard), strict=True):
            self._add(time, self._encoded(masks), False)

    def _encoded(self, masks: Sequence[Mask | None]) -> list[RunLength | None]:
        return encoded([None if mask is None else clean_mask(mask) for mask in masks] if self._clean else masks)

    def _add(self, time: Fraction, masks: Sequence[RunLength | None], drawn: bool) -> None:
        self._tracks.add(time, range(self._count), masks)
        self._drawn.append(drawn)

    def _result(self) -> ClipMasks:
        found = self._found
        self._tracks.close(range(self._count), found.classes, found.scores, [1.0] * self._count)
        masks = [track.masks for track in self._tracks.finished()]
        return replace(found, times=self._tracks.times, masks=masks, drawn=self._drawn)
