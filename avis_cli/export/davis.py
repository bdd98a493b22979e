"""``davis``: palette images in the folders of DAVIS 2017; index = object, 0 = background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from avis_cli.errors import OutputError
from avis_cli.export.export_request import Request, clip_name
from avis_cli.export.images import flat_frames, write_pictures
from avis_cli.results.clip import ClipResult
from avis_cli.writers.colours import track_colours

MAX_OBJECTS = 254  # readers take index 255 for void

_RESOLUTION = "Full-Resolution"
_DIGITS = 5


def write(target: Path, result: ClipResult, request: Request) -> None:
    """``Annotations/Full-Resolution/NAME/00000.png`` ..., the list of sequences, and pictures if the clip is given.

    Objects are numbered from 1 in the order of the tracks. Raises OutputError for more than ``MAX_OBJECTS``.
    """
    if len(result.tracks) > MAX_OBJECTS:
        raise OutputError(
            f"{len(result.tracks)} tracks do not fit into DAVIS images: at most {MAX_OBJECTS}, as 255 means void",
            hint="keep fewer tracks (avis segment --max-tracks or --threshold), or export as ytvis",
        )
    name = clip_name(result)
    folder = target / "Annotations" / _RESOLUTION / name
    folder.mkdir(parents=True)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[1:] = track_colours()
    numbers = {track.id: number for number, track in enumerate(result.tracks, start=1)}
    for index, labels in flat_frames(result, numbers, request):
        image = Image.fromarray(labels.astype(np.uint8))
        image.putpalette(palette.tobytes())  # which also makes it a palette image
        image.save(folder / f"{index:0{_DIGITS}d}.png")
    sets = target / "ImageSets" / "2017"
    sets.mkdir(parents=True)
    (sets / "val.txt").write_text(f"{name}\n", encoding="utf-8", newline="\n")
    if request.video is not None:
        write_pictures(target / "JPEGImages" / _RESOLUTION / name, _DIGITS, result, request)
