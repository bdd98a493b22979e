"""``labelme``: one JSON file per mask frame, masks as polygons, the polygons of a track in one group."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.export.export_request import Request, category_name
from avis_cli.export.images import write_pictures
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

Polygon = list[list[float]]

_VERSION = "5.5.0"  # of labelme, whose keys these are
_DIGITS = 6
_FEWEST = 3  # points that labelme takes for a polygon


def write(target: Path, result: ClipResult, request: Request) -> None:
    """``000000.json`` ... and, if the clip is given, the pictures that they name beside them.

    A polygon cannot have holes: they are filled, and ``request.warn`` is called with the number of pixels that adds.
    """
    filled = 0
    for index in range(len(result.times)):
        shapes, more = _shapes(result, index)
        filled += more
        document: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": f"{index:0{_DIGITS}d}.jpg",
            "imageData": None,
            "imageHeight": result.source.height,
            "imageWidth": result.source.width,
        }
        text = json.dumps(document, ensure_ascii=True, allow_nan=False)
        (target / f"{index:0{_DIGITS}d}.json").write_text(text + "\n", encoding="ascii", newline="\n")
        request.progress("masks", index + 1, len(result.times))
    if filled:
        request.warn(f"polygons have no holes: {filled} pixels inside masks were filled")
    if request.video is not None:
        write_pictures(target, _DIGITS, result, request)


def polygons(mask: NDArray[np.bool_]) -> tuple[list[Polygon], int]:
    """The outlines of a mask (H, W) through the centres of its outermost pixels, [x, y] from 0, one per part; and how
    many pixels of holes they enclose."""
    pixels = np.ascontiguousarray(mask, dtype=np.uint8)
    lines, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    solid = cv2.drawContours(np.zeros_like(pixels), lines, -1, 1, cv2.FILLED)
    outlines: list[Polygon] = []
    for line in lines:
        points = [[float(x), float(y)] for x, y in np.asarray(line).reshape(-1, 2)]
        # parts of one or two pixels: the points again, which draws the same pixels
        outlines.append((points * _FEWEST)[:_FEWEST] if len(points) < _FEWEST else points)
    return outlines, int(solid.sum()) - int(pixels.sum())


def _shapes(result: ClipResult, index: int) -> tuple[list[dict[str, Any]], int]:
    """All polygons of one mask frame, and how many pixels they fill that are in no mask."""
    shapes: list[dict[str, Any]] = []
    filled = 0
    for track in result.tracks:
        mask = track.masks[index]
        if mask is None:
            continue
        outlines, more = polygons(run_length.decode(mask))
        filled += more
        shapes += [
            {
                "label": category_name(track.category_id, track.label),
                "points": outline,
                "group_id": track.id,
                "description": f"score {track.score:.4f}",
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            }
            for outline in outlines
        ]
    return shapes, filled
