"""A VPO set out of real cut-outs with real sounds: the stamps of Tux Paint (Debian's `tuxpaint-stamps-default`).

    apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default*.deb stamps
    python benchmarks/stamps.py stamps/usr/share/tuxpaint/stamps OUT

Composes pictures with exact masks, builds the three settings as `avis vpo build` does, checks what has to hold of every
set, prints counts and writes OUT/sheet.png. There is one photograph of most animals: splits by picture would leave
classes out, so that all goes into one split. The stamps are under GPL-2 and other licences: they are not kept here.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

from avis_cli.datasets.vpo import Setting, Vpo, read_labels, read_vpo
from avis_cli.datasets.vpo_build import VpoOptions, build
from avis_cli.datasets.vpo_sound import cut, render
from avis_cli.errors import AvisError
from avis_cli.media.clip_info import SAMPLE_RATE
from avis_cli.media.waveform import at_rate, read_sound

SETTINGS: tuple[Setting, ...] = ("ss", "ms", "msmi")
SIZE = (480, 320)
MOST = 4  # stamps in a picture
_SHEET = (4, 3)


def find_stamps(folder: Path) -> list[tuple[str, Path, Path]]:
    """Name, cut-out and sound of every stamp with a sound that is not silent."""
    found = []
    for picture in sorted(folder.rglob("*.png")):
        sound = picture.with_suffix(".ogg")
        if not sound.exists():
            continue
        try:
            heard = read_sound(sound)
        except AvisError as error:
            print(f"left out: {error}")
            continue
        with Image.open(picture) as image:
            has_alpha = "A" in image.getbands() or image.mode == "P"
        if has_alpha and np.abs(heard.samples).max(initial=0) > 1e-3:
            found.append((picture.stem.replace("_", " "), picture, sound))
    names = Counter(name for name, _, _ in found)
    return [stamp for stamp in found if names[stamp[0]] == 1]


def compose(stamps: Sequence[tuple[str, Path, Path]], count: int, out: Path, seed: int) -> Path:
    """Pictures of some stamps on plain ground, one of them twice in every third, with COCO-format annotations."""
    rng = np.random.default_rng(seed)
    (out / "pictures").mkdir(parents=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        chosen = rng.permutation(len(stamps))[: int(rng.integers(2, MOST))].tolist()
        chosen += chosen[:1] if number % 3 == 0 else []
        canvas = Image.new("RGB", SIZE, tuple(int(value) for value in rng.integers(120, 250, 3)))
        covered: list[tuple[int, NDArray[np.bool_]]] = []
        for place, stamp in enumerate(chosen):
            covered.append((stamp, _paste(canvas, stamps[stamp][1], place, len(chosen), rng)))
        canvas.save(out / "pictures" / f"{number}.jpg", quality=92)
        images.append({"id": number, "file_name": f"{number}.jpg", "width": SIZE[0], "height": SIZE[1], "license": 1})
        for position, (stamp, mask) in enumerate(covered):
            for _, later in covered[position + 1 :]:
                mask = mask & ~later
            if mask.any():
                run = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                segmentation = {"size": list(run["size"]), "counts": run["counts"].decode("ascii")}
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": number, "category_id": stamp + 1, "iscrowd": 0,
                     "segmentation": segmentation}
                )  # fmt: skip
    document = {
        "images": images, "annotations": annotations, "licenses": [{"id": 1, "name": "see tuxpaint-stamps"}],
        "categories": [{"id": number, "name": name} for number, (name, _, _) in enumerate(stamps, start=1)],
    }  # fmt: skip
    path = out / "instances.json"
    path.write_text(json.dumps(document))
    return path


def _paste(canvas: Image.Image, path: Path, place: int, places: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A stamp in its part of the picture, from left to right; where it covers it."""
    with Image.open(path) as image:
        stamp = image.convert("RGBA")
    stamp.thumbnail((SIZE[0] // places, SIZE[1] // 2))
    left = min(place * SIZE[0] // places, SIZE[0] - stamp.width)
    top = int(rng.integers(0, SIZE[1] - stamp.height + 1))
    canvas.paste(stamp, (left, top), stamp)
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[top : top + stamp.height, left : left + stamp.width] = np.array(stamp.getchannel("A")) > 127
    return mask


def copy_sounds(stamps: Sequence[tuple[str, Path, Path]], out: Path) -> Path:
    """A folder for each name."""
    for name, _, sound in stamps:
        (out / "sounds" / name).mkdir(parents=True)
        shutil.copyfile(sound, out / "sounds" / name / f"{name}.ogg")
    return out / "sounds"


def check(found: Vpo, setting: Setting) -> None:
    """What holds for every set. Raises AssertionError where it does not."""
    length = 3 * SAMPLE_RATE
    for sample in found.samples:
        with Image.open(sample.picture) as image:
            labels = read_labels(sample.mask, found.indices, image.size)
        present = {found.indices[row.category_id] for row in sample.rows}
        assert set(np.unique(labels)) == {0, *present}, sample.mask
        names = [row.category for row in sample.rows]
        assert setting != "ss" or len(names) == 1
        assert setting != "ms" or len(set(names)) == len(names)
        sources = [
            cut(at_rate(read_sound(found.sounds / f"{row.sound}.wav"), SAMPLE_RATE).samples, length)
            for row in sample.rows
        ]
        places = [row.position for row in sample.rows]
        stereo, mono = render(sources, places, 2), render(sources, places, 1)
        assert np.abs(stereo.sum(0) - mono[0]).max() < 1e-5
        flipped = render(sources, [1 - place for place in places], 2)
        assert np.abs(flipped[::-1] - stereo).max() < 1e-6


def sheet(found: Vpo, path: Path) -> None:
    """The first samples: what sounds in red."""
    columns, rows = _SHEET
    width, height = SIZE[0] // 2, SIZE[1] // 2
    canvas = Image.new("RGB", (columns * width, rows * height))
    for number, sample in enumerate(found.samples[: columns * rows]):
        with Image.open(sample.picture) as image:
            picture = np.array(image.convert("RGB")).astype(np.float64)
        sounding = read_labels(sample.mask, found.indices) > 0
        picture[sounding] = 0.5 * picture[sounding] + 0.5 * np.array([255, 0, 0])
        small = Image.fromarray(picture.astype(np.uint8)).resize((width, height))
        canvas.paste(small, (number % columns * width, number // columns * height))
    canvas.save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stamps", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    stamps = find_stamps(chosen.stamps)
    annotations = compose(stamps, chosen.pictures, chosen.out, chosen.seed)
    sounds = copy_sounds(stamps, chosen.out)
    print(f"{len(stamps)} stamps with a sound, {chosen.pictures} pictures")
    for setting in SETTINGS:
        folder = chosen.out / setting
        options = VpoOptions(setting, chosen.seed, shares=(1, 0, 0), smallest=0.002)
        document = build(annotations, chosen.out / "pictures", sounds, folder, options, warn=print)
        found = read_vpo(folder, setting, "train")
        check(found, setting)
        several = sum(sample.rows[0].several for sample in found.samples)
        sources = Counter(len(sample.rows) for sample in found.samples)
        print(
            f"{setting}: {len(found.samples)} samples, {several} with several instances, sounding objects "
            f"{dict(sorted(sources.items()))}, {len(document['sounds'])} sounds; all checks hold"
        )
    sheet(found, chosen.out / "sheet.png")


if __name__ == "__main__":
    main()
