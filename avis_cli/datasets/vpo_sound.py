"""Sounds as VPO pairs them with pictures (Chen et al., CVPR 2024): cut to a length, put at a place between left and
right, added up.

Letters: C channels, N samples at one rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Rule = Literal["tile", "released"]
"""What becomes of a sound that is too short: the whole of it is repeated, or, as released, only what is left where its
middle piece begins before the sound does."""


def cut(samples: Samples, length: int, rule: Rule = "tile") -> Samples:
    """The middle ``length`` of ``samples`` (N,), repeated from the start where they are fewer. Raises ValueError for
    none."""
    if not len(samples):
        raise ValueError("an empty sound cannot be cut")
    first = len(samples) // 2 - length // 2
    if rule == "released":
        piece = samples[first : first + length]  # a negative beginning counts from the end
        piece = piece if len(piece) else samples
    else:
        piece = samples[max(first, 0) : max(first, 0) + length]
    return np.resize(piece, length) if len(piece) != length else piece


def render(sources: Sequence[Samples], positions: Sequence[float], channels: int) -> Samples:
    """Sounds of one length, each at its position from 0 (left) to 1 (right) -> (channels, N); nothing is clipped.

    Of two channels the left one has 1 - position of a sound, the right one the rest; one channel has all of it.
    """
    if channels == 1:
        return np.asarray(np.sum(sources, axis=0, dtype=np.float32))[None]
    left = [(1 - position) * source for source, position in zip(sources, positions, strict=True)]
    right = [position * source for source, position in zip(sources, positions, strict=True)]
    return np.stack([np.sum(left, axis=0), np.sum(right, axis=0)]).astype(np.float32)
