"""Ground truth in the AVISeg / YouTube-VIS layout -> a ``Dataset`` without predictions, checked throughout.

``{"videos": [{id, file_names, height, width}], "categories": [{id, name}], "annotations": [{id, video_id,
category_id, segmentations, ...}]}``. No file that it names is opened.
"""

from __future__ import annotations

import os
from collections.abc import Container
from typing import Any

from pycocotools import mask as coco

from avis_cli.datasets.segmentation import PictureSize, read_masks
from avis_cli.datasets.tracks import Category, Dataset, Mask, TruthTrack, Video
from avis_cli.files.json_file import DEFAULT_MAX_BYTES, read_json
from avis_cli.files.strict_json import Node
from avis_cli.results.run_length import MAX_PIXELS


def read_truth(
    path: str | os.PathLike[str], *, allow_empty: bool = False, max_bytes: int = DEFAULT_MAX_BYTES
) -> Dataset:
    """Categories, videos and annotations in file order, from ``.json`` or ``.json.gz``.

    A list of segmentations longer than the video is kept whole: the released mAP uses all of it. Annotations give
    the size of a video's masks, as in the released evaluator; the video's own entry does where nothing sounds.
    Without a single annotation the file is refused unless ``allow_empty``. Raises ``AnnotationError`` naming entry
    and field.
    """
    top = read_json(path, max_bytes=max_bytes)
    _check_kind(top)
    categories = _read_categories(top.key("categories"))
    annotations = _by_video(top, {category.id for category in categories}, allow_empty)
    videos: list[Video] = []
    for node in top.key("videos").items():
        videos.append(_read_video(node, annotations))
    return Dataset(categories, videos)


def _check_kind(top: Node) -> None:
    if isinstance(top.value, list):
        top.refuse(
            "ground truth with videos, categories and annotations",
            got="a list, as predictions are" if top.value else "an empty list",
            hint="if --gt and --pred are swapped, exchange them",
        )
    if top.has("format"):
        top.refuse("ground truth", got="a tracks.json", hint="give it as --pred")
    top.key("videos")
    if top.key("videos").value == []:
        top.key("videos").refuse("at least one video", got="empty: this is no ground truth")


def _read_categories(node: Node) -> list[Category]:
    categories: list[Category] = []
    ids: set[int] = set()
    names: set[str] = set()
    for item in node.items():
        category = Category(unique(item.key("id"), ids), item.key("name").text())
        if category.name in names:
            item.key("name").refuse("a name of its own", got=f"{category.name!r} again")
        ids.add(category.id)
        names.add(category.name)
        categories.append(category)
    if not categories:
        node.refuse("at least one category", got="empty: this is no ground truth")
    return categories


def _by_video(top: Node, categories: Container[int], allow_empty: bool) -> dict[int, list[Node]]:
    """Annotations by the id of their video, with ids and references proven; every video has a list."""
    found: dict[int, list[Node]] = {}
    for node in top.key("videos").items():
        video_id = unique(node.key("id"), found)
        found[video_id] = []
    ids: set[int] = set()
    annotations = top.key("annotations")
    for node in annotations.items():
        ids.add(unique(node.key("id"), ids))
        if node.key("video_id").integer() not in found:
            node.key("video_id").refuse("the id of one of the videos")
        if node.key("category_id").integer() not in categories:
            node.key("category_id").refuse("the id of one of the categories")
        found[node.key("video_id").value].append(node)
    if not ids and not allow_empty:
        annotations.refuse(
            "at least one sounding object",
            got="empty: there is nothing to compare with",
            hint="use the file that holds the ground truth, or --allow-empty if every video is silent",
        )
    return found


def unique(node: Node, seen: Container[int]) -> int:
    """An id that is not among ``seen``."""
    value = node.integer()
    if value in seen:
        node.refuse("an id of its own", got=f"{value} again")
    return value


def _read_video(node: Node, annotations: dict[int, list[Node]]) -> Video:
    file_names = [item.text() for item in node.key("file_names").items()]
    if not file_names:
        node.key("file_names").refuse("at least one frame", got="empty")
    video_id = node.key("id").integer()
    own = annotations[video_id]
    frame = _frame(node, own)
    return Video(
        id=video_id,
        name=file_names[0].split("/")[0],
        length=len(file_names),
        height=frame.height,
        width=frame.width,
        file_names=file_names,
        truths=[_read_track(annotation, len(file_names), frame) for annotation in own],
    )


def _frame(video: Node, annotations: list[Node]) -> PictureSize:
    """The size of the video's masks, on which its annotations have to agree."""
    owners = [node for node in annotations if node.has("height") and node.has("width")] or [video]
    sizes = [_size(node) for node in owners]
    for node, size in zip(owners, sizes, strict=True):
        if size != sizes[0]:
            expected = f"{sizes[0][1]}x{sizes[0][0]} as {owners[0].name} of the same video"
            node.refuse(expected, got=f"{size[1]}x{size[0]} pixels")
    return PictureSize(*sizes[0], owner=owners[0].name)


def _size(node: Node) -> tuple[int, int]:
    height, width = node.key("height").integer(1, MAX_PIXELS), node.key("width").integer(1, MAX_PIXELS)
    if height * width > MAX_PIXELS:
        node.refuse(f"at most {MAX_PIXELS} pixels", got=f"{width}x{height}")
    return height, width


def _read_track(node: Node, length: int, frame: PictureSize) -> TruthTrack:
    segmentations = segmentations_of(node, length)
    masks = read_masks(segmentations, frame, place=f"{node.name}.segmentations", file=node.file)
    empty_lists = frozenset(index for index, value in enumerate(segmentations) if value == [])
    # parsed JSON is several times as large as the masks it becomes
    node.value["segmentations"] = None
    return TruthTrack(
        id=node.key("id").integer(),
        category_id=node.key("category_id").integer(),
        is_crowd=node.has("iscrowd") and _is_true(node.key("iscrowd")),
        areas=_read_areas(node, masks),
        masks=masks,
        empty_lists=empty_lists,
    )


def _is_true(node: Node) -> bool:
    return node.value if isinstance(node.value, bool) else bool(node.integer(0, 1))


def segmentations_of(node: Node, length: int) -> list[Any]:
    """The list of segmentations of an annotation or prediction: at least one per frame of the video."""
    field = node.key("segmentations")
    if not isinstance(field.value, list):
        field.refuse("a list with one segmentation or null per frame")
    if len(field.value) < length:
        field.refuse(f"{length}, one per frame of the video", got=f"a list of {len(field.value)} elements")
    return field.value


def _read_areas(node: Node, masks: list[Mask | None]) -> list[float | None]:
    """The file's own areas, whatever the masks say, or those of the masks if the file has none."""
    if not node.has("areas"):
        return [None if mask is None else float(coco.area(mask)) for mask in masks]
    numbers = [None if item.is_null else item for item in node.key("areas").items(len(masks))]
    return [None if item is None else item.number() for item in numbers]
