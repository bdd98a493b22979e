"""A VPO set out of pictures with annotated objects and sounds with labels: its files, and ``vpo.json`` about them."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from avis_cli.datasets.vpo import (
    DESCRIPTION,
    LARGEST_ID,
    POSITION_DIGITS,
    SPLITS,
    Row,
    Setting,
    csv_of,
    files_of,
    write_csv,
    write_description,
)  # fmt: skip
from avis_cli.datasets.vpo_catalogue import ObjectMask, labels_of, read_pictures, read_sounds
from avis_cli.datasets.vpo_draw import Drawn, VpoOptions, deal, draw_samples
from avis_cli.datasets.vpo_pools import Pool, Sound, read_pools, samples_of
from avis_cli.datasets.vpo_sound import cut, render
from avis_cli.datasets.wave_file import write_float_wave, write_wave
from avis_cli.errors import AnnotationError, MediaError
from avis_cli.media.clip_info import SAMPLE_RATE
from avis_cli.media.waveform import read_sound
from avis_cli.progress import Progress, silent
from avis_cli.version import __version__

__all__ = ["VpoOptions", "build"]

RENDERED = "rendered"
"""The folder of sounds as they are heard, one for each sample, by split."""
_JPEG_QUALITY = 95
_ORIENTATION = 0x0112  # EXIF's tag


def build(
    annotations: Path,
    images: Path,
    sounds: Path,
    out: Path,
    options: VpoOptions,
    *,
    progress: Progress = silent,
    warn: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Fill the new folder ``out``; returns what ``vpo.json`` says. The same options give the same bytes.

    No picture and no sound is in two splits. Raises AnnotationError and MediaError naming file and entry, UsageError
    where fewer samples can be made than were asked for, with how many there are.
    """
    catalogue, files = read_pictures(annotations, images), read_sounds(sounds)
    labels = labels_of(catalogue.categories, files, options.labels, warn)
    if not labels:
        raise AnnotationError("no category has a sound", hint="--map FILE says which labels are which", file=sounds)
    ids = _numbered(catalogue.categories, labels, annotations)
    rng = np.random.default_rng([options.seed, zlib.crc32(options.setting.encode())])
    pools = read_pools(files, sounds, labels, options.shares, rng, progress, warn)
    heard = {split: pool.sounds for split, pool in pools.items()}
    drawn = draw_samples(deal(catalogue.pictures, options.shares, rng), heard, options, rng, progress, warn)
    samples = [(sample, _rows(sample, pools[split], ids, split)) for split in SPLITS for sample in drawn[split]]
    for number, (sample, rows) in enumerate(samples, start=1):
        _write_sample(out, options.setting, sample, rows)
        progress("writing pictures", number, len(samples))
    _write_sounds(out, _used(pools, [rows for _, rows in samples]))
    if options.render is not None:
        for _, rows in samples:
            _write_rendered(out, options, rows)
    write_csv(csv_of(out, options.setting), [row for _, rows in samples for row in rows])
    document = _description(catalogue.categories, ids, options, samples, pools, sounds)
    write_description(out / DESCRIPTION, document)
    return document


def _numbered(categories: Mapping[str, int], heard: Collection[str], file: Path) -> dict[str, int]:
    """The ids of categories as masks hold them: their own, or, where one is too large for that, 1, 2, 3 ... of those
    that are ``heard``."""
    if all(1 <= id <= LARGEST_ID for id in categories.values()):
        return dict(categories)
    named = [name for name in categories if name in heard]
    if len(named) > LARGEST_ID:
        raise AnnotationError(
            f"{len(named)} categories with sounds, expected up to {LARGEST_ID}, which masks can hold", file=file
        )
    return {name: number for number, name in enumerate(named, start=1)}


def _rows(sample: Drawn, pool: Pool, ids: Mapping[str, int], split: str) -> list[Row]:
    """Every object that keeps pixels with a sound of its own."""
    taken: list[Sound] = []
    rows = []
    for one in _with_pixels(sample.objects):
        sound = pool.take(one.category, taken)
        taken.append(sound)
        rows.append(
            Row(
                sample.picture.id, one.annotation, one.category, ids[one.category], sound.name,
                round(min(max(one.position, 0.0), 1.0), POSITION_DIGITS), sample.several, split,
            )
        )  # fmt: skip
    return rows


