"""Predictions, from a results list or from a folder of ``tracks.json``, -> the ``Dataset`` with them filled in.

A results list is ``[{"video_id", "category_id", "score", "segmentations"}]``, as YouTube-VIS defines it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from avis_cli.datasets.segmentation import PictureSize, read_masks
from avis_cli.datasets.tracks import Dataset, PredictedTrack, Video
from avis_cli.datasets.truth import segmentations_of
from avis_cli.errors import AnnotationError
from avis_cli.evaluate import track_files
from avis_cli.files.json_file import DEFAULT_MAX_BYTES, read_json
from avis_cli.files.strict_json import Node


def read_predictions(
    path: str | os.PathLike[str],
    dataset: Dataset,
    *,
    ignore_unknown: bool = False,
    annotation_fps: float = 1.0,
    max_bytes: int = DEFAULT_MAX_BYTES,
    warn: Callable[[str], None] | None = None,
) -> Dataset:
    """A new ``Dataset`` with the predictions of ``path`` in file order.

    ``path``: a results list (``.json``, ``.json.gz``), a ``tracks.json`` or a folder of them (``track_files`` says
    how they are matched). Unknown videos and categories are an error that lists them. ``ignore_unknown`` does as
    the released evaluator: unknown videos are dropped, predictions of unknown categories are kept, because FSLA
    counts them. An empty list is no error. ``annotation_fps``: annotated frames per second of video, used for
    ``tracks.json`` only. ``warn`` is called with a line about videos that have no result in a folder.
    ``max_bytes`` bounds each file. Raises ``AnnotationError`` naming file, entry and field.
    """
    path = Path(path)
    if path.is_dir():
        files = track_files.find_track_files(path)
    else:
        top = read_json(path, max_bytes=max_bytes)
        if isinstance(top.value, list):
            return _from_list(replace(top, name="predictions"), dataset, ignore_unknown)
        _check_kind(top)
        files = [path]
    options = track_files.ReadingOptions(ignore_unknown, annotation_fps, max_bytes)
    return track_files.read_track_files(path, files, dataset, options, warn)


def _check_kind(top: Node) -> None:
    if isinstance(top.value, dict) and ("annotations" in top.value or "videos" in top.value):
        top.refuse(
            "a results list",
            got="ground truth, with videos and annotations",
            hint="if --gt and --pred are swapped, exchange them",
        )
    if not top.has("format"):
        top.refuse('a results list [{"video_id", "category_id", "score", "segmentations"}] or a folder of tracks.json')


def _from_list(top: Node, dataset: Dataset, ignore_unknown: bool) -> Dataset:
    videos = {video.id: video for video in dataset.videos}
    entries = list(top.items())
    if not ignore_unknown:
        categories = {category.id for category in dataset.categories}
        _refuse_unknown(entries, "video_id", videos, "video")
        _refuse_unknown(entries, "category_id", categories, "category")
    found: dict[int, list[PredictedTrack]] = {}
    ids: set[tuple[int, int]] = set()
    for position, node in enumerate(entries):
        video = videos.get(node.key("video_id").integer())
        if video is None:
            continue
        if node.has("id"):
            track = (video.id, node.key("id").integer())
            if track in ids:
                node.key("id").refuse("an id of its own within the video", got=f"{track[1]} again")
            ids.add(track)
        found.setdefault(video.id, []).append(_read_entry(node, position, video))
    filled = [replace(video, predictions=found.get(video.id, [])) for video in dataset.videos]
    return replace(dataset, videos=filled)


def _refuse_unknown(entries: Sequence[Node], key: str, known: Collection[int], kind: str) -> None:
    """``AnnotationError`` that lists the ids under ``key`` which are not ``known``."""
    unknown = sorted({node.key(key).integer() for node in entries} - set(known))
    if not unknown:
        return
    listed = ", ".join(map(str, unknown[:10])) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")
    first = next(node for node in entries if node.key(key).value == unknown[0])
    raise AnnotationError(
        f"{first.key(key).name}: {kind} {listed} not in the ground truth",
        hint="check that --gt is the same split, or use --ignore-unknown",
        file=first.file,
    )


def _read_entry(node: Node, position: int, video: Video) -> PredictedTrack:
    score = node.key("score").number()
    category_id = node.key("category_id").integer()
    segmentations = segmentations_of(node, video.length)
    frame = PictureSize(video.height, video.width, f"video {video.id} in the ground truth")
    masks = read_masks(segmentations, frame, place=f"{node.name}.segmentations", file=node.file)
    # parsed JSON is several times as large as the masks it becomes
    node.value["segmentations"] = None
    return PredictedTrack(entry=position, category_id=category_id, score=score, masks=masks)
