"""Frames and events of a stream as lines of JSON."""

from __future__ import annotations

import json
from typing import Any, Literal, TextIO

import cv2
import numpy as np

from avis_cli.results import run_length
from avis_cli.results.frame import VERSION, FrameResult
from avis_cli.results.run_length import RunLength
from avis_cli.stream import StreamEvent

MaskForm = Literal["none", "rle", "polygon"]


def frame_line(result: FrameResult, masks: MaskForm = "rle") -> str:
    """One line of strict JSON (ASCII), without its end. Masks as COCO run lengths under ``rle``, as outlines under
    ``polygon`` (lists of x, y in pixels, one list for each piece, holes left out), or not at all."""
    document = result.to_dict(with_masks=masks == "rle")
    if masks == "polygon":
        for entry, track in zip(document["tracks"], result.tracks, strict=True):
            entry["polygon"] = None if track.mask is None else polygons(track.mask)
    return _line(document)


def event_line(event: StreamEvent) -> str:
    """One line for an event: ``v``, ``event``, ``t`` and what there is to say of it."""
    return _line({"v": VERSION, "event": event.name, "t": event.time, **event.values})


def polygons(mask: RunLength) -> list[list[int]]:
    """The outlines of a mask's pieces, each x, y, x, y, ... in pixels. A piece of one or two pixels has that many
    corners."""
    picture = np.ascontiguousarray(run_length.decode(mask), dtype=np.uint8)
    outlines, _ = cv2.findContours(picture, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return [outline.reshape(-1).tolist() for outline in outlines]


def _line(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


class JsonLines:
    """Writes them to a text file, each at once."""

    def __init__(self, out: TextIO, masks: MaskForm = "rle") -> None:
        self._out, self._masks = out, masks

    def frame(self, result: FrameResult) -> None:
        self._write(frame_line(result, self._masks))

    def event(self, event: StreamEvent) -> None:
        self._write(event_line(event))

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()
