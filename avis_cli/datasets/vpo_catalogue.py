"""What a VPO set is built from: the objects of a COCO-format instance file, and sounds with labels."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from avis_cli.datasets.segmentation import PictureSize, read_masks
from avis_cli.datasets.tracks import Mask
from avis_cli.datasets.vpo import SPLITS, is_safe_name
from avis_cli.errors import AnnotationError
from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node

_MOST = 2**53  # that an id may be
_LARGEST = 1 << 28  # pixels of a picture
SOUND_ENDINGS = frozenset({".wav", ".flac", ".ogg", ".mp3", ".m4a", ".aac", ".opus"})


@dataclass(frozen=True, eq=False)
class ObjectMask:
    """One annotated object. ``mask``: as a run length; ``share`` of the picture's pixels; ``position``: where it is
    between the left edge, 0, and the right, 1: the mean of its pixels' centres."""

    annotation: int
    category: str
    mask: Mask
    share: float
    position: float

    @classmethod
    def of(cls, annotation: int, category: str, mask: Mask) -> ObjectMask | None:
        """None for one without pixels."""
        columns = coco.decode(mask).sum(axis=0, dtype=np.int64)
        pixels = int(columns.sum())
        if not pixels:
            return None
        middle = float(((np.arange(len(columns)) + 0.5) * columns).sum() / pixels / len(columns))
        height, width = mask["size"]
        return cls(annotation, category, mask, pixels / (height * width), middle)

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """(H, W)."""
        drawn: NDArray[np.bool_] = coco.decode(self.mask).astype(bool)
        return drawn


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with its annotations, which are read when they are asked for. ``licence``, ``source``: as its file
    tells, "" where it does not."""

    id: int
    path: Path
    height: int
    width: int
    licence: str
    source: str
    annotations: tuple[Node, ...]
    categories: Mapping[int, str]

    @property
    def crowds(self) -> set[str]:
        """The categories of which the picture has a crowd: more of them than are marked."""
        return {self.categories[node.value["category_id"]] for node in self.annotations if node.value.get("iscrowd")}

    def objects(self) -> list[ObjectMask]:
        """Those with pixels that are no crowds, in the order of their ids. Raises AnnotationError naming the
        annotation that cannot be read."""
        found = []
        frame = PictureSize(self.height, self.width, f"image {self.id}")
        for node in self.annotations:
            if node.value.get("iscrowd"):
                continue
            given = node.value.get("segmentation")
            place = f"annotation {node.value['id']}: segmentation"
            (mask,) = read_masks([given], frame, place=place, file=node.file)
            if mask is None:
                continue
            one = ObjectMask.of(node.value["id"], self.categories[node.value["category_id"]], mask)
            if one is not None:
                found.append(one)
        return sorted(found, key=lambda one: one.annotation)


@dataclass(frozen=True)
class Pictures:
    """All pictures by rising id, and the categories by name with their ids."""

    pictures: tuple[Picture, ...]
    categories: Mapping[str, int]


def read_pictures(annotations: Path, images: Path) -> Pictures:
    """A COCO-format instance file. Raises AnnotationError naming file and entry."""
    top = read_json(annotations)
    categories: dict[int, str] = {}
    for node in top.key("categories").items():
        id, name = node.key("id").integer(0, _MOST), node.key("name").text()
        if not is_safe_name(name):
            node.key("name").refuse("a name that a folder can have")
        if id in categories or name in categories.values():
            node.refuse("an id and a name of its own", got=f"{id} {name!r} again")
        categories[id] = name
    licences = _licences(top)
    annotated: dict[int, list[Node]] = {}
    known = set()
    for node in top.key("annotations").items():
        id = node.key("id").integer(0, _MOST)
        if id in known:
            node.key("id").refuse("an id of its own", got=f"{id} again")
        known.add(id)
        if node.key("category_id").integer(0, _MOST) not in categories:
            node.key("category_id").refuse("the id of a category")
        annotated.setdefault(node.key("image_id").integer(0, _MOST), []).append(node)
    pictures: dict[int, Picture] = {}
    paths = set()
    for node in top.key("images").items():
        picture = _picture(node, images, licences, annotated, categories)
        if picture.id in pictures or picture.path in paths:  # it could be in two splits
            node.refuse("an id and a file of its own", got=f"image {picture.id}, {picture.path.name[:60]!r} again")
        pictures[picture.id] = picture
        paths.add(picture.path)
    return Pictures(
        tuple(pictures[id] for id in sorted(pictures)), {name: id for id, name in sorted(categories.items())}
    )


def _picture(
    node: Node,
    images: Path,
    licences: Mapping[int, str],
    annotated: Mapping[int, list[Node]],
    categories: Mapping[int, str],
) -> Picture:
    id, name = node.key("id").integer(0, _MOST), node.key("file_name").text()
    height, width = (node.key(side).integer(1, 1 << 16) for side in ("height", "width"))
    if height * width > _LARGEST:
        node.refuse(f"a picture of up to {_LARGEST} pixels", got=f"{width}x{height} pixels")
    licence, source = node.value.get("license"), node.value.get("coco_url") or node.value.get("flickr_url") or name
    return Picture(
        id, _inside(images, name, node), height, width, licences.get(licence, "") if isinstance(licence, int) else "",
        str(source)[:1000], tuple(annotated.get(id, ())), categories,
    )  # fmt: skip


def _licences(top: Node) -> dict[int, str]:
    if not top.has("licenses"):
        return {}
    entries = [node.value for node in top.key("licenses").items()]
    return {
        entry["id"]: str(entry.get("name", ""))[:200]
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), int)
    }


def _inside(folder: Path, name: str, node: Node) -> Path:
    """``folder / name``, which must not lead out of the folder."""
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not name:
        node.key("file_name").refuse("a path below the folder of images")
    return folder / path


@dataclass(frozen=True)
class SoundFile:
    """``label``: what sounds in it; ``split``: where the list says so; ``licence``: as the list has it, "" if it does
    not."""

    path: Path
    label: str
    split: str | None = None
    licence: str = ""


def read_sounds(folder: Path) -> list[SoundFile]:
    """Sounds by path: of ``sounds.csv`` (file,label[,split][,licence]) where there is one, else a folder for each
    label. Raises AnnotationError naming file and row."""
    listed = folder / "sounds.csv"
    if not folder.is_dir():
        raise AnnotationError("not a folder", hint="give one that holds a folder of sounds for each label", file=folder)
    found = _listed_sounds(listed) if listed.exists() else _foldered_sounds(folder)
    if not found:
        raise AnnotationError("no sound in it", hint="expected a folder of sounds for each label", file=folder)
    return sorted(found, key=lambda one: one.path.relative_to(folder).as_posix())


def _foldered_sounds(folder: Path) -> list[SoundFile]:
    return [
        SoundFile(path, path.relative_to(folder).parts[0])
        for path in folder.rglob("*")
        if path.suffix.lower() in SOUND_ENDINGS and len(path.relative_to(folder).parts) > 1 and path.is_file()
    ]


def _listed_sounds(listed: Path) -> list[SoundFile]:
    try:
        rows = list(csv.DictReader(io.StringIO(listed.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"cannot be read ({error})", file=listed) from None
    sounds: dict[Path, SoundFile] = {}
    for number, row in enumerate(rows, start=2):
        sound = _listed_sound(row, f"row {number}", listed)
        if sound.path in sounds:  # it could be in two splits
            raise AnnotationError(f"row {number}: {row['file'][:80]!r} again", hint="give it one label", file=listed)
        sounds[sound.path] = sound
    return list(sounds.values())


def _listed_sound(row: Mapping[str, str], where: str, listed: Path) -> SoundFile:
    name, label, split = row.get("file"), row.get("label"), row.get("split") or None
    if not name or not label:
        raise AnnotationError(
            f"{where}: no {'label' if name else 'file'}", hint="expected the columns file,label", file=listed
        )
    path = Path(name)
    if path.is_absolute() or ".." in path.parts or not name.isprintable():
        raise AnnotationError(f"{where}: {name[:80]!r} leads out of the folder", file=listed)
    if not (listed.parent / path).is_file():
        raise AnnotationError(f"{where}: there is no {name[:80]!r}", file=listed)
    if split is not None and split not in SPLITS:
        raise AnnotationError(f"{where}: split {split[:40]!r}, expected one of {', '.join(SPLITS)}", file=listed)
    return SoundFile(listed.parent / path, label, split, row.get("licence") or "")


def plain(name: str) -> str:
    """A name as categories and labels are compared: without case, blanks and underscores."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def labels_of(
    categories: Mapping[str, int], sounds: list[SoundFile], given: Mapping[str, list[str]], warn: Callable[[str], None]
) -> dict[str, set[str]]:
    """Category -> labels of its sounds: those ``given``, else the label of the same name. ``warn`` is told of
    categories without a sound and of labels without a category, which are left out."""
    known: dict[str, set[str]] = defaultdict(set)
    for sound in sounds:
        known[plain(sound.label)].add(sound.label)
    found: dict[str, set[str]] = {}
    for category in categories:
        wanted = given.get(category, [category])
        labels = {label for name in wanted if plain(name) for label in known.get(plain(name), ())}
        if labels:
            found[category] = labels
    without = [name for name in categories if name not in found]
    if without:
        warn(f"categories without sounds are left out: {_listed(without)}")
    unused = sorted({sound.label for sound in sounds}.difference(*found.values()))
    if unused:
        warn(f"sounds without a category are left out: {_listed(unused)}")
    return found


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def read_map(path: Path, categories: Mapping[str, int]) -> dict[str, list[str]]:
    """A JSON object, category -> list of labels. Raises AnnotationError for categories that there are not."""
    top = read_json(path)
    if not isinstance(top.value, dict):
        top.refuse("an object of categories and lists of labels")
    found = {}
    for name in top.value:
        if name not in categories:
            raise AnnotationError(f"category {name[:60]!r}, which the annotations do not have", file=path)
        found[name] = [node.text() for node in top.key(name).items()]
    return found
