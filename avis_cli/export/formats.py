"""The formats by name: what each holds and cannot hold, who reads it, and which file writes it.

Importing this loads none of the writers.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, cast

from avis_cli.export.request import Request
from avis_cli.results.clip import ClipResult


class Video(Enum):
    """Whether a format takes pictures from the clip itself."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Writer(Protocol):
    """``write(target, result, request)``: fill ``target``, a new file or a new empty folder as the format says.

    Raises OutputError where the format cannot hold the result, before or while writing.
    """

    def __call__(self, target: Path, result: ClipResult, request: Request) -> None: ...


@dataclass(frozen=True)
class Format:
    """One format. ``ending``: what follows the clip's name in the output's name; ``folder_entries``: a pattern of the
    names at the top of the folder that it writes, None where it writes one file; ``module``: the file that writes it;
    ``holds``, ``lacks`` and ``readers`` are for people."""

    name: str
    ending: str
    module: str
    holds: str
    lacks: str
    readers: str
    folder_entries: str | None = None
    video: Video = Video.NEVER

    def load(self) -> Writer:
        """The function that writes it."""
        return cast(Writer, importlib.import_module(f"avis_cli.export.{self.module}").write)


_ALL = (
    Format(
        "ytvis", ".ytvis.json", "ytvis",
        holds="masks, category and score of each track, as a list of YouTube-VIS results",
        lacks="times, sounding intervals, names of categories",
        readers="the YouTube-VIS servers, `avis evaluate`, TrackEval",
    ),
    Format(
        "coco", ".coco", "coco",
        holds="the mask frames as images; box, area, mask and score of each object in each",
        lacks="sounding intervals; tracks only as `track_id`, which COCO tools ignore",
        readers="pycocotools, Detectron2, MMDetection, FiftyOne, Roboflow",
        folder_entries=r"annotations\.json|images", video=Video.REQUIRED,
    ),
    Format(
        "davis", ".davis", "davis",
        holds="one palette image per mask frame, index = place of the track in the file",
        lacks="categories, scores, overlaps, times; at most 254 tracks",
        readers="DAVIS 2017 evaluation, XMem, Cutie and other object segmenters",
        folder_entries="Annotations|ImageSets|JPEGImages", video=Video.OPTIONAL,
    ),
    Format(
        "mots", ".mots", "mots",
        holds="class and instance per pixel as 16-bit images, and the same masks as text",
        lacks="scores, overlaps, times; classes 1 to 64 without 10; at most 999 tracks of a category",
        readers="mots_tools, TrackEval (text); Datumaro, CVAT (images)",
        folder_entries="instances|instances_txt|images", video=Video.OPTIONAL,
    ),
    Format(
        "cvat", ".cvat.zip", "cvat",
        holds="exact masks on the frames of the video, with track and score as attributes",
        lacks="sounding intervals; CVAT has no mask tracks, so each mask stands by itself",
        readers="CVAT (import as `CVAT 1.1`)",
    ),
    Format(
        "labelme", ".labelme", "labelme",
        holds="one file per mask frame with polygons, grouped by track",
        lacks="holes in masks, sounding intervals, scores but as text",
        readers="labelme, AnyLabeling, Supervisely, and what converts from them",
        folder_entries=r"[0-9]{6,}\.(json|jpg)", video=Video.OPTIONAL,
    ),
    Format(
        "csv", ".csv", "csv_rows",
        holds="one row per track and sounding interval",
        lacks="masks",
        readers="spreadsheets, pandas, R",
    ),
    Format(
        "srt", ".srt", "srt",
        holds="captions: who sounds when",
        lacks="masks, scores; angle brackets and braces in names are replaced",
        readers="video players, editors, YouTube",
    ),
    Format(
        "vtt", ".vtt", "vtt",
        holds="captions: who sounds when",
        lacks="masks, scores",
        readers="browsers (`<track>`), VLC, mpv",
    ),
    Format(
        "audacity", ".audacity.txt", "audacity",
        holds="one label per track and sounding interval",
        lacks="masks, scores",
        readers="Audacity, Sonic Visualiser, crowsetta",
    ),
    Format(
        "matte", ".matte.mov", "matte",
        holds="the video with everything transparent but what sounds: ProRes 4444 (`.mov`) or VP9 (`.webm`)",
        lacks="categories, tracks, sound",
        readers="Final Cut, Premiere, Resolve, After Effects, Blender (`.mov`); browsers, OBS (`.webm`)",
        video=Video.REQUIRED,
    ),
)  # fmt: skip

FORMATS = {form.name: form for form in _ALL}
"""Every format, by the name that ``--to`` takes."""
