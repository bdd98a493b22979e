"""``tracks.json`` files -> predictions: which video each belongs to, and which of its masks an annotated frame gets.

A file belongs to the video that is named as its folder is (``DIR/<input file name>/tracks.json``), with or without
the extension, or as the source it names.

Annotated frame i is at i / ``annotation_fps`` seconds of the clip (AVISeg: one a second). Where all file names of
the video end in rising numbers, gaps in the numbering are gaps in time: the step is the greatest common divisor of
the differences, the first frame is at 0. The frame gets the mask of the nearest mask frame within half a period,
the earlier one of two equally near; where there is none, the track is absent.
"""

from __future__ import annotations

import bisect
import itertools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from avis_cli.datasets.segmentation import PictureSize, read_masks
from avis_cli.datasets.tracks import Dataset, Mask, PredictedTrack, Video
from avis_cli.errors import AnnotationError
from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node
from avis_cli.text import meant

FILE_NAME = "tracks.json"
_FORMAT, _VERSION = "avis-tracks", 1


@dataclass(frozen=True)
class ReadingOptions:
    """As the arguments of ``read_predictions``."""

    ignore_unknown: bool
    annotation_fps: float
    max_bytes: int


def find_track_files(folder: Path) -> list[Path]:
    """Every ``tracks.json`` below ``folder``, in order of their paths; links to folders are not followed."""
    found = [Path(root) / FILE_NAME for root, _, names in os.walk(folder) if FILE_NAME in names]
    if not found:
        raise AnnotationError(
            f"no {FILE_NAME} in this folder or below", hint="give the folder that `avis segment -o` wrote", file=folder
        )
    return sorted(found)


def read_track_files(
    path: Path,
    files: Sequence[Path],
    dataset: Dataset,
    options: ReadingOptions,
    warn: Callable[[str], None] | None = None,
) -> Dataset:
    """``dataset`` with the predictions of ``files``; ``path`` is what the user named. Raises ``AnnotationError``."""
    found: dict[int, list[PredictedTrack]] = {}
    file_of: dict[int, Path] = {}
    unmatched: list[str] = []
    entry = 0
    for file in files:
        top = read_json(file, max_bytes=options.max_bytes)
        _check_format(top)
        video = _video_of(top, file, dataset)
        if video is None:
            unmatched.append(file.parent.name)
            continue
        if video.id in file_of:
            raise AnnotationError(
                f"belongs to video {video.name!r}, as {file_of[video.id]} does", hint="keep one of them", file=file
            )
        file_of[video.id] = file
        found[video.id] = _read_tracks(top, video, dataset, options, entry)
        entry += len(found[video.id])
    if unmatched and not options.ignore_unknown:
        listed = ", ".join(unmatched[:10]) + (f" and {len(unmatched) - 10} more" if len(unmatched) > 10 else "")
        hint = "name the folders as the videos are named, or use --ignore-unknown"
        raise AnnotationError(f"no video in the ground truth for {listed}", hint=hint, file=path)
    silent = [video.name for video in dataset.videos if video.id not in file_of]
    if silent and warn is not None:
        listed = ", ".join(silent[:5]) + (" ..." if len(silent) > 5 else "")
        warn(f"{path}: no {FILE_NAME} for {len(silent)} of {len(dataset.videos)} videos ({listed}): counted as empty")
    videos = [replace(video, predictions=found.get(video.id, [])) for video in dataset.videos]
    return replace(dataset, videos=videos)


def _check_format(top: Node) -> None:
    if top.key("format").value != _FORMAT:
        top.key("format").refuse(f'"{_FORMAT}"')
    if top.key("version").integer() != _VERSION:
        top.key("version").refuse(f"{_VERSION}", hint="use a version of avis that writes this format")


def _video_of(top: Node, file: Path, dataset: Dataset) -> Video | None:
    source = PurePosixPath(top.key("source").key("file").text())
    folder = PurePosixPath(file.absolute().parent.name)
    for name in (folder.name, folder.stem, source.name, source.stem):
        videos = [video for video in dataset.videos if video.name == name]
        if len(videos) > 1:
            raise AnnotationError(f"the ground truth has {len(videos)} videos named {name!r}", file=file)
        if videos:
            return videos[0]
    return None


