"""Folders of label images -> videos of maps, prediction beside truth.

A video is a folder with an image for each frame, in the order of their names (``1.png`` before ``10.png``), or a folder
that ``avis segment`` wrote: ``masks/``, ``maps.json``. Where pictures stand apart, as in VPO, each image is a video of
one frame. Videos are matched by their path below the two folders, whatever ending of a video file a folder's name has.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.label_images import BINARY, IGNORED, open_labels, read_label_image
from avis_cli.errors import AnnotationError
from avis_cli.evaluate.semantic.evaluation import MapVideo
from avis_cli.files.numbers import whole_number
from avis_cli.results.semantic import SemanticResult

Kind = Literal["binary", "classes"]
_TOP = "."  # the name of the folder itself
_IMAGES = (".png", ".bmp")
_VIDEO_ENDINGS = re.compile(r"\.(mp4|mov|mkv|avi|webm|m4v|mpg|mpeg)$", re.IGNORECASE)
_LIMIT = 20.0  # logits of what is drawn for sure, and of what is not


Source = list[Path] | Path
"""Images, or a maps.json."""


@dataclass(frozen=True)
class VideoFiles:
    """A video's ``truth`` and what was ``predicted``."""

    name: str
    truth: Source
    predicted: Source


@dataclass(frozen=True)
class MapLayout:
    """``kind``: what pixels are; ``classes``: how many there can be; ``apart``: each image is a video of its own."""

    kind: Kind
    classes: int = BINARY
    apart: bool = False


def find_videos(truth: Path, predicted: Path, layout: MapLayout, *, ignore_unknown: bool = False) -> list[VideoFiles]:
    """Every video of ``truth`` with its prediction. Raises AnnotationError for a folder without images, for a video
    without a prediction and, unless ``ignore_unknown``, for a prediction without a truth."""
    real, drawn = _found(truth, layout.apart), _found(predicted, layout.apart)
    for folder, found in ((truth, real), (predicted, drawn)):
        if not found:
            raise AnnotationError("no label images in it", hint="expected a folder of PNG for each video", file=folder)
    for name in real:
        if name not in drawn:
            raise AnnotationError(f"no prediction of {name}", hint="expected maps of that name", file=predicted)
    for name in drawn:
        if name not in real and not ignore_unknown:
            raise AnnotationError(
                f"maps of {name}, of which there is no truth",
                hint="check that --gt is the same split, or use --ignore-unknown",
                file=predicted,
            )
    return [VideoFiles(name, source, drawn[name]) for name, source in real.items()]


def _found(top: Path, apart: bool) -> dict[str, Source]:
    """What lies below ``top``, by its path without endings of video files."""
    if not top.is_dir():
        raise AnnotationError("not a folder", hint="give the folder that holds a folder for each video", file=top)
    found: dict[str, Source] = {}
    results: set[Path] = set()
    for folder in sorted(path for path in (top, *top.rglob("*")) if path.is_dir()):
        if not results.isdisjoint(folder.parents):
            continue
        name = "/".join(_VIDEO_ENDINGS.sub("", part) for part in folder.relative_to(top).parts)
        result, masks, images = folder / "maps.json", _images(folder / "masks"), _images(folder)
        if result.is_file() or (masks and not images):
            results.add(folder)
            _add(found, name or _TOP, result if result.is_file() else masks, folder)
        elif apart:
            for image in images:
                _add(found, f"{name}/{image.stem}".lstrip("/"), [image], image)
        elif images:
            _add(found, name or _TOP, images, folder)
    return found


def _add(found: dict[str, Source], name: str, source: Source, file: Path) -> None:
    if name in found:
        raise AnnotationError(f"a second one of the name {name}", hint="remove one of them", file=file)
    found[name] = source


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.suffix.lower() in _IMAGES), key=_by_number)


def _by_number(path: Path) -> list[tuple[int, str]]:
    """Names in the order of the numbers in them."""
    parts = [(whole_number(part), part) for part in re.split(r"(\d+)", path.stem)]
    return [(-1, part) if number is None else (number, "") for number, part in parts]


def read_videos(videos: list[VideoFiles], layout: MapLayout) -> Iterator[MapVideo]:
    """Each video as it is asked for. Raises AnnotationError naming the file that is not as expected."""
    for video in videos:
        truth, drawn = _truth(video.truth, layout), _prediction(video.predicted, layout)
        if drawn.shape != truth.shape:
            raise AnnotationError(
                f"{_described(drawn)}, the truth of {video.name} has {_described(truth)}",
                hint="give maps of the annotated frames at their size",
                file=_file_of(video.predicted),
            )
        yield MapVideo(video.name, drawn, truth)


def _file_of(source: Source) -> Path:
    if isinstance(source, Path):
        return source
    return source[0] if len(source) == 1 else source[0].parent


def _described(maps: NDArray[Any]) -> str:
    frames = "1 frame" if len(maps) == 1 else f"{len(maps)} frames"
    return f"{frames} of {maps.shape[2]}x{maps.shape[1]} pixels"


def _truth(source: Source, layout: MapLayout) -> NDArray[np.int64]:
    if isinstance(source, Path):
        maps = _from_result(source, layout)
        return (maps > 0).astype(np.int64) if layout.kind == "binary" else maps
    return np.stack([read_label_image(path, layout.classes) for path in _one_size(source)])


def _prediction(source: Source, layout: MapLayout) -> NDArray[Any]:
    if isinstance(source, Path):
        maps = _from_result(source, layout)
        return np.where(maps > 0, _LIMIT, -_LIMIT) if layout.kind == "binary" else maps
    read = _logits if layout.kind == "binary" else _classes
    return np.stack([read(path, layout.classes) for path in _one_size(source)])


def _one_size(paths: list[Path]) -> list[Path]:
    first: tuple[int, int] | None = None
    for path in paths:
        with open_labels(path) as image:
            first = first or image.size
            if image.size != first:
                raise AnnotationError(
                    f"{image.width}x{image.height} pixels, {paths[0].name} has {first[0]}x{first[1]}",
                    hint="the frames of a video have one size",
                    file=path,
                )
    return paths


def _logits(path: Path, classes: int) -> NDArray[np.float64]:
    """A map of probabilities in 256 steps, or of indices, as logits."""
    drawn = read_label_image(path, classes)
    with open_labels(path) as image:
        if image.mode != "L":
            return np.where(drawn > 0, _LIMIT, -_LIMIT)
        probability = np.array(image).astype(np.float64) / 255
    with np.errstate(divide="ignore"):
        return np.clip(np.log(probability) - np.log1p(-probability), -_LIMIT, _LIMIT)


def _classes(path: Path, classes: int) -> NDArray[np.int64]:
    maps = read_label_image(path, classes)
    if (maps == IGNORED).any():
        raise AnnotationError(f"class {IGNORED}, which stands for what is not known", hint="only a truth has it",
                              file=path)  # fmt: skip
    return maps


def _from_result(path: Path, layout: MapLayout) -> NDArray[np.int64]:
    result = SemanticResult.read(path)
    if not result.times:
        raise AnnotationError("no mask frame in it", hint="segment a clip that has pictures", file=path)
    for map in result.maps:
        if layout.kind == "classes" and map.category_id >= min(layout.classes, IGNORED):
            raise AnnotationError(
                f"category {map.category_id} ({map.label}), expected one of {layout.classes} classes", file=path
            )
    return np.stack([result.frame(index) for index in range(len(result.times))]).astype(np.int64)
