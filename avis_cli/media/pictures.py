"""A folder of numbered pictures as a clip: which files, in which order, and each of them decoded."""

from __future__ import annotations

import hashlib
import os
import struct
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from avis_cli.errors import MediaError
from avis_cli.files.picture_names import PICTURES, picture_names
from avis_cli.media.clip_info import ClipInfo
from avis_cli.media.container import TooLargeError, open_file, require_size
from avis_cli.media.packets import MAX_FAILURES_IN_A_ROW

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")


def folder_identity(folder: str | os.PathLike[str], names: tuple[str, ...]) -> tuple[int, int]:
    """Bytes of all pictures, and a checksum of their names, sizes and times of change. Raises OSError."""
    total, digest = 0, hashlib.sha256()
    for name in names:
        status = os.stat(os.path.join(folder, name))
        total += status.st_size
        digest.update(f"{name!r} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return total, int.from_bytes(digest.digest()[:8], "big")


def probe_pictures(folder: str | os.PathLike[str], rate: Fraction, max_pixels: int) -> ClipInfo:
    """Describe a folder of pictures, ``rate`` of them to a second; all become as large as the first one.

    Raises MediaError where there is none, or none of the first eight can be decoded.
    """
    names = picture_names(folder)
    if not names:
        raise MediaError(f"a folder without pictures (looked for {' '.join(PICTURES)})", file=folder)
    for name in names[:MAX_FAILURES_IN_A_ROW]:
        found = read_picture(Path(folder, name), max_pixels)
        if found is not None:
            break
    else:
        raise MediaError("not a picture that can be read", hint="copy it again", file=Path(folder, names[0]))
    image, codec = found
    try:
        identity = folder_identity(folder, names)
    except OSError as error:  # a link that leads nowhere, most often
        file = error.filename or folder
        raise MediaError(f"cannot be read: {error.strerror or error}", file=file) from None
    return ClipInfo(
        file=os.fsdecode(folder),
        width=image.shape[1],
        height=image.shape[0],
        rotation=0,
        duration=len(names) / rate,
        frame_rate=rate,
        audio=None,
        codec=codec,
        time_base=1 / rate,
        identity=identity,
        max_pixels=max_pixels,
        pictures=names,
    )


def read_picture(path: Path, max_pixels: int) -> tuple[NDArray[np.uint8], str] | None:
    """A picture file as upright RGB (H, W, 3), and its format; None where it cannot be decoded.

    More than 8 bits are reduced to 8, transparency is dropped. Raises MediaError for a file that cannot be opened at
    all, and for one of more than ``max_pixels``.
    """
    with open_file(path) as file:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Pillow's about large pictures: the size is looked at here
                image: Image.Image = Image.open(file, formats=_FORMATS)
                # asked before anything is decoded: a file of a few bytes can claim any number of pixels
                require_size(*image.size, path, max_pixels)
                return _upright_rgb(image), (image.format or "picture").lower()
        except Image.DecompressionBombError as error:
            raise TooLargeError(" ".join(str(error).split()), file=path) from None
        except (OSError, ValueError, SyntaxError, EOFError, struct.error, OverflowError):
            return None


def _upright_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3), turned as the picture's EXIF says."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow would cut off at 255
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))
