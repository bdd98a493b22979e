"""The frames of a video that lie on disk as one picture file each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from avis_cli.errors import MediaError
from avis_cli.inference import frames as picture
from avis_cli.inference.frames import Sampling, Window, shrink
from avis_cli.media.container import open_file

_FORMATS = ("JPEG", "PNG", "WEBP")


class StillPicture:
    """The pictures of ``files`` in order, ``fps`` of them to a second. All are token frames and mask frames.

    ``size``: height and width that the annotations say; ``network_size``: those that the network is given.
    """

    def __init__(
        self, files: Sequence[Path], fps: Fraction, size: tuple[int, int], network_size: tuple[int, int]
    ) -> None:
        self.sampling = Sampling(fps, fps)
        self._files, self._size, self._network_size = files, size, network_size

    def windows(self, rate: Fraction | None) -> Iterator[Window]:
        """The frames, at their one rate. Raises MediaError naming a file that cannot be used."""
        if rate != self.sampling.fps:
            raise ValueError(f"these pictures have one rate, {self.sampling.fps}, asked for {rate}")
        for first in range(0, len(self._files), picture.WINDOW):
            files = self._files[first : first + picture.WINDOW]
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
