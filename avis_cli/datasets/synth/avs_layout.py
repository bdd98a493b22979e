"""The world in the layouts of AVSBench: S4, MS3 and AVSS. What sounds in the second of a frame is labelled.

S4 has the clips in which one object sounds, from the first frame on, and nothing else does; it may fall silent, and the
mask is then empty.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.datasets import avsbench
from avis_cli.datasets.avsbench import FRAMES, NUMBERS, Layout
from avis_cli.datasets.synth import NAMES
from avis_cli.datasets.synth.chosen_clips import TRIED, first_made
from avis_cli.datasets.synth.clips import SynthClip, check_request, clip_seed, make_clip
from avis_cli.datasets.synth.layout import SplitRequest, video_name
from avis_cli.datasets.vpo import is_safe_name
from avis_cli.datasets.wave_file import write_wave
from avis_cli.errors import OutputError, UsageError
from avis_cli.files.atomic import cannot_write, output_file
from avis_cli.files.partial import Partial, discard
from avis_cli.progress import Progress, silent
from avis_cli.results.palette import voc_palette

_CLASSES = 71  # of AVSBench-semantic, with the background
_JPEG_QUALITY = 93
_REMEDY = "choose another folder"


@dataclass(frozen=True)
class _Job:
    """``out``: the folder that the clip is written to."""

    out: Path
    layout: Layout
    request: SplitRequest
    index: int


def frames_of(layout: Layout, given: int | None) -> int:
    """Frames of a clip, one a second. Raises UsageError for a number that the layout does not have."""
    allowed = (FRAMES, 10) if layout == "avss" else (FRAMES,)
    frames = allowed[-1] if given is None else given
    if frames not in allowed:
        raise UsageError(f"--frames {frames} with --layout {layout}", hint=f"it has {' or '.join(map(str, allowed))}")
    return frames


def write_avs_split(
    out: Path, layout: Layout, request: SplitRequest, *, jobs: int = 1, overwrite: bool = False,
    progress: Progress = silent,
) -> Path:  # fmt: skip
    """Add a split to the layout under ``out``; returns its list. The same request gives the same files.

    The list is written last, so that what it speaks of is there; where the split cannot be made nothing of it stays.
    Raises UsageError for impossible requests, and OutputError where nothing can be written or the split is there
    already.
    """
    check_request(request.frames, request.size, 1)
    listed = avsbench.list_of(out, layout)
    before = _rows_before(listed, layout, request.split, overwrite)
    others = [row for row in before if row[-1] != request.split]
    try:
        with Partial(listed) as part:
            made = _make_clips(part.path, layout, request, jobs, progress)
            _put_in_place(part.path, out, [row for row in before if row not in others], made, layout)
    except OSError as error:
        raise cannot_write(error, out, _REMEDY) from error
    if layout == "avss":
        _write_numbers(out / NUMBERS)
    with output_file(listed, overwrite=True, remedy=_REMEDY) as written:
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([_HEADERS[layout], *others, *made])
        written.write_text(lines.getvalue(), encoding="utf-8", newline="\n")
    return listed


_HEADERS: dict[Layout, list[str]] = {
    "s4": ["name", "start", "category", "split"],
    "ms3": ["video_id", "split"],
    "avss": ["uid", "label", "split"],
}


def _rows_before(listed: Path, layout: Layout, split: str, overwrite: bool) -> list[list[str]]:
    if not listed.exists():
        return []
    rows = list(csv.reader(io.StringIO(listed.read_text(encoding="utf-8"))))
    header = _HEADERS[layout]
    # rows are taken for names of files to remove
    if rows[:1] != [header] or not all(len(row) == len(header) and all(map(is_safe_name, row)) for row in rows):
        raise OutputError("is not a list that this command wrote", hint=_REMEDY, file=listed)
    if any(row[-1] == split for row in rows[1:]) and not overwrite:
        raise OutputError("holds this split already", hint="give --overwrite or another folder", file=listed)
    return rows[1:]


def _make_clips(folder: Path, layout: Layout, request: SplitRequest, jobs: int, progress: Progress) -> list[list[str]]:
    """Clips in the new ``folder``; a row of the list for each. Those that the layout has no place for are passed
    over."""
    folder.mkdir()
    work = (_Job(folder, layout, request, index) for index in range(TRIED * request.videos))
    made = []
    for row in first_made(_make, work, request.videos, jobs=jobs):
        made.append(row)
        progress("clips", len(made), request.videos)
    if len(made) < request.videos:
        raise UsageError(
            f"{len(made)} clips of {request.videos} could be made", hint="ask for fewer, or for another --size"
        )
    return made


def _put_in_place(source: Path, out: Path, old: Sequence[list[str]], made: Sequence[list[str]], layout: Layout) -> None:
    """Clips from ``source`` to ``out``, after what is there of the ``old`` ones has been removed."""
    for row in (*old, *made):
        for place in _places(layout, row):
            discard(out / place)
    for row in made:
        for place in _places(layout, row):
            (out / place).parent.mkdir(parents=True, exist_ok=True)
            os.replace(source / place, out / place)


def _places(layout: Layout, row: list[str]) -> tuple[Path, ...]:
    """The folders and files of a clip."""
    name, split = row[0], row[-1]
    if layout == "avss":
        return (Path(row[1]) / name,)
    if layout == "ms3":
        part, inner = Path("ms3_data"), Path(split)
        pictures = part / "visual_frames" / name
    else:
        part, inner = Path("s4_data"), Path(split) / row[2]
        pictures = part / "visual_frames" / inner / name
    return pictures, part / "gt_masks" / inner / name, part / "audio_wav" / inner / f"{name}.wav"


def _make(job: _Job) -> list[str] | None:
    """Writes a clip; its row of the list, None for one that the layout has no place for."""
    request, name = job.request, video_name(job.request.split, job.index)
    seed = clip_seed(request.split, request.seed, job.index)
    clip = make_clip(seed, frames=request.frames, size=request.size, aligned=request.aligned)
    if job.layout == "s4":
        category = _only_source(clip)
        if category is None:
            return None
        _write_s4(job.out / "s4_data", clip, name, request.split, category)
        return [name, "0", category, request.split]
    if job.layout == "ms3":
        _write_ms3(job.out / "ms3_data", clip, name, request.split)
        return [name, request.split]
    subset = "v2" if request.frames == 10 else "v1m"
    _write_avss(job.out / subset / name, clip)
    return [name, subset, request.split]


def _only_source(clip: SynthClip) -> str | None:
    """The category of the one object that sounds, in the first frame too, None where there is no such."""
    heard = clip.truth.any(1)
    hidden = any(source.sounding.any() for source in clip.off_screen)
    if heard.sum() != 1 or hidden or not clip.truth[heard][0, 0]:
        return None
    return NAMES[int(clip.category_ids[heard][0]) - 1]


def class_maps(clip: SynthClip) -> NDArray[np.uint8]:
    """What sounds at each pixel, (T, H, W): the category's number, 0 for nothing."""
    maps = np.zeros(clip.masks.shape[1:], np.uint8)
    for category, masks, heard in zip(clip.category_ids, clip.masks, clip.truth, strict=True):
        maps[masks & heard[:, None, None]] = category
    return maps


