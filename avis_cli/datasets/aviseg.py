"""AVISeg's layout on disk, which the synthetic world has too: where the parts of a split lie, and what they say.

``DATA/SPLIT.json`` (annotations as in YouTube-VIS); in ``DATA/SPLIT`` the pictures ``JPEGImages/VIDEO/*.jpg``, as the
annotations name them, the sound ``WAVAudios/VIDEO.wav`` and, made from it earlier, VGGish embeddings
``FEATAudios/VIDEO.npy``; optionally ``DATA/SPLIT_objects.json`` with all visible objects and what is heard, as
`avis synth` writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from avis_cli.datasets.segmentation import PictureSize, read_masks
from avis_cli.datasets.tracks import Mask, Video
from avis_cli.datasets.truth import read_truth
from avis_cli.errors import AnnotationError, MediaError, UsageError
from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node

OBJECTS_FORMAT, OBJECTS_VERSION = "avis-synth-objects", 1


@dataclass(frozen=True)
class SplitPaths:
    """Where the parts of a split lie: annotations, all objects (not in AVISeg itself), and the folder of its media."""

    truth: Path
    objects: Path
    media: Path

    @classmethod
    def of(cls, data: Path, split: str) -> SplitPaths:
        """Those of the split of that name in the folder ``data``."""
        return cls(data / f"{split}.json", data / f"{split}_objects.json", data / split)

    def picture(self, name: str) -> Path:
        """A picture by the name that the annotations have for it, ``VIDEO/00000.jpg``. Raises AnnotationError for one
        that leads out of the dataset."""
        if not _is_inside(name):
            raise AnnotationError(
                f"the frame {name!r} leads out of the dataset", hint="expected VIDEO/00000.jpg", file=self.truth
            )
        return self.media / "JPEGImages" / name

    def sound(self, video: str) -> Path:
        """The sound of a video."""
        return self.media / "WAVAudios" / f"{video}.wav"

    def embeddings(self, video: str) -> Path:
        """The VGGish embeddings of a video's sound."""
        return self.media / "FEATAudios" / f"{video}.npy"


def picture_name(video: str, index: int) -> str:
    """What the annotations call picture ``index`` of a video."""
    return f"{video}/{index:05d}.jpg"


def find_split(data: Path, split: str, option: str = "--split") -> SplitPaths:
    """A split that somebody asks for with ``option``. Raises UsageError for what cannot be one."""
    if not _is_inside(split) or "/" in split:
        raise UsageError(f"{option} {split!r}, expected a name such as test")
    if not data.is_dir():
        raise UsageError("no such folder, expected a dataset", hint=f"it holds {split}.json and {split}/", file=data)
    return SplitPaths.of(data, split)


def _is_inside(name: str) -> bool:
    """Whether a name from a file can only mean something below the folder it is looked up in, on any system."""
    windows = PureWindowsPath(name)
    if not name or "\0" in name or "\\" in name or windows.drive or PurePosixPath(name).is_absolute():
        return False
    return not {"", ".", ".."} & set(name.split("/"))


@dataclass(frozen=True)
class ClipFiles:
    """A video with its files, all of them there. ``sound``: a .wav or a .npy, None where nothing is to be heard."""

    video: Video
    frames: list[Path]
    sound: Path | None


def find_clip(paths: SplitPaths, video: Video, *, embedded: bool, mute: bool) -> ClipFiles:
    """The files of ``video``. ``embedded``: take embeddings where they are there.

    Raises MediaError for a file that is not there, AnnotationError for a name that leads out of the dataset.
    """
    frames = [paths.picture(name) for name in video.file_names]
    for path in frames:
        if not path.is_file():
            raise MediaError("no such picture", hint=f"{paths.truth.name} names it", file=path)
    return ClipFiles(video, frames, None if mute else _find_sound(paths, video.name, embedded))


def _find_sound(paths: SplitPaths, video: str, embedded: bool) -> Path:
    cached, wave = paths.embeddings(video), paths.sound(video)
    if embedded and cached.is_file():
        return cached
    if not wave.is_file():
        other = f", nor {os.path.join(cached.parent.name, cached.name)}" if embedded else ""
        raise MediaError(f"no such sound{other}", hint="--mute goes by the picture alone", file=wave)
    return wave


@dataclass(frozen=True)
class TrainingObject:
    """An object of a clip: ``category`` 0..K-1; per frame its visible mask (None where it is not seen) and whether it
    is both heard and seen."""

    category: int
    masks: Sequence[Mask | None]
    sounding: Sequence[bool]


@dataclass(frozen=True)
class TrainingClip:
    """A clip: where its frames and its sound lie, pixels, and its objects. ``heard``: per category the frames in which
    it is heard; ``complete``: whether silent objects are among ``objects``."""

    name: str
    frames: Sequence[Path]
    sound: Path
    height: int
    width: int
    objects: Sequence[TrainingObject]
    heard: Mapping[int, Sequence[bool]]
    complete: bool


@dataclass(frozen=True)
class TrainingSplit:
    """A split: the names of its categories, in the order of their ids, and its clips."""

    categories: tuple[str, ...]
    clips: tuple[TrainingClip, ...]


def read_training_split(data: Path, split: str) -> TrainingSplit:
    """What the annotations and, where it is there, the list of all objects say. Raises AnnotationError."""
    paths = SplitPaths.of(data, split)
    dataset = read_truth(paths.truth, allow_empty=True)
    ordered = sorted(dataset.categories, key=lambda category: category.id)
    if [category.id for category in ordered] != list(range(1, len(ordered) + 1)):
        raise AnnotationError(
            f"categories with the ids {', '.join(str(category.id) for category in ordered[:8])}, expected 1, 2, 3, ...",
            hint="number the categories from 1 without gaps",
            file=paths.truth,
        )
    known = _read_objects(paths.objects, len(ordered))
    clips = []
    for video in dataset.videos:
        if video.id in known:
            objects, heard, complete = *known[video.id], True
        else:
            objects = [_from_truth(track.category_id, track.masks[: video.length]) for track in video.truths]
            heard, complete = _heard(objects, video.length), False
        frames = [paths.picture(name) for name in video.file_names]
        sound = paths.sound(video.name)
        clips.append(TrainingClip(video.name, frames, sound, video.height, video.width, objects, heard, complete))
    return TrainingSplit(tuple(category.name for category in ordered), tuple(clips))


def _from_truth(category_id: int, masks: Sequence[Mask | None]) -> TrainingObject:
    return TrainingObject(category_id - 1, masks, [mask is not None for mask in masks])


def _heard(objects: Sequence[TrainingObject], length: int) -> dict[int, list[bool]]:
    heard: dict[int, list[bool]] = {}
    for item in objects:
        so_far = heard.setdefault(item.category, [False] * length)
        heard[item.category] = [a or b for a, b in zip(so_far, item.sounding, strict=True)]
    return heard


_Known = tuple[list[TrainingObject], dict[int, list[bool]]]


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
    frame = PictureSize(video.key("height").integer(1), video.key("width").integer(1), owner=video.name)
    objects: list[TrainingObject] = []
    heard: dict[int, list[bool]] = {}
    for node in video.key("objects").items():
        category = node.key("category_id").integer(1, categories) - 1
        segmentations = node.key("segmentations")
        values = [item.value for item in segmentations.items(length)]
        masks = read_masks(values, frame, place=segmentations.name, file=node.file)
        sounding = _flags(node.key("sounding"), length)
        seen = [sounds and mask is not None for sounds, mask in zip(sounding, masks, strict=True)]
        objects.append(TrainingObject(category, masks, seen))
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
