"""Small pictures for a page: each track where it is seen best, and the clip as a whole."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.run_length import RunLength
from avis_cli.writers.style import Palette, palette

FrameAt = Callable[[float], "NDArray[np.uint8] | None"]  # seconds -> the picture shown then, RGB (H, W, 3)

_CROP_SIDES = ((12, 176), (30, 120))  # up to so many tracks: pixels on the longer side
_SMALL_CROP = 88
_THUMBNAIL_SIDE = 256
_CROP_BYTES = 70_000  # of all crops together, as text
_QUALITY = 76  # of JPEG
_AROUND = 0.15  # of an object's size, shown beyond it on each side
_LEAST_AROUND = 6  # pixels
_TYPICAL = 0.75  # quantile of a track's areas: large, and not the one mask that swallowed its neighbour
_NEAR = (0.7, 1.3)  # times that area: a picture already decoded is good enough
_DIMMED = 0.45  # brightness of what is not the object
_TINT = 0.4  # opacity of a mask in the thumbnail


@dataclass(frozen=True)
class Pictures:
    """JPEG data URIs: ``crops`` by track id, ``thumbnail`` of the whole picture."""

    crops: dict[int, str] = field(default_factory=dict)
    thumbnail: str | None = None

    def largest_share(self, room: int, tracks: Sequence[Track]) -> dict[int, str]:
        """The crops of the first of ``tracks`` that have at most ``room`` bytes together."""
        share: dict[int, str] = {}
        for track in tracks:
            crop = self.crops.get(track.id, "")
            room -= len(crop)
            if room < 0:
                break
            if crop:
                share[track.id] = crop
        return share


def take_pictures(
    result: ClipResult, frame_at: FrameAt, *, aspect: float = 1.0, colours: Palette | None = None
) -> Pictures:
    """Decode few pictures and cut every track out of the one where it is large; the crops have bounded bytes.

    ``frame_at`` gives the clip's picture at a time, None where it cannot be had. ``aspect``: a pixel's width over its
    height. ``colours``: of the tracks, the default palette if None.
    """
    colours = colours or palette()
    crops: dict[int, str] = {}
    thumbnail: str | None = None
    side = next((side for tracks, side in _CROP_SIDES if len(result.tracks) <= tracks), _SMALL_CROP)
    room = _CROP_BYTES
    for index, tracks in frames_to_decode(result):
        image = frame_at(result.times[index])
        if image is None or image.shape != (result.source.height, result.source.width, 3):
            continue
        if thumbnail is None:
            thumbnail = _data_uri(_tinted(image, result, index, colours), _THUMBNAIL_SIDE, aspect)
        for track in tracks:
            mask = track.masks[index]
            uri = None if mask is None else _data_uri(_cut_out(image, mask), side, aspect)
            if uri is not None and len(uri) <= room:
                crops[track.id] = uri
                room -= len(uri)
    return Pictures(crops, thumbnail)


def frames_to_decode(result: ClipResult) -> Iterable[tuple[int, list[Track]]]:
    """(mask frame, tracks to cut out of it), the surest track's first; one frame without tracks if there are none."""
    chosen: dict[int, list[Track]] = {}
    for track in sorted(result.tracks, key=lambda track: (-track.score, track.id)):
        areas = np.array([area or 0 for area in track.areas])
        if not areas.any():
            continue
        typical = np.quantile(areas[areas > 0], _TYPICAL)
        best = int(np.abs(areas - typical).argmin())
        low, high = _NEAR[0] * typical, _NEAR[1] * typical
        chosen.setdefault(next((index for index in chosen if low <= areas[index] <= high), best), []).append(track)
    if not chosen and result.times:
        chosen[len(result.times) // 2] = []
    return chosen.items()


def _cut_out(image: NDArray[np.uint8], mask: RunLength) -> NDArray[np.uint8]:
    """The part of a picture around an object, everything else in it dimmed."""
    x, y, width, height = run_length.bbox(mask)
    beyond_x = max(round(_AROUND * width), _LEAST_AROUND)
    beyond_y = max(round(_AROUND * height), _LEAST_AROUND)
    part = np.s_[max(y - beyond_y, 0) : y + height + beyond_y, max(x - beyond_x, 0) : x + width + beyond_x]
    cut, inside = image[part], run_length.decode(mask)[part]
    dimmed = (cut * _DIMMED).astype(np.uint8)
    dimmed[inside] = cut[inside]
    return dimmed


def _tinted(image: NDArray[np.uint8], result: ClipResult, index: int, colours: Palette) -> NDArray[np.uint8]:
    """A picture with its masks in their tracks' colours, the higher score on top."""
    tinted: NDArray[np.uint8] = image.copy()
    for track in sorted(result.tracks, key=lambda track: (track.score, -track.id)):
        mask = track.masks[index]
        if mask is not None:
            inside = run_length.decode(mask)
            tinted[inside] = image[inside] * (1 - _TINT) + np.array(colours.colour(track.id)) * _TINT
    return tinted


def _data_uri(image: NDArray[np.uint8], side: int, aspect: float) -> str:
    """A picture as a JPEG of at most ``side`` pixels on its longer side, with square pixels."""
    height, width = image.shape[0], image.shape[1] * aspect
    scale = min(1.0, side / max(height, width))
    small = Image.fromarray(image).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS
    )
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
