"""``cvat``: a zip with ``annotations.xml``, CVAT for video 1.1, its masks on the frames of the video.

CVAT keeps no tracks of masks: it reads the first mask of a track and drops the rest, and writes a track of one frame
for each mask itself. So does this; the attribute ``track`` tells which masks are one object.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

import numpy as np
from numpy.typing import NDArray

from avis_cli.export.export_request import Request, category_name, clip_name
from avis_cli.files.numbers import ratio
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track

_NO_DATE = (1980, 1, 1, 0, 0, 0)  # the same result gives the same bytes
_ROUNDING = Fraction(1, 10**6)  # seconds


def write(target: Path, result: ClipResult, request: Request) -> None:
    """One ``<track>`` with one mask per object and mask frame; overlaps are ordered by score (``z_order``)."""
    member = zipfile.ZipInfo("annotations.xml", _NO_DATE)
    member.compress_type = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(target, "w") as archive, archive.open(member, "w", force_zip64=True) as file:
        _Document(file, result).write(request)


def frame_numbers(result: ClipResult) -> list[int]:
    """The number, from 0, of the video's frame that each mask frame shows: CVAT counts the frames of the video.

    Exact for masks of every frame from the clip's start, and wherever the frame rate is constant and known.
    """
    rate = ratio(result.source.frame_rate or "")
    if not result.times or (result.model.mask_fps == "video" and result.times[0] == 0) or rate is None:
        return list(range(len(result.times)))
    if result.model.mask_fps == "video":
        first = round(Fraction(result.times[0]) * rate)
        return list(range(first, first + len(result.times)))
    return [int((Fraction(time) + _ROUNDING) * rate) for time in result.times]


def row_runs(mask: NDArray[np.bool_]) -> list[int]:
    """Row-major run lengths of a mask (H, W), background first."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], edges, [flat.size]]))
    return [0, *runs.tolist()] if flat[0] else [int(run) for run in runs]


class _Document:
    """The XML of one result, written as it is made."""

    def __init__(self, file: IO[bytes], result: ClipResult) -> None:
        # XMLGenerator escapes markup and line breaks; what XML cannot hold at all the names have lost before
        self._xml = XMLGenerator(file, "utf-8", short_empty_elements=True)
        self._result = result
        self._frames = frame_numbers(result)
        whole = round(Fraction(result.source.duration) * (ratio(result.source.frame_rate or "") or 0))
        self._size = max(whole, self._frames[-1] + 1 if self._frames else 0)
        rising = sorted(result.tracks, key=lambda track: (track.score, -track.id))
        self._depth = {track.id: depth for depth, track in enumerate(rising)}
        self._written = 0

    def write(self, request: Request) -> None:
        self._xml.startDocument()
        with self._element("annotations"):
            self._text("version", "1.1")
            with self._element("meta"):
                self._meta()
            for index, frame in enumerate(self._frames):
                request.progress("masks", index + 1, len(self._frames))
                if index and frame == self._frames[index - 1]:
                    continue  # more masks than frames: the first of a frame stands
                for track in self._result.tracks:
                    self._mask(track, index, frame)
        self._xml.characters("\n")
        self._xml.endDocument()

    def _meta(self) -> None:
        source = self._result.source
        with self._element("task"):
            self._text("name", clip_name(self._result))
            self._text("size", str(self._size))
            self._text("mode", "interpolation")
            self._text("start_frame", "0")
            self._text("stop_frame", str(max(self._size - 1, 0)))
            with self._element("labels"):
                for id, name in self._result.categories:
                    with self._element("label"):
                        self._text("name", category_name(id, name))
                        with self._element("attributes"):
                            for attribute in ("track", "score"):
                                self._attribute_kind(attribute)
            with self._element("original_size"):
                self._text("width", str(source.width))
                self._text("height", str(source.height))

    def _attribute_kind(self, name: str) -> None:
        with self._element("attribute"):
            for key, value in (
                ("name", name), ("mutable", "False"), ("input_type", "text"), ("default_value", ""), ("values", ""),
            ):  # fmt: skip
                self._text(key, value)

    def _mask(self, track: Track, index: int, frame: int) -> None:
        mask, box = track.masks[index], track.bboxes[index]
        if mask is None or box is None or not track.areas[index]:
            return
        left, top, width, height = box
        runs = row_runs(run_length.decode(mask)[top : top + height, left : left + width])
        shape = {
            "keyframe": "1", "occluded": "0", "rle": ", ".join(map(str, runs)), "left": str(left), "top": str(top),
            "width": str(width), "height": str(height), "z_order": str(self._depth[track.id]),
        }  # fmt: skip
        label = category_name(track.category_id, track.label)
        head = {"id": str(self._written), "label": label, "source": "file", "group_id": str(track.id)}
        self._written += 1
        with self._element("track", head):
            for number, outside in ((frame, "0"), (frame + 1, "1")):
                if number < self._size:
                    with self._element("mask", {"frame": str(number), "outside": outside, **shape}):
                        self._text("attribute", str(track.id), {"name": "track"})
                        self._text("attribute", f"{track.score:.4f}", {"name": "score"})

    @contextmanager
    def _element(self, name: str, attributes: dict[str, str] | None = None) -> Iterator[None]:
        self._xml.characters("\n")
        self._xml.startElement(name, AttributesImpl(attributes or {}))
        yield
        self._xml.endElement(name)

    def _text(self, name: str, text: str, attributes: dict[str, str] | None = None) -> None:
        with self._element(name, attributes):
            self._xml.characters(text)
