"""``masks/000000.png`` ...: one palette image per mask frame, index = track id, 0 = background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli import run_length
from avis_cli.errors import OutputError
from avis_cli.progress import Progress, silent
from avis_cli.results import ClipResult
from avis_cli.writers.colours import MAX_TRACKS, track_colours


def write_masks(folder: Path, result: ClipResult, *, progress: Progress = silent) -> None:
    """Write the images into ``folder``, which is made. The palette has the overlay's colours.

    Raises OutputError if a track's id does not fit into a byte.
    """
    highest = max((track.id for track in result.tracks), default=0)
    if highest > MAX_TRACKS:
        raise OutputError(
            f"track {highest} does not fit into mask images, which tell at most {MAX_TRACKS} tracks apart",
            hint="keep fewer tracks with --max-tracks or --threshold, or leave masks out with --only",
        )
    folder.mkdir(parents=True, exist_ok=True)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[1:] = track_colours()
    for index in range(len(result.times)):
        image = Image.fromarray(label_map(result, index))
        image.putpalette(palette.tobytes())  # which also makes it a palette image
        image.save(folder / f"{index:06d}.png")
        progress("masks", index + 1, len(result.times))


def label_map(result: ClipResult, index: int) -> NDArray[np.uint8]:
    """Track ids of one mask frame, uint8 (H, W), 0 where there is none. Overlaps go to the higher score."""
    labels = np.zeros((result.source.height, result.source.width), dtype=np.uint8)
    for track in sorted(result.tracks, key=lambda track: (track.score, -track.id)):
        mask = track.masks[index]
        if mask is not None:
            labels[run_length.decode(mask)] = track.id
    return labels
