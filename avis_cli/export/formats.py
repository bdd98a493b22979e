"""The formats by name: what each holds and cannot hold, who reads it, which function writes it; and writing one output.

Importing this loads none of the writers.
"""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol, cast

from avis_cli.errors import OutputError, UsageError
from avis_cli.export.export_request import Request
from avis_cli.files.atomic import cannot_write, output_file, output_tree
from avis_cli.results.clip import ClipResult
from avis_cli.results.semantic import SemanticResult


class VideoUse(Enum):
    """Whether a format takes pictures from the clip itself."""

    NEVER = "never"
    OPTIONAL = "optional"
    REQUIRED = "required"


class FormatWriter(Protocol):
    """``write(target, result, request)``: fill ``target``, a new file or a new empty folder as the format says.

    Raises OutputError where the format cannot hold the result, before or while writing.
    """

    def __call__(self, target: Path, result: ClipResult, request: Request) -> None: ...


@dataclass(frozen=True)
class ExportFormat:
    """One format. ``ending``: what follows the clip's name in the output's name; ``folder_entries``: a pattern of the
    names at the top of the folder that it writes, None where it writes one file; ``module``, ``function``: the writer;
    ``holds``, ``lacks``, ``readers``: words for the documentation; ``of_maps``: whether class maps make sense in it."""

    name: str
    ending: str
    module: str
    holds: str
    lacks: str
    readers: str
    folder_entries: str | None = None
    video: VideoUse = VideoUse.NEVER
    function: str = "write"
    of_maps: bool = True

    def load(self) -> FormatWriter:
        """The function that writes it."""
        return cast(FormatWriter, getattr(importlib.import_module(f"avis_cli.export.{self.module}"), self.function))


_ALL = (
    ExportFormat(
        "ytvis", ".ytvis.json", "ytvis",
        holds="masks, category and score of each track, as a list of YouTube-VIS results",
        lacks="times, sounding intervals, names of categories",
        readers="the YouTube-VIS servers, `avis evaluate`, TrackEval", of_maps=False,
    ),
    ExportFormat(
        "coco", ".coco", "coco",
        holds="the mask frames as images; box, area, mask and score of each object in each",
        lacks="sounding intervals; tracks only as `track_id`, which COCO tools ignore",
        readers="pycocotools, Detectron2, MMDetection, FiftyOne, Roboflow",
        folder_entries=r"annotations\.json|images", video=VideoUse.REQUIRED,
    ),
    ExportFormat(
        "davis", ".davis", "davis",
        holds="one palette image per mask frame, index = place of the track in the file",
        lacks="categories, scores, overlaps, times; at most 254 tracks",
        readers="DAVIS 2017 evaluation, XMem, Cutie and other object segmenters",
        folder_entries="Annotations|ImageSets|JPEGImages", video=VideoUse.OPTIONAL,
    ),
    ExportFormat(
        "voc", ".voc", "voc",
        holds="one palette image of classes per mask frame in VOC's colours, one of objects, the classes' names",
        lacks="scores, overlaps, times; at most 254 tracks",
        readers="PASCAL VOC tools, MMSegmentation, DeepLab, torchvision",
        folder_entries=r"SegmentationClass|SegmentationObject|ImageSets|JPEGImages|labels\.txt",
        video=VideoUse.OPTIONAL,
    ),
    ExportFormat(
        "mots", ".mots", "mots",
        holds="class and instance per pixel as 16-bit images, and the same masks as text",
        lacks="scores, overlaps, times; classes 1 to 64 without 10; at most 999 tracks of a category",
        readers="mots_tools, TrackEval (text); Datumaro, CVAT (images)",
        folder_entries="instances|instances_txt|images", video=VideoUse.OPTIONAL, of_maps=False,
    ),
    ExportFormat(
        "cvat", ".cvat.zip", "cvat",
        holds="exact masks on the frames of the video, with track and score as attributes",
        lacks="sounding intervals; CVAT has no mask tracks, so each mask stands by itself",
        readers="CVAT (import as `CVAT 1.1`)",
    ),
    ExportFormat(
        "labelme", ".labelme", "labelme",
        holds="one file per mask frame with polygons, grouped by track",
        lacks="holes in masks, sounding intervals, scores but as text",
        readers="labelme, AnyLabeling, Supervisely, and what converts from them",
        folder_entries=r"[0-9]{6,}\.(json|jpg)", video=VideoUse.OPTIONAL,
    ),
    ExportFormat(
        "csv", ".csv", "intervals", function="write_csv",
        holds="one row per track and sounding interval",
        lacks="masks",
        readers="spreadsheets, pandas, R",
    ),
    ExportFormat(
        "srt", ".srt", "intervals", function="write_srt",
        holds="captions: who sounds when",
        lacks="masks, scores; angle brackets and braces in names are replaced",
        readers="video players, editors, YouTube",
    ),
    ExportFormat(
        "vtt", ".vtt", "intervals", function="write_vtt",
        holds="captions: who sounds when",
        lacks="masks, scores",
        readers="browsers (`<track>`), VLC, mpv",
    ),
    ExportFormat(
        "audacity", ".audacity.txt", "intervals", function="write_audacity",
        holds="one label per track and sounding interval",
        lacks="masks, scores",
        readers="Audacity, Sonic Visualiser, crowsetta",
    ),
    ExportFormat(
        "label-video", ".labels.mkv", "label_video",
        holds="the mask frames at their times, losslessly: a pixel's grey is the number of its track or class",
        lacks="names, scores, overlaps; at most 255 tracks",
        readers="FFmpeg, OpenCV, PyAV and what reads FFV1",
    ),
    ExportFormat(
        "matte", ".matte.mov", "matte",
        holds="the video with everything transparent but what sounds: ProRes 4444 (`.mov`) or VP9 (`.webm`)",
        lacks="categories, tracks, sound",
        readers="Final Cut, Premiere, Resolve, After Effects, Blender (`.mov`); browsers, OBS (`.webm`)",
        video=VideoUse.REQUIRED,
    ),
)  # fmt: skip

