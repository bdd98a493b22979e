"""From a decoded picture in any pixel format to 8-bit RGB.

The rule: the matrix and range that the file names are undone (BT.601 where it names none, as FFmpeg does), more than
8 bits are reduced to 8, grey becomes equal R, G and B, alpha is dropped. High dynamic range is brought to the standard
range by ``hdr``.
"""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avis_cli.media import hdr

_UNSPECIFIED = 2  # matrix coefficients, ITU-T H.273


def to_rgb(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """A decoded picture as uint8 RGB (height, width, 3), resized only if it has another size."""
    if hdr.is_hdr(frame):
        return hdr.to_standard_range(_converted(frame, width, height, "rgb48le"), frame.color_trc)
    return _converted(frame, width, height, "rgb24")


def _converted(frame: av.VideoFrame, width: int, height: int, form: str) -> NDArray[Any]:
    try:
        return frame.reformat(width, height, form).to_ndarray()
    except av.FFmpegError:  # colour tags that mean nothing to the converter: as if there were none
        frame.colorspace, frame.color_range = _UNSPECIFIED, 0
        return frame.reformat(width, height, form).to_ndarray()


def peculiarities(frame: av.VideoFrame) -> list[str]:
    """One line for each thing about a picture that the user should know."""
    found = []
    if hdr.is_hdr(frame):
        found.append("high dynamic range video: its brightness is mapped to the standard range")
    elif max((component.bits for component in frame.format.components), default=8) > 8:
        found.append("more than 8 bits per colour: reduced to 8")
    if frame.interlaced_frame:
        found.append("interlaced video: used as it is, moving edges may look combed")
    return found
