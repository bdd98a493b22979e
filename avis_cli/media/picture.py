"""From a decoded picture in any pixel format to an upright 8-bit RGB image.

The matrix and range that the file names are undone (BT.601 where it names none, as FFmpeg does), more than 8 bits are
reduced to 8, grey becomes equal R, G and B, alpha is dropped. A file's display matrix is reduced to one of the eight
orientations that flips and quarter turns give.

High dynamic range becomes standard range by a fixed rule, so that the same file always gives the same pictures. The
signal is made linear light in units of reference white (203 cd/m2, ITU-R BT.2408): PQ by the SMPTE ST 2084 curve, HLG
by the ITU-R BT.2100 inverse OETF and the system gamma of a 1000 cd/m2 display. BT.2020 primaries become BT.709 (ITU-R
BT.2087), light is compressed by L / (1 + L) scaled so that reference white keeps 80 percent, and encoded with the sRGB
curve.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray


@dataclass(frozen=True)
class Orientation:
    """What makes a coded picture upright: a horizontal flip if ``mirrored``, then ``rotation`` degrees clockwise."""

    rotation: int = 0
    mirrored: bool = False

    @property
    def transposed(self) -> bool:
        """Whether width and height change places."""
        return self.rotation in (90, 270)

    def upright(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(h, w, 3) as coded -> (H, W, 3) as shown."""
        if self.mirrored:
            image = image[:, ::-1]
        if self.rotation:
            image = np.rot90(image, k=-self.rotation // 90)
        return np.ascontiguousarray(image)


# (axes swapped, then flipped left-right, then flipped top-bottom) -> the same as a flip and a rotation
_NAMED = {
    (False, False, False): Orientation(0),
    (False, True, True): Orientation(180),
    (False, True, False): Orientation(0, mirrored=True),
    (False, False, True): Orientation(180, mirrored=True),
    (True, True, False): Orientation(90),
    (True, False, True): Orientation(270),
    (True, False, False): Orientation(270, mirrored=True),
    (True, True, True): Orientation(90, mirrored=True),
}


def from_display_matrix(matrix: bytes) -> tuple[Orientation, bool]:
    """The nearest of the eight orientations to a display matrix, and whether the matrix is exactly that one.

    ``matrix`` is nine native 32-bit integers a b u c d v x y w as in the ISO file format (16.16 fixed point): a coded
    point (p, q) is shown at (a p + c q + x, b p + d q + y). Anything else than nine integers is no matrix: upright.
    """
    if len(matrix) < 36:
        return Orientation(), True
    a, b, _, c, d, _, _, _, _ = (int(value) for value in np.frombuffer(matrix[:36], np.int32))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return _NAMED[False, a < 0, d < 0], b == 0 and c == 0
    return _NAMED[True, c < 0, b < 0], a == 0 and d == 0


def orientation_of(frame: Any) -> tuple[Orientation, bool]:
    """What makes a decoded picture upright as it says itself, and whether that is exact."""
    try:
        every = list(frame.side_data)
    except ValueError:  # PyAV 18 lists none of them where it does not know one, such as EXIF
        turned = -round(frame.rotation / 90) % 4 * 90
        return Orientation(turned), turned == -frame.rotation % 360
    for data in every:
        if data.type.name == "DISPLAYMATRIX":
            return from_display_matrix(bytes(data))
    return Orientation(), True


_PQ, _HLG = 16, 18  # transfer characteristics, ITU-T H.273
_REFERENCE_WHITE = 203.0  # cd/m2
_KEPT = 0.8  # linear light that reference white has afterwards
_BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_LUMINANCE_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)


def is_hdr(frame: Any) -> bool:
    """Whether a decoded picture says that it is PQ or HLG (and this PyAV lets it be heard)."""
    return getattr(frame, "color_trc", None) in (_PQ, _HLG)


