"""``voc``: class images in the folders of PASCAL VOC; index = class, 0 = background, in VOC's own colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from avis_cli.errors import OutputError
from avis_cli.export.export_request import Request, category_name, clip_name
from avis_cli.export.images import flat_frames, write_pictures
from avis_cli.results.clip import ClipResult
from avis_cli.results.palette import voc_palette

MAX_CLASSES = 254  # readers take index 255 for void
_DIGITS = 6


def write(target: Path, result: ClipResult, request: Request) -> None:
    """``SegmentationClass/000000.png`` ..., ``SegmentationObject`` where objects are told apart, the names of the
    classes by index, the list of images, and pictures if the clip is given.

    Classes are numbered as the result's categories. Raises OutputError for a number beyond ``MAX_CLASSES``.
    """
    highest = max((track.category_id for track in result.tracks), default=0)
    if highest > MAX_CLASSES or len(result.tracks) > MAX_CLASSES:
        raise OutputError(
            f"category {highest} and {len(result.tracks)} tracks do not fit into VOC images: at most {MAX_CLASSES}",
            hint="keep fewer tracks (avis segment --max-tracks or --threshold), or export as coco",
        )
    classes = {track.id: track.category_id for track in result.tracks}
    _write_images(target / "SegmentationClass", result, classes, request)
    if any(not track.is_class for track in result.tracks):
        objects = {track.id: number for number, track in enumerate(result.tracks, start=1)}
        _write_images(target / "SegmentationObject", result, objects, request)
    names = [f"{id} {category_name(id, name)}" for id, name in ((0, "background"), *result.categories)]
    (target / "labels.txt").write_text("\n".join(names) + "\n", encoding="utf-8", newline="\n")
    sets = target / "ImageSets" / "Segmentation"
    sets.mkdir(parents=True)
    listed = "".join(f"{index:0{_DIGITS}d}\n" for index in range(len(result.times)))
    (sets / f"{clip_name(result)}.txt").write_text(listed, encoding="ascii", newline="\n")
    if request.video is not None:
        write_pictures(target / "JPEGImages", _DIGITS, result, request)


def _write_images(folder: Path, result: ClipResult, numbers: dict[int, int], request: Request) -> None:
    folder.mkdir(parents=True)
    palette = voc_palette().tobytes()
    for index, labels in flat_frames(result, numbers, request):
        image = Image.fromarray(labels.astype(np.uint8))
        image.putpalette(palette)
        image.save(folder / f"{index:0{_DIGITS}d}.png")
