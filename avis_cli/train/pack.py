"""A split packed into a few memory-mapped files, so that reading clips costs training next to nothing.

``frames.u8`` (pixels of all frames), ``masks.u8`` (one bit a pixel), ``patches.f16`` (log-mel), ``samples.f16`` where
the clips have any, ``tags.u8`` and ``index.json``, which says where each clip lies. A pack belongs to the annotation
files it was made from.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import OutputError
from avis_cli.files.atomic import output_tree
from avis_cli.progress import Progress, silent
from avis_cli.train.clips import ClipSource, RawClip

VERSION = 2
PATCH = (96, 64)
FRAMES, MASKS, PATCHES, TAGS, INDEX = "frames.u8", "masks.u8", "patches.f16", "tags.u8", "index.json"
SAMPLES = "samples.f16"  # sums of sounds are louder than full scale


@dataclass(frozen=True)
class _Place:
    """Where a clip lies. ``frame``: number of its first frame; ``pixel``: offset of its first byte in ``frames.u8``;
    ``rows``: per object and frame the offset of its mask in ``masks.u8``, -1 where it is not seen; ``ignored``: of each
    frame that of the pixels whose truth is not known, None if there are none; ``labelled``: which frames have a truth,
    None for all."""

    frame: int
    pixel: int
    length: int
    height: int
    width: int
    categories: list[int]
    sounding: list[list[bool]]
    rows: list[list[int]]
    complete: bool
    ignored: list[int] | None
    labelled: list[bool] | None


class PackedSource:
    """A pack, read by memory mapping, or held ``in_memory``: pages the system drops make training wait for the disk."""

    def __init__(self, folder: Path, *, in_memory: bool = False) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self.categories: tuple[str, ...] = tuple(index["categories"])
        self._places = [_Place(**place) for place in index["clips"]]
        self._frames = _opened(folder / FRAMES, np.uint8, in_memory)
        self._masks = _opened(folder / MASKS, np.uint8, in_memory)
        self._patches = _opened(folder / PATCHES, np.float16, in_memory).reshape(-1, *PATCH)
        self._tags = _opened(folder / TAGS, np.uint8, in_memory).reshape(-1, len(self.categories))
        form = index.get("samples")  # channels, and samples of a frame
        self._samples = None if form is None else _opened(folder / SAMPLES, np.float16, in_memory).reshape(-1, *form)

    def __len__(self) -> int:
        return len(self._places)

    def length(self, clip: int) -> int:
        """Token frames of a clip."""
        return self._places[clip].length

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The given frames of a clip."""
        place = self._places[clip]
        size = (place.height, place.width)
        pixels = place.length * place.height * place.width * 3
        pictures = self._frames[place.pixel : place.pixel + pixels].reshape(place.length, *size, 3)
        wanted = np.asarray(frames)
        shown = [o for o, rows in enumerate(place.rows) if any(rows[frame] >= 0 for frame in frames)]
        masks = np.zeros((len(shown), len(frames), *size), dtype=bool)
        for o, item in enumerate(shown):
            for t, frame in enumerate(frames):
                masks[o, t] = self._mask(place, place.rows[item][frame])
        sounding = np.array([[place.sounding[item][frame] for frame in frames] for item in shown], dtype=bool)
        return RawClip(
            frames=pictures[wanted],
            patches=self._patches[place.frame + wanted].astype(np.float32),
            categories=np.array([place.categories[item] for item in shown], dtype=np.int64),
            masks=masks,
            sounding=sounding.reshape(len(shown), len(frames)),
            tags=self._tags[place.frame + wanted].astype(bool),
            complete=place.complete,
            samples=None if self._samples is None else self._samples[place.frame + wanted].astype(np.float32),
            ignored=None
            if place.ignored is None
            else np.stack([self._mask(place, place.ignored[frame]) for frame in frames]),
            labelled=None if place.labelled is None else np.array(place.labelled)[wanted],
        )

    def _mask(self, place: _Place, row: int) -> NDArray[np.bool_]:
        """Pixels (H, W) of a row, none for -1."""
        pixels = place.height * place.width
        if row < 0:
            return np.zeros((place.height, place.width), bool)
        bits = np.unpackbits(self._masks[row : row + -(-pixels // 8)], count=pixels)
        return bits.reshape(place.height, place.width).astype(bool)


def _opened(path: Path, kind: type[np.generic], in_memory: bool) -> NDArray[Any]:
    if in_memory or path.stat().st_size == 0:  # nothing cannot be mapped
        return np.fromfile(path, dtype=kind)
    return np.memmap(path, dtype=kind, mode="r")


def fits_in_memory(folder: Path, processes: int = 1) -> bool:
    """Whether a pack in each of ``processes`` takes less than a third of the machine's memory."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    return 3 * processes * size < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def packed(
    source: Callable[[], ClipSource], folder: Path, fingerprint: str, on_progress: Progress = silent
) -> PackedSource:
    """``source()`` as a pack in ``folder``: the one that is there if it carries ``fingerprint``, else made now."""
    try:
        if json.loads((folder / INDEX).read_text(encoding="utf-8"))["fingerprint"] == fingerprint:
            return PackedSource(folder)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none there, or half of one, or another's: made anew
    try:
        with output_tree(folder, overwrite=True) as part:
            _write(source(), part, fingerprint, on_progress)
    except OutputError as error:
        reason = error.cause.removeprefix("cannot be written: ")
        raise OutputError(
            f"the packed clips cannot be written: {reason}",
            hint="free space, use --no-pack, or choose another --out",
            file=folder,
        ) from None
    return PackedSource(folder)


def fingerprint(files: Sequence[Path], settings: str) -> str:
    """What a pack depends on: the annotation files as they are now, and how they were read."""
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.exists()]
    return json.dumps([VERSION, stats, settings])


def _write(source: ClipSource, folder: Path, fingerprint: str, on_progress: Progress) -> None:
    places: list[dict[str, Any]] = []
    form: tuple[int, ...] | None = None
    with (
        open(folder / FRAMES, "wb") as frames,
        open(folder / MASKS, "wb") as masks,
        open(folder / PATCHES, "wb") as patches,
        open(folder / TAGS, "wb") as tags,
        open(folder / SAMPLES, "wb") as samples,
    ):
        first = 0
        for clip in range(len(source)):
            raw = source.read(clip, range(source.length(clip)))
            place = _Place(
                frame=first,
                pixel=frames.tell(),
                length=len(raw.frames),
                height=raw.frames.shape[1],
                width=raw.frames.shape[2],
                categories=raw.categories.tolist(),
                sounding=raw.sounding.tolist(),
                rows=_write_masks(masks, raw.masks),
                complete=raw.complete,
                ignored=None if raw.ignored is None else _write_masks(masks, raw.ignored[None])[0],
                labelled=None if raw.labelled is None else raw.labelled.tolist(),
            )
            places.append(vars(place))
            frames.write(raw.frames.tobytes())
            patches.write(raw.patches.astype(np.float16).tobytes())
            tags.write(raw.tags.astype(np.uint8).tobytes())
            if raw.samples is not None:
                form = raw.samples.shape[1:]
                samples.write(raw.samples.astype(np.float16).tobytes())
            first += len(raw.frames)
            on_progress("packing clips", clip + 1, len(source))
    if form is None:
        (folder / SAMPLES).unlink()
    index: dict[str, Any] = {"fingerprint": fingerprint, "categories": list(source.categories), "clips": places}
    if form is not None:
        index["samples"] = list(form)
    (folder / INDEX).write_text(json.dumps(index), encoding="utf-8")


def _write_masks(file: BinaryIO, masks: NDArray[np.bool_]) -> list[list[int]]:
    rows = []
    for track in masks:
        row = []
        for mask in track:
            row.append(file.tell() if mask.any() else -1)
            if mask.any():
                file.write(np.packbits(mask).tobytes())
        rows.append(row)
    return rows