def to_standard_range(signal: NDArray[np.uint16], transfer: int) -> NDArray[np.uint8]:
    """(H, W, 3) full-range 16-bit R'G'B' in BT.2020 primaries -> (H, W, 3) 8-bit sRGB."""
    out = np.empty(signal.shape, np.uint8)
    for top in range(0, len(signal), 64):  # strips, so that the float copies stay small
        light = _linear(transfer)[signal[top : top + 64]]
        if transfer == _HLG:  # the display's share of the curve works on luminance, not per channel
            light *= np.power(light @ _LUMINANCE_2020, 0.2)[..., None] * np.float32(1000 / _REFERENCE_WHITE)
        light = np.maximum(light @ _BT2020_TO_BT709.T, 0)
        light /= light + np.float32((1 - _KEPT) / _KEPT)
        out[top : top + 64] = _encoded()[np.rint(light * 4095).astype(np.uint16)]
    return out


@lru_cache(maxsize=2)
def _linear(transfer: int) -> NDArray[np.float32]:
    """16-bit code -> linear light: PQ in units of reference white, HLG as scene light 0..1."""
    code = np.arange(1 << 16, dtype=np.float64) / 0xFFFF
    if transfer == _PQ:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        root = code ** (1 / m2)
        light = 10_000 / _REFERENCE_WHITE * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    else:
        a = 0.17883277
        b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    return light.astype(np.float32)


@lru_cache(maxsize=1)
def _encoded() -> NDArray[np.uint8]:
    """12-bit linear light -> 8-bit sRGB code."""
    light = np.arange(4096) / 4095
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.rint(curve * 255).astype(np.uint8)


_UNSPECIFIED = 2  # matrix coefficients, ITU-T H.273


def to_rgb(frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
    """A decoded picture as uint8 RGB (height, width, 3), resized only if it has another size."""
    if is_hdr(frame):
        return to_standard_range(_converted(frame, width, height, "rgb48le"), frame.color_trc)
    return _converted(frame, width, height, "rgb24")


def _converted(frame: av.VideoFrame, width: int, height: int, pixel_format: str) -> NDArray[Any]:
    try:
        return reformat(frame, pixel_format, width=width, height=height).to_ndarray()
    except av.FFmpegError:  # colour tags that mean nothing to the converter: as if there were none
        frame.colorspace, frame.color_range = _UNSPECIFIED, 0
        return reformat(frame, pixel_format, width=width, height=height).to_ndarray()


def to_limited_bt709(frame: av.VideoFrame, pixel_format: str) -> av.VideoFrame:
    """An RGB picture as an encoder takes it: BT.709 in limited range."""
    return reformat(frame, pixel_format, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)


def reformat(frame: av.VideoFrame, pixel_format: str, **options: Any) -> av.VideoFrame:
    """``frame.reformat`` in one thread: the same picture always gives the same bytes, however busy the machine is.

    In several threads FFmpeg 8 damages a row here and there where the width is no multiple of 16 and the result has
    more than 8 bits (854x480: one picture in four).
    """
    return frame.reformat(format=pixel_format, **_one_thread(), **options)


@lru_cache(maxsize=1)
def _one_thread() -> dict[str, Any]:
    """The option of ``reformat`` for that; a PyAV that does not know it (before 17) uses one thread."""
    try:
        av.VideoFrame(16, 16, "rgb24").reformat(format="rgba", threads=1)
    except TypeError:
        return {}
    return {"threads": 1}


def picture_warnings(frame: av.VideoFrame) -> list[str]:
    """One line for each thing about a picture that the user should know."""
    found = []
    if is_hdr(frame):
        found.append("high dynamic range video: its brightness is mapped to the standard range")
    elif max((component.bits for component in frame.format.components), default=8) > 8:
        found.append("more than 8 bits per colour: reduced to 8")
    if frame.interlaced_frame:
        found.append("interlaced video: used as it is, moving edges may look combed")
    return found