def _with_pixels(objects: Sequence[ObjectMask]) -> list[ObjectMask]:
    """Objects in the order in which they are drawn, the smaller ones later, without those that vanish."""
    order = sorted(objects, key=lambda one: (-one.share, one.annotation))
    kept = []
    for place, one in enumerate(order):
        left = one.pixels.copy()
        for later in order[place + 1 :]:
            left &= ~later.pixels
        if left.any():
            kept.append(one)
    return kept


def _write_sample(out: Path, setting: Setting, sample: Drawn, rows: list[Row]) -> None:
    picture_file, mask_file = files_of(out, setting, rows[0])
    for file in (picture_file, mask_file):
        file.parent.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((sample.picture.height, sample.picture.width), np.uint8)
    ids = {row.annotation: row.category_id for row in rows}
    for one in _with_pixels(sample.objects):
        labels[one.pixels] = ids[one.annotation]
    Image.fromarray(labels).save(mask_file)
    if not picture_file.exists():
        _copy_picture(sample.picture.path, picture_file)


def _copy_picture(source: Path, target: Path) -> None:
    """A JPEG as it is; anything else, and one that EXIF would turn, as a JPEG that nobody turns: the annotations do not
    know of it."""
    try:
        with Image.open(source) as image:
            image.load()
            as_it_is = image.format == "JPEG" and image.mode == "RGB" and image.getexif().get(_ORIENTATION, 1) in (0, 1)
            if image.mode[0] in "IF":
                raise ValueError("more than 8 bits a channel")
            converted = image.convert("RGB")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise MediaError(f"not a picture that can be read ({error})", hint="copy it again", file=source) from None
    if as_it_is:
        shutil.copyfile(source, target)
    else:
        converted.save(target, format="JPEG", quality=_JPEG_QUALITY)


def _used(pools: Mapping[str, Pool], rows: Sequence[Sequence[Row]]) -> list[Sound]:
    """The sounds of the rows, by name."""
    names = {row.sound for some in rows for row in some}
    every = {sound.name: sound for pool in pools.values() for some in pool.sounds.values() for sound in some}
    return [every[name] for name in sorted(names)]


def _sound_file(out: Path, name: str) -> Path:
    return out / "VGGSound" / "audios" / f"{name}.wav"


def _write_sounds(out: Path, sounds: Sequence[Sound]) -> None:
    for sound in sounds:
        path = _sound_file(out, sound.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wave(path, samples_of(sound.file))


def _write_rendered(out: Path, options: VpoOptions, rows: Sequence[Row]) -> None:
    """What a sample's picture sounds like, from the sounds as they are in the set."""
    _, mask_file = files_of(out, options.setting, rows[0])
    path = out / RENDERED / rows[0].split / f"{mask_file.stem}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    length = round(options.seconds * SAMPLE_RATE)
    sources = [cut(read_sound(_sound_file(out, row.sound)).samples, length) for row in rows]
    channels = 1 if options.render == "mono" else 2
    write_float_wave(path, render(sources, [row.position for row in rows], channels))


def _description(
    categories: Mapping[str, int],
    ids: Mapping[str, int],
    options: VpoOptions,
    samples: Sequence[tuple[Drawn, Sequence[Row]]],
    pools: Mapping[str, Pool],
    folder: Path,
) -> dict[str, Any]:
    """What ``vpo.json`` says: categories, options, and where each picture and sound comes from."""
    pictures = {sample.picture.id: sample.picture for sample, _ in samples}
    sounds = _used(pools, [rows for _, rows in samples])
    return {
        "format": "vpo", "tool": f"avis-cli {__version__}", "setting": options.setting,
        "categories": [
            {"index": index, "id": id, "name": name}
            | ({} if categories[name] == id else {"source_id": categories[name]})
            for index, (name, id) in enumerate(ids.items(), start=1)
        ],
        "options": {
            "seed": options.seed, "samples": options.samples, "shares": list(options.shares),
            "smallest": options.smallest, "overlap": options.overlap, "most": options.most, "once": options.once,
            "render": options.render, "seconds": options.seconds, "labels": dict(options.labels),
        },
        "counts": {split: sum(rows[0].split == split for _, rows in samples) for split in SPLITS},
        "pictures": [
            {"id": id, "source": picture.source, "licence": picture.licence} for id, picture in sorted(pictures.items())
        ],
        "sounds": [
            {"name": one.name, "source": one.file.path.relative_to(folder).as_posix(), "licence": one.file.licence}
            for one in sounds
        ],
        "rows": [vars(row) for _, rows in samples for row in rows],
    }  # fmt: skip