FORMATS = {entry.name: entry for entry in _ALL}
"""Every format, by the name that ``--to`` takes."""


def export(
    destination: Path,
    result: ClipResult | SemanticResult,
    format: ExportFormat,
    request: Request | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write ``result`` to ``destination``, a file or a folder as ``format`` says, complete or not at all; of class maps
    each class is what a track is else.

    Raises OutputError where the format cannot hold the result, or the output is there already (without
    ``overwrite``); UsageError where the clip's video is needed and not given, or given and of no use.
    """
    request = request or Request()
    require_video(format, request)
    if isinstance(result, SemanticResult):
        if not format.of_maps:
            fitting = ", ".join(name for name, form in FORMATS.items() if form.of_maps)
            raise OutputError(
                f"class maps cannot be written as {format.name}, which is about single objects",
                hint=f"--to one of {fitting}; or find objects: avis segment --instances sort",
            )
        result = result.as_tracks()
    write = format.load()

    def may_replace(present: list[str]) -> None:
        foreign = [name for name in present if re.fullmatch(format.folder_entries or "", name) is None]
        if not overwrite:
            raise OutputError("is already there", hint="--overwrite replaces it", file=destination)
        if foreign:
            raise OutputError(
                f"holds {foreign[0]!r}, which no such export writes and which would be lost",
                hint="move it away or choose another name with -o",
                file=destination,
            )

    try:
        if format.folder_entries is None:
            with output_file(destination, overwrite=overwrite) as part:
                write(part, result, request)
        else:
            with output_tree(destination, may_replace=may_replace) as part:
                write(part, result, request)
    except OSError as error:  # what cannot be read is a MediaError
        raise cannot_write(error, destination) from error


def require_video(format: ExportFormat, request: Request) -> None:
    """Raise UsageError if a video is missing or would not be looked at."""
    if format.video is VideoUse.REQUIRED and request.video is None:
        raise UsageError(f"{format.name} takes pictures from the clip", hint="name it with --video PATH")
    if format.video is VideoUse.NEVER and request.video is not None:
        raise UsageError(f"--video is not used by {format.name}", hint="leave it out")
