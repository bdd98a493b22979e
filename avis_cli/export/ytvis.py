"""``ytvis``: the bare list of results that YouTube-VIS servers and evaluators take."""

from __future__ import annotations

import json
from pathlib import Path

from avis_cli.export.export_request import Request
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.run_length import RunLength


def write(target: Path, result: ClipResult, request: Request) -> None:
    """One element per track, masks null where it is absent; ``video_id`` is the request's position."""
    if not result.tracks:
        request.warn("no track: the list is empty, which pycocotools and what is built on it cannot load")
    with target.open("w", encoding="ascii", newline="\n") as file:
        opening = "[\n"
        for track in result.tracks:
            file.write(opening + json.dumps(_element(track, request.position), allow_nan=False))
            opening = ",\n"
        file.write("\n]\n" if result.tracks else "[]\n")


def _element(track: Track, video_id: int) -> dict[str, object]:
    # a mask without pixels counts as a detection in some evaluators: absent is null
    masks: list[RunLength | None] = [
        mask if area else None for mask, area in zip(track.masks, track.areas, strict=True)
    ]
    return {
        "video_id": video_id,
        "category_id": track.category_id,
        "score": track.score,
        "segmentations": masks,
    }