def _read_tracks(
    top: Node, video: Video, dataset: Dataset, options: ReadingOptions, first_entry: int
) -> list[PredictedTrack]:
    times = _read_times(top.key("times"))
    chosen = _mask_frames(times, annotation_times(video.file_names, options.annotation_fps), options.annotation_fps)
    frame = PictureSize(video.height, video.width, f"video {video.name!r} in the ground truth")
    tracks: list[PredictedTrack] = []
    ids: set[int] = set()
    for node in top.key("tracks").items():
        id = node.key("id").integer()
        if id in ids:
            node.key("id").refuse("an id of its own", got=f"{id} again")
        ids.add(id)
        segmentations = node.key("segmentations")
        segmentations.items(len(times))  # refuses what is no list of this length
        tracks.append(
            PredictedTrack(
                entry=first_entry + len(tracks),
                category_id=_category_id(node, dataset, options.ignore_unknown),
                score=node.key("score").number(),
                masks=_at_frames(segmentations.value, chosen, frame, node),
            )
        )
    return tracks


def _at_frames(masks: list[Any], chosen: list[int | None], frame: PictureSize, node: Node) -> list[Mask | None]:
    """The masks at the annotated frames; each is checked once, under its own place in the file."""
    place = f"{node.name}.segmentations"
    wanted = {index for index in chosen if index is not None}
    checked = read_masks(
        [mask if index in wanted else None for index, mask in enumerate(masks)], frame, place=place, file=node.file
    )
    return [None if index is None else checked[index] for index in chosen]


def _category_id(node: Node, dataset: Dataset, ignore_unknown: bool) -> int:
    """The ground truth's id of the track's category: by name, since a model numbers its categories as it likes."""
    name = node.key("category").text()
    for category in dataset.categories:
        if category.name == name:
            return category.id
    if not ignore_unknown:
        hint = "check that the model knows the categories of --gt, or use --ignore-unknown"
        near = meant(name, [category.name for category in dataset.categories])
        hint = hint if near is None else f"{near} if not, {hint}"
        node.key("category").refuse("one of the categories of the ground truth", hint=hint)
    # an id that no category has: the class metrics leave it out, FSLA counts it
    return max((category.id for category in dataset.categories), default=0) + 1


def _read_times(node: Node) -> list[float]:
    times = [item.number() for item in node.items()]
    for index, (before, after) in enumerate(itertools.pairwise(times), start=1):
        if after <= before:
            raise AnnotationError(f"{node.name}[{index}] is {after:g}, not after the time before it", file=node.file)
    return times


def annotation_times(file_names: Sequence[str], fps: float = 1.0) -> list[float]:
    """Seconds from the clip's first frame at which each annotated frame is, as this module's head says."""
    stems = [PurePosixPath(name).stem for name in file_names]
    steps = list(range(len(stems)))
    if all(stem.isascii() and stem.isdecimal() and len(stem) <= 15 for stem in stems):
        numbers = [int(stem) for stem in stems]
        gaps = [after - before for before, after in itertools.pairwise(numbers)]
        if gaps and min(gaps) > 0:
            step = math.gcd(*gaps)
            steps = [(number - numbers[0]) // step for number in numbers]
    return [step / fps for step in steps]


def _mask_frames(times: Sequence[float], wanted: Sequence[float], fps: float) -> list[int | None]:
    """For each wanted time the position of the nearest of ``times`` within half a period, None if there is none."""
    reach = 0.5 / fps + 1e-6  # times are rounded when written
    chosen: list[int | None] = []
    for time in wanted:
        after = bisect.bisect_left(times, time)
        near = [index for index in (after - 1, after) if 0 <= index < len(times)]
        best = min(near, key=lambda index: abs(times[index] - time), default=None)
        chosen.append(best if best is not None and abs(times[best] - time) <= reach else None)
    return chosen
