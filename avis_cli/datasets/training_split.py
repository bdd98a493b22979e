"""An AVISeg-layout split as what training needs to know of each clip: its files, its objects, and when they sound.

Layout: ``DATA/SPLIT.json`` (AVISeg / YouTube-VIS annotations), ``DATA/SPLIT/JPEGImages/VIDEO/*.jpg``,
``DATA/SPLIT/WAVAudios/VIDEO.wav``; optionally ``DATA/SPLIT_objects.json`` with all visible objects, as `avis synth`
writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avis_cli.datasets.segmentation import Frame, read_masks
from avis_cli.datasets.tracks import Mask
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError
from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node

OBJECTS_FORMAT = "avis-synth-objects"


@dataclass(frozen=True)
class ObjectEntry:
    """An object of a clip: ``category`` 0..K-1; per frame its visible mask (None where it is not seen) and whether it
    is both heard and seen."""

    category: int
    masks: Sequence[Mask | None]
    sounding: Sequence[bool]


@dataclass(frozen=True)
class ClipEntry:
    """A clip: where its frames and its sound lie, pixels, and its objects. ``heard``: per category the frames in which
    it is heard; ``complete``: whether silent objects are among ``objects``."""

    name: str
    frames: Sequence[Path]
    sound: Path
    height: int
    width: int
    objects: Sequence[ObjectEntry]
    heard: Mapping[int, Sequence[bool]]
    complete: bool


@dataclass(frozen=True)
class SplitEntries:
    """A split: the names of its categories, in the order of their ids, and its clips."""

    categories: tuple[str, ...]
    clips: tuple[ClipEntry, ...]


def read_split(data: Path, split: str) -> SplitEntries:
    """What ``DATA/SPLIT.json`` and, where it is there, ``DATA/SPLIT_objects.json`` say. Raises AnnotationError."""
    path = data / f"{split}.json"
    dataset = read_truth(path, allow_empty=True)
    ordered = sorted(dataset.categories, key=lambda category: category.id)
    if [category.id for category in ordered] != list(range(1, len(ordered) + 1)):
        raise AnnotationError(
            f"categories with the ids {', '.join(str(category.id) for category in ordered[:8])}, expected 1, 2, 3, ...",
            hint="number the categories from 1 without gaps",
            file=path,
        )
    known = _read_objects(data / f"{split}_objects.json", len(ordered))
    folder = data / split
    clips = []
    for video in dataset.videos:
        if video.id in known:
            objects, heard, complete = *known[video.id], True
        else:
            objects = [_from_truth(track.category_id, track.masks[: video.length]) for track in video.truths]
            heard, complete = _heard(objects, video.length), False
        frames = [folder / "JPEGImages" / name for name in video.file_names]
        sound = folder / "WAVAudios" / f"{video.name}.wav"
        clips.append(ClipEntry(video.name, frames, sound, video.height, video.width, objects, heard, complete))
    return SplitEntries(tuple(category.name for category in ordered), tuple(clips))


def _from_truth(category_id: int, masks: Sequence[Mask | None]) -> ObjectEntry:
    return ObjectEntry(category_id - 1, masks, [mask is not None for mask in masks])


def _heard(objects: Sequence[ObjectEntry], length: int) -> dict[int, list[bool]]:
    heard: dict[int, list[bool]] = {}
    for item in objects:
        so_far = heard.setdefault(item.category, [False] * length)
        heard[item.category] = [a or b for a, b in zip(so_far, item.sounding, strict=True)]
    return heard


_Known = tuple[list[ObjectEntry], dict[int, list[bool]]]


def _read_objects(path: Path, categories: int) -> dict[int, _Known]:
    """Objects and heard categories by video id, nothing if there is no such file."""
    if not path.exists():
        return {}
    top = read_json(path)
    if top.key("format").value != OBJECTS_FORMAT:
        top.key("format").refuse(f'"{OBJECTS_FORMAT}"', hint="delete the file to go without silent objects")
    return {video.key("id").integer(): _read_video(video, categories) for video in top.key("videos").items()}


def _read_video(video: Node, categories: int) -> _Known:
    length = video.key("length").integer(1)
    frame = Frame(video.key("height").integer(1), video.key("width").integer(1), owner=video.name)
    objects: list[ObjectEntry] = []
    heard: dict[int, list[bool]] = {}
    for node in video.key("objects").items():
        category = node.key("category_id").integer(1, categories) - 1
        segmentations = node.key("segmentations")
        values = [item.value for item in segmentations.items(length)]
        masks = read_masks(values, frame, place=segmentations.name, file=node.file)
        sounding = _flags(node.key("sounding"), length)
        seen = [sounds and mask is not None for sounds, mask in zip(sounding, masks, strict=True)]
        objects.append(ObjectEntry(category, masks, seen))
        _also_heard(heard, category, sounding)
    for node in video.key("off_screen").items():
        category = node.key("category_id").integer(1, categories) - 1
        _also_heard(heard, category, _flags(node.key("sounding"), length))
    return objects, heard


def _flags(node: Node, length: int) -> list[bool]:
    values: list[Any] = [item.value for item in node.items(length)]
    for index, value in enumerate(values):
        if not isinstance(value, bool):
            node.refuse("true or false for each frame", got=f"{value!r} at {index}")
    return values


def _also_heard(heard: dict[int, list[bool]], category: int, sounding: Sequence[bool]) -> None:
    so_far = heard.get(category, [False] * len(sounding))
    heard[category] = [a or b for a, b in zip(so_far, sounding, strict=True)]
