"""A split on disk, in the layout of AVISeg: pictures, sound and annotations; nothing half-written stays behind."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from avis_cli.datasets.synth.annotations import ClipAnnotations, annotate, objects_file, truth_file
from avis_cli.datasets.synth.dataset import Split, SynthClip, check_request, clip_seed, make_clip
from avis_cli.datasets.synth.soundtrack import write_wave
from avis_cli.errors import OutputError, UsageError
from avis_cli.progress import Progress, silent

_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 93, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_MOST_VIDEOS = 1_000_000


@dataclass(frozen=True)
class SplitRequest:
    """``size``: (width, height); ``frames``: one per second; ``as_mp4``: movies in place of pictures and sound."""

    split: Split
    videos: int
    seed: int
    frames: int = 10
    size: tuple[int, int] = (160, 96)
    as_mp4: bool = False


@dataclass(frozen=True)
class SplitFiles:
    """Where a split's parts lie under ``out``."""

    truth: Path
    objects: Path
    media: Path


def split_files(out: Path, split: Split) -> SplitFiles:
    return SplitFiles(out / f"{split}.json", out / f"{split}_objects.json", out / split)


def video_name(split: Split, index: int) -> str:
    return f"{split}_{index:06d}"


def _write_pictures(media: Path, name: str, clip: SynthClip) -> None:
    folder, sounds = media / "JPEGImages" / name, media / "WAVAudios"
    folder.mkdir(parents=True)
    sounds.mkdir(exist_ok=True)
    for index, image in enumerate(clip.images):
        # encoded in memory: OpenCV's own file writing fails on some names
        _, packed = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), _JPEG)
        (folder / f"{index:05d}.jpg").write_bytes(packed.tobytes())
    write_wave(sounds / f"{name}.wav", clip.waveform)


def _make(media: Path, request: SplitRequest, index: int) -> ClipAnnotations:
    """Writes clip ``index`` and describes it."""
    name = video_name(request.split, index)
    seed = clip_seed(request.split, request.seed, index)
    clip = make_clip(seed, frames=request.frames, size=request.size)
    if request.as_mp4:
        from avis_cli.datasets.synth.movie import write_movie  # PyAV is loaded by those who write movies only

        write_movie(media / f"{name}.mp4", clip)
    else:
        _write_pictures(media, name, clip)
    return annotate(clip, index + 1, name)


def _make_in_worker(job: tuple[Path, SplitRequest, int]) -> ClipAnnotations:
    cv2.setNumThreads(1)  # one core per process
    return _make(*job)


def _entries(media: Path, request: SplitRequest, jobs: int) -> Iterator[ClipAnnotations]:
    work = [(media, request, index) for index in range(request.videos)]
    if jobs == 1:
        yield from (_make(*job) for job in work)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(_make_in_worker, work, chunksize=max(1, min(16, request.videos // (4 * jobs))))
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _partial(out: Path, split: Split) -> Iterator[Path]:
    """A folder beside the result, gone again unless it was moved away."""
    existed = out.is_dir()
    folder = out / f".{split}.partial-{os.getpid()}"
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as failure:
        cause = failure.strerror or str(failure)
        raise OutputError(
            f"cannot write the split: {cause}", hint="choose another folder", file=out,
            usage=isinstance(failure, NotADirectoryError),
        ) from failure  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not existed and out.is_dir() and not any(out.iterdir()):
            out.rmdir()


def _refuse_existing(files: SplitFiles, overwrite: bool) -> None:
    there = [path for path in (files.truth, files.objects, files.media) if path.exists()]
    if there and not overwrite:
        raise OutputError("exists already", hint="give --overwrite, another folder or another split", file=there[0])


def _replace(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(source, target)


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
) -> SplitFiles:
    """Makes a split under ``out``; the same request gives the same files, whatever the number of processes.

    Raises UsageError for impossible requests and OutputError where nothing can be written or something exists.
    """
    _check(request, jobs)
    files = split_files(out, request.split)
    _refuse_existing(files, overwrite)
    with _partial(out, request.split) as folder:
        media = folder / "media"
        media.mkdir()
        entries = list(_counted(_entries(media, request, jobs), request.videos, progress))
        _dump(folder / "truth.json", truth_file(request.split, request.seed, entries))
        _dump(folder / "objects.json", objects_file(request.split, request.seed, entries))
        _replace(media, files.media)
        _replace(folder / "objects.json", files.objects)
        _replace(folder / "truth.json", files.truth)
    return files


def _counted(entries: Iterable[ClipAnnotations], total: int, progress: Progress) -> Iterator[ClipAnnotations]:
    for done, entry in enumerate(entries, start=1):
        progress("clips", done, total)
        yield entry
