"""A folder of numbered pictures as a clip: which files, in which order, and each of them decoded."""

from __future__ import annotations

import hashlib
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import MediaError
from avis_cli.files.picture_names import PICTURES, picture_names
from avis_cli.media import packets, picture, streams
from avis_cli.media.clip_info import ClipInfo
from avis_cli.media.container import TooLargeError, open_decoder, open_file, open_media, require_size
from avis_cli.media.packets import MAX_FAILURES_IN_A_ROW, Damage


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
        hint = f"it is damaged, or has more than {max_pixels} pixels (--max-pixels raises the limit)"
        raise MediaError("not a picture that can be read", hint=hint, file=Path(folder, names[0]))
    image, codec = found
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
        identity=folder_identity(folder, names),
        max_pixels=max_pixels,
        pictures=names,
    )


def read_picture(path: Path, max_pixels: int) -> tuple[NDArray[np.uint8], str] | None:
    """A picture file as upright RGB (H, W, 3), and its codec; None where it cannot be decoded.

    Raises MediaError for a file that cannot be opened at all, and for one of more than ``max_pixels``.
    """
    with open_file(path):  # a file that is missing or may not be read is no damaged picture
        pass
    try:
        with open_media(path, max_pixels=max_pixels) as container:
            stream = streams.choose_video(container, path, [])
            open_decoder(stream, path, max_pixels)
            frame = next(packets.decode(container, stream, Damage()), None)
            if frame is None:
                return None
            require_size(frame.width, frame.height, path, max_pixels)
            orientation, _ = picture.orientation_of(frame)
            return orientation.upright(picture.to_rgb(frame, frame.width, frame.height)), streams.codec_name(stream)
    except TooLargeError:
        raise
    except MediaError:
        return None
