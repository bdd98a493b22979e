"""Which pictures of a clip the network sees, and at what size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.errors import UsageError
from avis_cli.media import decode
from avis_cli.media.clip import ClipInfo

WINDOW = 4  # frames in the network at once: enough to keep the cores busy, little enough for small machines
MAX_RATE = 1000  # frames per second anybody may ask for

Window = tuple[list[Fraction], NDArray[np.uint8]]
"""Times in seconds and uint8 RGB frames (T, 3, h, w) at network size, T at most ``WINDOW``."""


@dataclass(frozen=True)
class Sampling:
    """Which frames are looked at. ``fps``: token frames per second; ``mask_fps``: mask frames per second, None for
    every frame of the video; ``start``, ``end``: seconds on the clip's clock."""

    fps: Fraction
    mask_fps: Fraction | None
    start: Fraction = Fraction(0)
    end: Fraction | None = None

    def __post_init__(self) -> None:
        for name, rate in (("--fps", self.fps), ("--mask-fps", self.mask_fps)):
            if rate is not None and not 0 < rate <= MAX_RATE:
                raise UsageError(
                    f"{name} {float(rate):g}, expected more than 0 and at most {MAX_RATE} frames per second"
                )
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            span = f"--start {float(self.start):g} --end {'' if self.end is None else f'{float(self.end):g}'}"
            raise UsageError(f"{span}, expected a start of 0 or more and an end after it")

    @property
    def one_grid(self) -> bool:
        """Whether the mask frames are the token frames."""
        return self.mask_fps == self.fps


def network_size(height: int, width: int, short_side: int, long_side: int) -> tuple[int, int]:
    """Height and width in pixels at which a picture goes into the network (published rule, rounded half up).

    The shorter side becomes ``short_side``, unless the longer one would then exceed ``long_side``.
    """
    scale = Fraction(short_side, min(height, width))
    if max(height, width) * scale > long_side:
        scale = Fraction(long_side, max(height, width))
    return max(1, int(height * scale + Fraction(1, 2))), max(1, int(width * scale + Fraction(1, 2)))


class Picture(Protocol):
    """The pictures of a clip, as often as they are needed."""

    sampling: Sampling

    def windows(self, rate: Fraction | None) -> Iterator[Window]:
        """The frames at ``rate`` per second, None for every frame."""
        ...

    def expected(self, rate: Fraction | None) -> int | None:
        """About how many frames there will be, for showing progress only."""
        ...


def shrink(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """RGB (H, W, 3) -> (3, h, w), ``size`` = (h, w)."""
    # Pillow's bilinear filter widens with the scale (antialiases), which is what the network was trained on
    small = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.array(small).transpose(2, 0, 1)


class VideoPicture:
    """The frames of a video file. ``failures``: how many cannot be decoded; ``warnings``: what to tell the user."""

    def __init__(
        self, path: str | os.PathLike[str], clip: ClipInfo, sampling: Sampling, size: tuple[int, int], max_pixels: int
    ) -> None:
        self.clip = clip
        self.sampling = sampling
        self.failures = 0
        self.warnings: tuple[str, ...] = ()
        self._path, self._size, self._max_pixels = path, size, max_pixels

    def windows(self, rate: Fraction | None) -> Iterator[Window]:
        part = self.sampling
        reader = decode.FrameReader(
            self._path, self.clip, rate=rate, start=part.start, end=part.end, max_pixels=self._max_pixels
        )
        frames = iter(reader)
        while window := list(islice(frames, WINDOW)):
            yield [frame.time for frame in window], np.stack([shrink(frame.image, self._size) for frame in window])
        self.failures = max(self.failures, reader.failures)
        self.warnings = tuple(reader.warnings)

    def expected(self, rate: Fraction | None) -> int | None:
        rate = self.clip.frame_rate if rate is None else rate
        end = self.clip.duration if self.sampling.end is None else min(self.sampling.end, self.clip.duration)
        return None if rate is None else max(1, round((end - self.sampling.start) * rate))
