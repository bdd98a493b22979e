"""Which frames of a clip the network sees, and at what size: of a video file, of picture files, or of an array."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from avis_cli.errors import MediaError, UsageError
from avis_cli.media import decode
from avis_cli.media.clip_info import ClipInfo
from avis_cli.media.container import open_file

BATCH = 4  # frames in the network at once: enough to keep the cores busy, little enough for small machines
_FORMATS = ("JPEG", "PNG", "WEBP")  # of picture files

FrameBatch = tuple[list[Fraction], NDArray[np.uint8]]
"""Times in seconds and uint8 RGB frames (T, 3, h, w) at network size, T at most ``BATCH``."""


@dataclass(frozen=True)
class Sampling:
    """Which frames are looked at. ``fps``: token frames per second; ``mask_fps``: mask frames per second, None for
    every frame of the video; ``start``, ``end``: seconds on the clip's clock."""

    fps: Fraction
    mask_fps: Fraction | None
    start: Fraction = Fraction(0)
    end: Fraction | None = None

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


class ClipFrames(Protocol):
    """The frames of a clip, as often as they are needed."""

    sampling: Sampling

    def batches(self, rate: Fraction | None) -> Iterator[FrameBatch]:
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


class VideoFrames:
    """The frames of a video file. ``failures``: how many cannot be decoded; ``warnings``: what to tell the user."""

    def __init__(
        self, path: str | os.PathLike[str], clip: ClipInfo, sampling: Sampling, size: tuple[int, int], max_pixels: int
    ) -> None:
        self.clip = clip
        self.sampling = sampling
        self.failures = 0
        self.warnings: tuple[str, ...] = ()
        self._path, self._size, self._max_pixels = path, size, max_pixels

    def batches(self, rate: Fraction | None) -> Iterator[FrameBatch]:
        part = self.sampling
        reader = decode.FrameReader(
            self._path, self.clip, rate=rate, start=part.start, end=part.end, max_pixels=self._max_pixels
        )
        frames = iter(reader)
        while batch := list(islice(frames, BATCH)):
            yield [frame.time for frame in batch], np.stack([shrink(frame.image, self._size) for frame in batch])
        self.failures = max(self.failures, reader.failures)
        self.warnings = tuple(reader.warnings)

    def expected(self, rate: Fraction | None) -> int | None:
        rate = self.clip.frame_rate if rate is None else rate
        end = self.clip.duration if self.sampling.end is None else min(self.sampling.end, self.clip.duration)
        return None if rate is None else max(1, round((end - self.sampling.start) * rate))


class StillFrames:
    """The picture files ``files`` in order, ``fps`` of them to a second. All are token frames and mask frames.

    ``size``: height and width that the annotations say; ``network_size``: those that the network is given.
    """

    def __init__(
        self, files: Sequence[Path], fps: Fraction, size: tuple[int, int], network_size: tuple[int, int]
    ) -> None:
        self.sampling = Sampling(fps, fps)
        self._files, self._size, self._network_size = files, size, network_size

    def batches(self, rate: Fraction | None) -> Iterator[FrameBatch]:
        """The frames, at their one rate. Raises MediaError naming a file that cannot be used."""
        if rate != self.sampling.fps:
            raise ValueError(f"these pictures have one rate, {self.sampling.fps}, asked for {rate}")
        for first in range(0, len(self._files), BATCH):
            files = self._files[first : first + BATCH]
            times = [number / rate for number in range(first, first + len(files))]
            yield times, np.stack([shrink(read_still(file, self._size), self._network_size) for file in files])

    def expected(self, rate: Fraction | None) -> int | None:
        return len(self._files)


def read_still(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A JPEG, PNG or WebP as RGB (H, W, 3), turned upright if it says how.

    Raises MediaError if it cannot be read whole, or is not of ``size`` = (H, W).
    """
    try:
        with open_file(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about large pictures: the size is looked at below
            image: Image.Image = Image.open(file, formats=_FORMATS)
            # asked before anything is decoded: a file of a few bytes can claim any number of pixels
            if sorted(image.size) == sorted(size):
                image = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise MediaError(
            f"not a picture that can be read ({error})", hint="expected a whole JPEG; copy it again", file=path
        ) from None
    if image.size != (size[1], size[0]):
        raise MediaError(
            f"{image.width}x{image.height} pixels, expected {size[1]}x{size[0]} as annotated",
            hint="check that pictures and annotations belong together",
            file=path,
        )
    return np.array(image)


class ArrayFrames:
    """Frames uint8 RGB (T, 3, h, w) that are at network size already, ``fps`` of them to a second from 0 on."""

    def __init__(self, frames: NDArray[np.uint8], fps: Fraction) -> None:
        """Raises UsageError for an array of another shape or type."""
        if frames.ndim != 4 or frames.shape[1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
            raise UsageError(
                f"frames of shape {tuple(frames.shape)} and type {frames.dtype}, expected (T, 3, h, w) of uint8",
                hint="give RGB frames at network size",
            )
        self.sampling = Sampling(fps, fps)
        self._frames = frames

    def batches(self, rate: Fraction | None) -> Iterator[FrameBatch]:
        for first in range(0, len(self._frames), BATCH):
            some = self._frames[first : first + BATCH]
            yield [number / self.sampling.fps for number in range(first, first + len(some))], some

    def expected(self, rate: Fraction | None) -> int | None:
        return len(self._frames)