def _save(path: Path, image: NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, quality=_JPEG_QUALITY)


def _light(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.where(maps > 0, 255, 0).astype(np.uint8)


def _write_s4(part: Path, clip: SynthClip, name: str, split: str, category: str) -> None:
    inner = Path(split) / category
    for number, (image, maps) in enumerate(zip(clip.images, class_maps(clip), strict=True), start=1):
        _save(part / "visual_frames" / inner / name / f"{name}_{number}.png", image)
        if number == 1 or split != "train":
            _save(part / "gt_masks" / inner / name / f"{name}_{number}.png", _light(maps))
    _write_sound(part / "audio_wav" / inner / f"{name}.wav", clip)


def _write_ms3(part: Path, clip: SynthClip, name: str, split: str) -> None:
    for number, (image, maps) in enumerate(zip(clip.images, class_maps(clip), strict=True), start=1):
        _save(part / "visual_frames" / name / f"{name}.mp4_{number}.png", image)
        _save(part / "gt_masks" / split / name / f"{name}_{number}.png", _light(maps))
    _write_sound(part / "audio_wav" / split / f"{name}.wav", clip)


def _write_avss(folder: Path, clip: SynthClip) -> None:
    for number, (image, maps) in enumerate(zip(clip.images, class_maps(clip), strict=True)):
        _save(folder / "frames" / f"{number}.jpg", image)
        _save(folder / "labels_rgb" / f"{number}.png", voc_palette()[maps])
    _write_sound(folder / "audio.wav", clip)


def _write_sound(path: Path, clip: SynthClip) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_wave(path, clip.waveform)


def _write_numbers(path: Path) -> None:
    names = ["background", *NAMES]
    names += [f"unused_{number:02}" for number in range(len(names), _CLASSES)]
    text = json.dumps({name: number for number, name in enumerate(names)}, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with output_file(path, overwrite=True) as part:
        part.write_text(text, encoding="utf-8")
