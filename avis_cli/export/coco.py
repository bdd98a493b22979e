"""``coco``: every mask frame as an image of its own, with what is in it: ``annotations.json`` and ``images/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from avis_cli.export.export_request import Request, category_name
from avis_cli.export.images import write_pictures
from avis_cli.results.clip import ClipResult

_DIGITS = 6


def write(target: Path, result: ClipResult, request: Request) -> None:
    """Image, annotation and category ids as COCO counts them; masks as compressed run lengths."""
    write_pictures(target / "images", _DIGITS, result, request)
    text = json.dumps(document(result), ensure_ascii=True, allow_nan=False)
    (target / "annotations.json").write_text(text + "\n", encoding="ascii", newline="\n")


def document(result: ClipResult) -> dict[str, Any]:
    """The JSON document. ``time`` of an image is in seconds; ``track_id`` and ``score`` of an annotation are our own
    keys, as COCO's results have them."""
    source = result.source
    annotations: list[dict[str, Any]] = []
    for index in range(len(result.times)):
        for track in result.tracks:
            mask, area = track.masks[index], track.areas[index]
            if mask is None or not area:
                continue
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index + 1,
                    "category_id": track.category_id,
                    "segmentation": mask,
                    "area": area,
                    "bbox": track.bboxes[index],
                    "iscrowd": 0,
                    "track_id": track.id,
                    "score": track.score,
                }
            )
    return {
        "info": {"description": source.file, "version": result.tool},
        "licenses": [],
        "images": [
            {
                "id": index + 1,
                "width": source.width,
                "height": source.height,
                "file_name": f"images/{index:0{_DIGITS}d}.jpg",
                "time": time,
            }
            for index, time in enumerate(result.times)
        ],
        "annotations": annotations,
        "categories": [{"id": id, "name": category_name(id, name)} for id, name in result.categories],
    }
