"""Results for the tests of the exports: with any number of tracks, with odd names, of variable frame rate."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from writers_examples import Box, boxes_result

from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

# markup of every text format, separators, a line break, a control character, half a surrogate pair
ODD_NAME = 'a<b> & "c",\t{d}\n\x07--> \ud800é'
ODD_PLAIN = 'a<b> & "c", {d} \ufffd--> ?é'


def named(result: ClipResult, name: str) -> ClipResult:
    """The same with category 1 called ``name``."""
    tracks = tuple(dataclasses.replace(track, label=name) for track in result.tracks)
    return dataclasses.replace(result, categories=((1, name), (2, "dog")), tracks=tracks)


def dots(count: int, frames: int = 1) -> ClipResult:
    """``count`` tracks in 20x20 pixels, each the pixel of its place in reading order."""
    boxes: list[list[Box | None]] = [[(n % 20, n // 20, n % 20 + 1, n // 20 + 1)] * frames for n in range(count)]
    return boxes_result(20, 20, boxes, times=[float(n) for n in range(frames)])


def masks_of(result: ClipResult, masks: Sequence[Sequence[np.ndarray | None]]) -> ClipResult:
    """The same with these masks, bool (H, W), track by track."""
    runs = [[None if mask is None else run_length.encode(mask) for mask in track] for track in masks]
    tracks = tuple(dataclasses.replace(t, masks=r) for t, r in zip(result.tracks, runs, strict=True))
    return dataclasses.replace(result, tracks=tracks)


def ring(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A ring with a hole, and speckles of one pixel, bool (height, width)."""
    y, x = np.mgrid[:height, :width]
    far = np.hypot(x - width / 2, y - height / 2)
    mask = (far < height * 0.4) & (far > height * 0.15)
    mask |= np.random.default_rng(seed).random((height, width)) > 0.97
    return mask


def disc(width: int, height: int) -> np.ndarray:
    """A filled circle and a bar of two pixels, bool (height, width)."""
    y, x = np.mgrid[:height, :width]
    mask = np.hypot(x - width / 2, y - height / 2) < height * 0.3
    mask[0, 0:2] = True
    return mask
