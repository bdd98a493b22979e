"""Mask frames as images: the clip's picture at each of them, and masks that may overlap as one number per pixel."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.errors import AnnotationError, MediaError, UsageError
from avis_cli.export.export_request import Request
from avis_cli.files.picture_names import is_picture_folder
from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.decode import FrameReader, probe
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult


def flat_frames(
    result: ClipResult, numbers: Mapping[int, int], request: Request
) -> Iterator[tuple[int, NDArray[np.uint16]]]:
    """(index, labels) of every mask frame; labels uint16 (H, W), ``numbers[track id]`` or 0 where there is none.

    Where masks overlap the higher score counts (of equal ones the lower id). At the end ``request.warn`` is called with
    the number of pixels that the other masks lost by this, if there are any.
    """
    # the higher score is laid last: on top
    rising = sorted(result.tracks, key=lambda track: (track.score, -track.id))
    lost = frames = 0
    for index in range(len(result.times)):
        labels = np.zeros((result.source.height, result.source.width), dtype=np.uint16)
        covered = 0
        for track in rising:
            mask = track.masks[index]
            if mask is not None:
                pixels = run_length.decode(mask)
                covered += int(np.count_nonzero(pixels))
                labels[pixels] = numbers[track.id]
        lost_here = covered - int(np.count_nonzero(labels))
        lost, frames = lost + lost_here, frames + (lost_here > 0)
        yield index, labels
        request.progress("masks", index + 1, len(result.times))
    if lost:
        request.warn(
            f"masks overlap, which the format cannot hold: {lost} pixels in {frames} frames went to the track with "
            "the higher score and are lost to the other"
        )


_ROUNDING = Fraction(1, 10**6)  # seconds; JSON times are floats, those of frames are exact
_JPEG_QUALITY = 95


def open_source(result: ClipResult, request: Request) -> tuple[Path, ClipInfo]:
    """The clip's path and description. A folder given as the video is searched for the name that the result has.

    Raises UsageError without a video, MediaError where it cannot be read, AnnotationError where its pictures have
    another size than the masks.
    """
    if request.video is None:
        raise UsageError("the clip itself is needed", hint="name it with --video PATH")
    path, name = request.video, os.path.basename(result.source.file.replace("\\", "/"))
    if path.is_dir() and not (path.resolve().name == name and is_picture_folder(path)):
        path = path / name
    rate = (result.source.exact_rate or Fraction(1)) if is_picture_folder(path) else None
    clip = probe(path, frame_rate=rate)
    for warning in clip.warnings:
        request.warn(warning)
    source = result.source
    if (source.width, source.height) != (clip.width, clip.height):
        raise AnnotationError(
            f"the masks are {source.width}x{source.height} pixels, the pictures of {path} {clip.width}x{clip.height}",
            hint=f"give the clip it was made from ({source.file})",
        )
    return path, clip


def write_pictures(folder: Path, digits: int, result: ClipResult, request: Request) -> None:
    """``000000.jpg`` ... in ``folder``, which is made: the picture on screen at the time of each mask frame."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, image in mask_pictures(result, request):
        Image.fromarray(image).save(folder / f"{index:0{digits}d}.jpg", quality=_JPEG_QUALITY)
        request.progress("pictures", index + 1, len(result.times))


def mask_pictures(result: ClipResult, request: Request) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(index, uint8 RGB (H, W, 3)) for every mask frame: the latest picture that began at or before its time.

    Raises MediaError where the video ends before the result does.
    """
    path, clip = open_source(result, request)
    if not result.times:
        return
    # masks of every frame have the frames' own times; those at a rate may stand in the middle of a picture
    start = max(Fraction(result.times[0]) - _ROUNDING, Fraction(0)) if result.model.mask_fps == "video" else Fraction(0)
    index = 0
    with FrameReader(path, clip, start=start) as reader:
        for frame, until in _shown(reader):
            while index < len(result.times) and result.times[index] < until:
                yield index, frame.image
                index += 1
            if index == len(result.times):
                break
        for warning in reader.warnings:
            request.warn(warning)
    if index < len(result.times):
        raise MediaError(
            f"has no picture at {result.times[index]:.3f} s, where the result has masks",
            hint=f"give the clip it was made from ({result.source.file})",
            file=path,
        )


def _shown(reader: FrameReader) -> Iterator[tuple[Frame, Fraction]]:
    """Each picture with the time at which the next one takes its place, a little early: times are rounded."""
    for frame in reader:
        # the reader knows every picture's duration: it looks one ahead
        assert frame.duration is not None
        yield frame, frame.time + frame.duration - _ROUNDING
