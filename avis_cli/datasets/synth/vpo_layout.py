"""The world in VPO's layout: still pictures of it, and voices of the categories that they show.

Which objects sound is drawn after the pictures are there, and nothing in a picture tells it: no object shakes or glows.
Of two of one category only the place between left and right tells which one is heard.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from avis_cli.datasets.synth import IDS, category_entries, name_of
from avis_cli.datasets.synth.chosen_clips import TRIED, first_made
from avis_cli.datasets.synth.clips import check_request, clip_seed
from avis_cli.datasets.synth.render_frames import SceneRenderer
from avis_cli.datasets.synth.scenes import plan_scene
from avis_cli.datasets.synth.voices import Samples, noise, voice
from avis_cli.datasets.vpo import Setting, csv_of
from avis_cli.datasets.vpo_build import build
from avis_cli.datasets.vpo_draw import VpoOptions
from avis_cli.datasets.wave_file import write_wave
from avis_cli.errors import UsageError
from avis_cli.files.atomic import output_tree
from avis_cli.media.clip_info import SAMPLE_RATE
from avis_cli.progress import Progress, silent
from avis_cli.results import run_length

SETTINGS: dict[str, Setting] = {"vpo-ss": "ss", "vpo-ms": "ms", "vpo-msmi": "msmi"}
"""By the name of the layout."""

_SECONDS = 4  # of the scene that a picture is taken of, in the middle
_HEARD = 3.0  # seconds of a voice
_SMALLEST = 0.005  # of the picture: an object that may sound
_VOICES = (20, 60)  # of a category, at least and at most
_PICTURES_TO_A_VOICE = 10
_LOUDNESS, _NOISE = (-7.0, 2.0), (-58.0, -38.0)  # decibels of a voice and of what is behind it
_JPEG_QUALITY = 93
_REMEDY = "choose another folder"


@dataclass(frozen=True)
class VpoRequest:
    """``samples``: pictures with their sounds, in all splits together; ``size``: (width, height)."""

    setting: Setting
    samples: int
    seed: int
    size: tuple[int, int] = (160, 96)


@dataclass(frozen=True)
class _Job:
    folder: Path
    request: VpoRequest
    index: int


def write_vpo(
    out: Path,
    request: VpoRequest,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    progress: Progress = silent,
    warn: Callable[[str], None] = lambda line: None,
) -> Path:
    """A set of all splits in the new folder ``out``; returns its list. The same request gives the same files.

    Raises UsageError for impossible requests, and OutputError where nothing can be written or something is there.
    """
    check_request(1, request.size, 1)
    with output_tree(out, overwrite=overwrite, remedy=_REMEDY) as part, TemporaryDirectory(prefix="avis-") as name:
        material = Path(name)
        annotations = _write_pictures(material, request, jobs, progress)
        _write_voices(material / "sounds", request, progress)
        options = VpoOptions(request.setting, request.seed, request.samples, smallest=_SMALLEST)
        build(annotations, material, material / "sounds", part, options, progress=progress, warn=warn)
    return csv_of(out, request.setting)


def _write_pictures(folder: Path, request: VpoRequest, jobs: int, progress: Progress) -> Path:
    """A picture for each sample that is asked for, and their annotations in COCO's format."""
    work = (_Job(folder, request, index) for index in range(TRIED * request.samples))
    made = []
    for entry in first_made(_draw_picture, work, request.samples, jobs=jobs):
        made.append(entry)
        progress("pictures", len(made), request.samples)
    if len(made) < request.samples:
        raise UsageError(f"{len(made)} pictures of {request.samples} could be made", hint="ask for another --size")
    ids = count(1)
    path = folder / "instances.json"
    document = {
        "images": [image for image, _ in made],
        "annotations": [{"id": next(ids), **entry} for _, entries in made for entry in entries],
        "categories": category_entries(),
    }
    path.write_text(json.dumps(document), encoding="ascii")
    return path


def still(seed: int, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[int]]:
    """A picture of the scene of a seed with nothing in it that shows a sound: uint8 (H, W, 3) RGB, the visible parts of
    its K objects (K, H, W), and their categories."""
    width, height = size
    scene = plan_scene(seed, _SECONDS, width / height)
    scene = replace(scene, objects=tuple(replace(item, shows=()) for item in scene.objects))
    drawn = SceneRenderer(scene, width, height).at(_SECONDS / 2)
    return drawn.image, drawn.masks, [item.category_id for item in scene.objects]


def _draw_picture(job: _Job) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
    """Writes a picture; its entry and those of its objects, None where it has no place in the setting."""
    # of a split that nothing else is trained on nor scored with
    seed = clip_seed("sample", job.request.seed, job.index)
    image, masks, categories = still(seed, job.request.size)
    shares = masks.mean(axis=(1, 2))
    if not _fits(job.request.setting, [n for n, share in zip(categories, shares, strict=True) if share], shares):
        return None
    name, id = f"{job.index:06d}.jpg", job.index + 1
    Image.fromarray(image).save(job.folder / name, quality=_JPEG_QUALITY, subsampling=0)
    height, width = image.shape[:2]
    objects = [
        {"image_id": id, "category_id": category, "iscrowd": 0, "segmentation": run_length.encode(mask)}
        for mask, category in zip(masks, categories, strict=True)
        if mask.any()
    ]
    source = f"avis synth, scene {seed}"
    return {"id": id, "file_name": name, "width": width, "height": height, "coco_url": source}, objects


def _fits(setting: Setting, categories: list[int], shares: NDArray[np.float64]) -> bool:
    """Whether a picture gives a sample at all: SS takes one object of a category of its own, MS two of such, MSMI any
    two objects."""
    if (shares[shares > 0] < _SMALLEST).any():
        return False
    single = sum(number == 1 for number in Counter(categories).values())
    return len(categories) > 1 if setting == "msmi" else single >= (2 if setting == "ms" else 1)


def _write_voices(folder: Path, request: VpoRequest, progress: Progress) -> None:
    """A folder of voices for each category, each of an instance of its own."""
    each = min(max(request.samples // _PICTURES_TO_A_VOICE, _VOICES[0]), _VOICES[1])
    for done, (category, number) in enumerate(((c, n) for c in IDS for n in range(each)), start=1):
        path = folder / name_of(category) / f"{number:03d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wave(path, _voice(category, number, request.seed))
        progress("voices", done, each * len(IDS))


def _voice(category: int, number: int, seed: int) -> Samples:
    rng = np.random.default_rng([seed, category, number])
    length = round(_HEARD * SAMPLE_RATE)
    loud, behind = (np.float32(10 ** (rng.uniform(*limits) / 20)) for limits in (_LOUDNESS, _NOISE))
    heard = loud * voice(category, int(rng.integers(1 << 62)), length)
    return np.asarray(np.tanh(heard + behind * noise(rng, length, 100, 7000)), np.float32)
