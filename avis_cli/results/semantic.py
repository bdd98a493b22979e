"""What a semantic model finds in a clip: which pixels belong to which sounding class, and the same as JSON both ways.

``maps.json`` version 1. A pixel of a mask frame belongs to one class at most.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node, parse
from avis_cli.results import masks, notebook, run_length
from avis_cli.results import source as description
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.masks import Masks
from avis_cli.results.saving import Saving
from avis_cli.results.source import ModelInfo, Source
from avis_cli.version import __version__

FORMAT = "avis-maps"
VERSION = 1


@dataclass(frozen=True)
class ClassMap:
    """Where one class is seen sounding. ``category_id``, ``label``: its number and name; ``masks``: one COCO run length
    (size [H, W] in pixels of the upright frame) per mask frame, None where the class has no pixel; ``score``: mean
    probability of its pixels, 0 to 1, None where that is not known."""

    category_id: int
    label: str
    masks: Masks
    score: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "masks", masks.as_kept(self.masks))

    @cached_property
    def areas(self) -> list[int | None]:
        """Pixels per mask frame, None where absent."""
        return list(run_length.areas(self.masks))

    def __repr__(self) -> str:
        seen = sum(mask is not None for mask in self.masks)
        return f"<ClassMap {self.category_id}: {notebook.short(self.label)}, {seen} of {len(self.masks)} masks>"

    def to_dict(self) -> dict[str, Any]:
        """The map's object in the JSON document."""
        return {
            "category_id": self.category_id,
            "category": self.label,
            **({} if self.score is None else {"score": self.score}),
            "segmentations": list(self.masks),
            "areas": self.areas,
        }


@dataclass(frozen=True)
class ClassTrack(Track):
    """A class as a track, for whatever draws and lists tracks; its id is that of its category."""

    is_class: ClassVar[bool] = True


@dataclass(frozen=True)
class SemanticResult(Saving):
    """The class maps of a clip.

    ``source``: the clip; ``model``: the network and its settings; ``categories``: (id, name) of all the model knows,
    ids from 1; ``times``: seconds from the clip's first frame, one per mask frame, rising; ``maps``: one for each class
    that is present, in rising id; ``tool``, ``options``, ``video``: as a ``ClipResult`` has them.
    """

    source: Source
    model: ModelInfo
    categories: tuple[tuple[int, str], ...]
    times: tuple[float, ...]
    maps: tuple[ClassMap, ...]
    tool: str = f"avis-cli {__version__}"
    options: Mapping[str, Any] | None = None
    video: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "categories", tuple((int(id), name) for id, name in self.categories))
        object.__setattr__(self, "times", tuple(float(time) for time in self.times))
        object.__setattr__(self, "maps", tuple(self.maps))
        for map in self.maps:
            if len(map.masks) != len(self.times):
                raise ValueError(f"map {map.category_id} has {len(map.masks)} masks for {len(self.times)} mask frames")

    def __repr__(self) -> str:
        labels = notebook.listed([notebook.short(map.label) for map in self.maps])
        return f"<SemanticResult of {self._in_short()}{f': {labels}' if labels else ''}>"

    def _repr_html_(self) -> str:
        rows = [
            (map.category_id, notebook.short(map.label), sum(mask is not None for mask in map.masks))
            for map in self.maps
        ]
        return notebook.table(self._in_short(), ("class", "category", "masks"), rows)

    def _in_short(self) -> str:
        return f"{notebook.short(self.source.file)}, {len(self.maps)} classes, {len(self.times)} mask frames"

    def frame(self, index: int) -> NDArray[np.int32]:
        """Class map of one mask frame, int32 (H, W) of the upright frame: a pixel is the id of its category, 0 where
        nothing sounds. ``index``: place in ``times``, below 0 from the end; IndexError outside."""
        count = len(self.times)
        if not -count <= index < count:
            raise IndexError(f"mask frame {index}, expected one of the {count} from 0 to {count - 1}")
        labels = np.zeros((self.source.height, self.source.width), dtype=np.int32)
        for map in self.maps:
            mask = map.masks[index]
            if mask is not None:
                labels[run_length.decode(mask)] = map.category_id
        return labels

    @cached_property
    def tracks(self) -> tuple[Track, ...]:
        """Each class as a track whose id is its category's, which sounds in the seconds in which it has pixels."""
        bare = ClipResult(self.source, self.model, self.categories, self.times, ())
        last = self.times[-1] if self.times else 0.0
        end = max(last, min(bare.end, self.source.duration))
        return tuple(
            ClassTrack(
                map.category_id, map.category_id, map.label, 1.0 if map.score is None else map.score, map.masks,
                masks.spans(map.masks, self.times, end),
            )
            for map in self.maps
        )  # fmt: skip

    def as_tracks(self) -> ClipResult:
        """The same with ``tracks`` in place of maps, for whatever takes a ``ClipResult``."""
        return ClipResult(
            self.source, self.model, self.categories, self.times, self.tracks, self.tool, self.options,
            video=self.video, of_classes=True,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as Python values, keys in the format's order."""
        return {
            **description.describe_result(self, FORMAT, VERSION),
            "maps": [map.to_dict() for map in self.maps],
        }

    def to_json(self) -> str:
        """Strict JSON text (ASCII), one line per key and map. Raises ValueError for a number that is not finite."""
        return description.to_text(self.to_dict(), "maps")

    @classmethod
    def from_json(cls, text: str, *, file: str | os.PathLike[str] | None = None) -> SemanticResult:
        """The result that ``to_json`` wrote. Raises AnnotationError naming the field that is not as the format says;
        ``file`` is what the error calls the text."""
        return cls.from_node(parse(text, file=file))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> SemanticResult:
        """``from_json`` of a file."""
        return cls.from_node(read_json(path))

    @classmethod
    def from_node(cls, top: Node) -> SemanticResult:
        """The result whose JSON is ``top``, every field checked against the format. Raises AnnotationError."""
        description.read_version(top, FORMAT, VERSION)
        source = description.read_source(top.key("source"))
        categories = description.read_categories(top.key("categories"), low=1, high=_MAX_LABEL)
        times = description.read_times(top.key("times"))
        maps: list[ClassMap] = []
        for node in top.key("maps").items():
            map = _read_map(node, categories, source, len(times))
            if maps and map.category_id <= maps[-1].category_id:
                node.key("category_id").refuse(f"more than {maps[-1].category_id}, that of the map before it")
            maps.append(map)
        _check_disjoint(top.key("maps"), maps)
        model, tool, options = description.read_model(top.key("model")), top.key("tool"), description.read_options(top)
        return cls(source, model, tuple(categories.items()), times, tuple(maps), tool.text(), options)


_MAX_LABEL = 2**31 - 1  # largest id in a class map


def _read_map(node: Node, categories: dict[int, str], source: Source, length: int) -> ClassMap:
    category_id, label = description.read_category(node, categories)
    segmentations = masks.read_masks(node.key("segmentations"), source.height, source.width, length)
    masks.check_derived(node, "areas", segmentations, run_length.areas)
    score = node.key("score").number(0, 1) if node.has("score") else None
    return ClassMap(category_id, label, segmentations, score)


def _check_disjoint(node: Node, maps: list[ClassMap]) -> None:
    for index, of_frame in enumerate(zip(*(map.masks for map in maps), strict=True)):
        present = [mask for mask in of_frame if mask is not None]
        if len(present) > 1 and run_length.overlap(present):
            node.refuse("each pixel in one of them at most", got=f"not apart in mask frame {index}")
