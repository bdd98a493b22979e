"""``matte``: the clip's pictures with everything transparent but the objects that sound at that time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import AnnotationError, UsageError
from avis_cli.export.export_request import Request
from avis_cli.export.images import open_source
from avis_cli.media.alpha import ENDINGS, write_video_with_alpha
from avis_cli.media.clip_info import Frame
from avis_cli.media.decode import FrameReader
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.writers.overlay import overlay_span

_MARGIN = 16  # pixels around an object that keep their colour: a codec's blocks and soft edges reach so far


def write(target: Path, result: ClipResult, request: Request) -> None:
    """Every frame of the part of the clip that the result speaks about, at its own time; colours are straight (not
    multiplied by opacity) and black far from every object.

    Raises UsageError for an ending that names no codec, AnnotationError for a result without mask frames.
    """
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"the ending {target.suffix!r} names no video with transparency, expected {' or '.join(ENDINGS)}",
            hint="name the output with -o NAME.mov or -o NAME.webm",
            file=target,
        )
    if not result.times:
        raise AnnotationError("holds no mask frame, so there is nothing to cut out", hint="choose another clip")
    path, clip = open_source(result, request)
    start, end = overlay_span(result, clip)
    cutter = Cutter(result)
    with FrameReader(path, clip, start=start, end=end) as reader:

        def cut() -> Iterator[Frame]:
            for frame in reader:
                yield replace(frame, image=cutter.colours(frame))

        write_video_with_alpha(target, cut(), cutter.opacity, clip, end=end, progress=request.progress)
        for warning in reader.warnings:
            request.warn(warning)


class Cutter:
    """Which pixels sound at a time. What belongs to one moment is made once and kept until the next."""

    def __init__(self, result: ClipResult) -> None:
        self._result = result
        self._end = result.end
        self._blank = np.zeros((result.source.height, result.source.width), dtype=np.uint8)
        self._moment: tuple[int, tuple[int, ...]] = (-1, ())
        self._opacity, self._near = self._blank, self._blank

    def opacity(self, frame: Frame) -> NDArray[np.uint8]:
        """uint8 (H, W): 255 where a track that sounds at the frame's time has a mask, else 0."""
        self._turn_to(float(frame.time))
        return self._opacity

    def colours(self, frame: Frame) -> NDArray[np.uint8]:
        """The frame's picture, black but for the objects and a margin around them."""
        self._turn_to(float(frame.time))
        return cv2.copyTo(frame.image, self._near).astype(np.uint8, copy=False)

    def _turn_to(self, time: float) -> None:
        index = bisect_right(self._result.times, time) - 1 if time < self._end else -1
        tracks = self._result.tracks
        active = tuple(
            place for place, track in enumerate(tracks) if any(start <= time < end for start, end in track.sounding)
        )
        if (index, active) == self._moment:
            return
        self._moment = (index, active)
        masks = [tracks[place].masks[index] for place in active] if index >= 0 else []
        opacity = self._blank.copy()
        for mask in masks:
            if mask is not None:
                opacity[run_length.decode(mask)] = 255
        self._opacity = opacity
        self._near = cv2.dilate(opacity, np.ones((2 * _MARGIN + 1, 2 * _MARGIN + 1), np.uint8)).astype(np.uint8)
