"""A split on disk, in the layout of AVISeg: pictures, sound and annotations; nothing half-written stays behind."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avis_cli.datasets.aviseg import SplitPaths, picture_name
from avis_cli.datasets.synth.annotations import ClipAnnotations, annotate, objects_file, truth_file
from avis_cli.datasets.synth.clips import Split, SynthClip, check_request, clip_seed, make_clip
from avis_cli.datasets.wave_file import write_wave
from avis_cli.errors import OutputError, UsageError
from avis_cli.files.atomic import output_file, output_tree
from avis_cli.progress import Progress, silent

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 93, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_REMEDY = "choose another folder"
_MOST_VIDEOS = 1_000_000


@dataclass(frozen=True)
class SplitRequest:
    """``size``: (width, height); ``frames``: one per second; ``as_mp4``: movies in place of pictures and sound;
    ``aligned``: whether sounds begin and end at about whole seconds, or anywhere."""

    split: Split
    videos: int
    seed: int
    frames: int = 10
    size: tuple[int, int] = (160, 96)
    as_mp4: bool = False
    aligned: bool = True


def video_name(split: Split, index: int) -> str:
    return f"{split}_{index:06d}"


def _write_pictures(paths: SplitPaths, name: str, clip: SynthClip) -> None:
    paths.picture(picture_name(name, 0)).parent.mkdir(parents=True)
    paths.sound(name).parent.mkdir(exist_ok=True)
    for index, image in enumerate(clip.images):
        # encoded in memory: OpenCV's own file writing fails on some names
        _, packed = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), _JPEG)
        paths.picture(picture_name(name, index)).write_bytes(packed.tobytes())
    write_wave(paths.sound(name), clip.waveform)


def _make(paths: SplitPaths, request: SplitRequest, index: int) -> ClipAnnotations:
    """Writes clip ``index`` and describes it."""
    name = video_name(request.split, index)
    seed = clip_seed(request.split, request.seed, index)
    clip = make_clip(seed, frames=request.frames, size=request.size, aligned=request.aligned)
    if request.as_mp4:
        from avis_cli.datasets.synth.movie import write_movie  # PyAV is loaded by those who write movies only

        write_movie(paths.media / f"{name}.mp4", clip)
    else:
        _write_pictures(paths, name, clip)
    return annotate(clip, index + 1, name)


def _make_in_worker(job: tuple[SplitPaths, SplitRequest, int]) -> ClipAnnotations:
    cv2.setNumThreads(1)  # one core per process
    return _make(*job)


def _entries(paths: SplitPaths, request: SplitRequest, jobs: int) -> Iterator[ClipAnnotations]:
    work = [(paths, request, index) for index in range(request.videos)]
    if jobs == 1:
        yield from (_make(*job) for job in work)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(_make_in_worker, work, chunksize=max(1, min(16, request.videos // (4 * jobs))))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _refuse_existing(files: SplitPaths, overwrite: bool) -> None:
    there = [path for path in (files.truth, files.objects, files.media) if path.exists()]
    if there and not overwrite:
        raise OutputError("exists already", hint="give --overwrite, another folder or another split", file=there[0])


def _check(request: SplitRequest, jobs: int) -> None:
    check_request(request.frames, request.size, 1)
    if not 1 <= request.videos <= _MOST_VIDEOS:
        raise UsageError(f"{request.videos} clips were asked for, expected 1 to {_MOST_VIDEOS}")
    if jobs < 1:
        raise UsageError(f"{jobs} processes were asked for, expected at least 1")


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def write_split(
    out: Path, request: SplitRequest, *, jobs: int = 1, overwrite: bool = False, progress: Progress = silent
) -> SplitPaths:
    """Makes a split under ``out``; the same request gives the same files, whatever the number of processes.

    Raises UsageError for impossible requests and OutputError where nothing can be written or something exists.
    """
    _check(request, jobs)
    files = SplitPaths.of(out, request.split)
    _refuse_existing(files, overwrite)
    with ExitStack() as stack:
        # complete in the opposite order: the annotations come last, when all they speak of is there
        truth, objects = (
            stack.enter_context(output_file(path, overwrite=overwrite, remedy=_REMEDY))
            for path in (files.truth, files.objects)
        )
        media = stack.enter_context(output_tree(files.media, overwrite=overwrite, remedy=_REMEDY))
        paths = replace(files, media=media)
        entries = list(_counted(_entries(paths, request, jobs), request.videos, progress))
        _dump(objects, objects_file(request.split, request.seed, entries))
        _dump(truth, truth_file(request.split, request.seed, entries, aligned=request.aligned))
    return files


def _counted(entries: Iterable[ClipAnnotations], total: int, progress: Progress) -> Iterator[ClipAnnotations]:
    for done, entry in enumerate(entries, start=1):
        progress("clips", done, total)
        yield entry
