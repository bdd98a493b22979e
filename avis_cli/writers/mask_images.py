"""``masks/000000.png`` ...: one palette image per mask frame, index = track id, 0 = background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.errors import OutputError
from avis_cli.progress import Progress, silent
from avis_cli.results.clip import ClipResult
from avis_cli.writers.colours import MAX_TRACKS
from avis_cli.writers.style import Palette, palette


def write_masks(
    folder: Path, result: ClipResult, *, colours: Palette | None = None, progress: Progress = silent
) -> None:
    """Write the images into ``folder``, which is made. ``colours``: the overlay's, the default palette if None.

    Raises OutputError if a track's id does not fit into a byte.
    """
    highest = max((track.id for track in result.tracks), default=0)
    if highest > MAX_TRACKS:
        raise OutputError(
            f"track {highest} does not fit into mask images, which tell at most {MAX_TRACKS} tracks apart",
            hint="keep fewer tracks with --max-tracks or --threshold, or leave masks out with --only",
        )
    folder.mkdir(parents=True, exist_ok=True)
    colours = palette() if colours is None else colours
    table = np.zeros((MAX_TRACKS + 1, 3), dtype=np.uint8)
    table[1:] = [colours.colour(id) for id in range(1, MAX_TRACKS + 1)]
    for index in range(len(result.times)):
        image = Image.fromarray(label_map(result, index))
        image.putpalette(table.tobytes())  # which also makes it a palette image
        image.save(folder / f"{index:06d}.png")
        progress("masks", index + 1, len(result.times))


def label_map(result: ClipResult, index: int) -> NDArray[np.uint8]:
    """``result.frame(index)`` in the bytes of an image, uint8 (H, W); track ids up to ``MAX_TRACKS`` fit."""
    return result.frame(index).astype(np.uint8)
