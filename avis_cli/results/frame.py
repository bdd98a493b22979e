"""What an online model finds in one frame of a live source, and the same as one line of JSON both ways.

``{"v": 1, "t", "wall", "frame", "latency_ms": {"capture", "queue", "model", "total"} | null, "dropped", "tracks":
[{"id", "category_id", "label", "score", "sounding", "box": [x, y, w, h] | null, "rle": {"size", "counts"} | null}]}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from avis_cli.files.strict_json import Node, parse
from avis_cli.results import masks, notebook, run_length
from avis_cli.results.run_length import RunLength
from avis_cli.results.source import MAX_SECONDS, MAX_SIDE

VERSION = 1
_MAX_WALL = 1e11  # seconds since 1970: some three thousand years


@dataclass(frozen=True)
class Latency:
    """Milliseconds that a frame took: to be captured, in waiting, in the network; and from its light to its result,
    the age of the evidence by design not counted."""

    capture: float
    queue: float
    model: float
    total: float

    def __post_init__(self) -> None:
        for name in ("capture", "queue", "model", "total"):
            object.__setattr__(self, name, float(getattr(self, name)))


@dataclass(frozen=True)
class FrameTrack:
    """One object in one frame.

    ``id``: from 1, the same from frame to frame; ``category_id``, ``label``: number and name of its category;
    ``score``: 0 to 1; ``sounding``: whether it sounds at this moment; ``mask``: COCO run length (size [H, W] in pixels
    of the frame), None where it is not seen or nobody asked for masks; ``box``: tight [x, y, width, height] in pixels,
    None where it is not seen. A mask gives its own box.
    """

    id: int
    category_id: int
    label: str
    score: float
    sounding: bool
    mask: RunLength | None = None
    box: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "score", float(self.score))
        object.__setattr__(self, "sounding", bool(self.sounding))
        box = self.box if self.mask is None else run_length.bbox(self.mask)
        object.__setattr__(self, "box", None if box is None else tuple(int(number) for number in box))

    def __repr__(self) -> str:
        state = "sounding" if self.sounding else "silent"
        box = "not seen" if self.box is None else f"box {list(self.box)}"
        return f"<FrameTrack {self.id}: {notebook.short(self.label)}, score {self.score:.2f}, {state}, {box}>"


@dataclass(frozen=True)
class FrameResult:
    """Everything known at one moment of a live source.

    ``time``: seconds on the source's clock; ``tracks``: the objects of this moment; ``index``: number of the frame in
    the source; ``latency``: what the frame took, None where nobody measured; ``wall``: seconds since 1970 at which the
    frame was captured, None for files; ``dropped``: frames left out since the one before, as newer ones were there.
    """

    time: float
    tracks: tuple[FrameTrack, ...]
    index: int = 0
    latency: Latency | None = None
    wall: float | None = None
    dropped: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", float(self.time))
        object.__setattr__(self, "wall", None if self.wall is None else float(self.wall))
        object.__setattr__(self, "tracks", tuple(self.tracks))

    def __repr__(self) -> str:
        tracks = notebook.listed([f"{notebook.short(track.label)} {track.score:.2f}" for track in self.tracks])
        return f"<FrameResult at {self.time:g} s: {tracks or 'no tracks'}>"

    def to_dict(self, *, with_masks: bool = True) -> dict[str, Any]:
        """The JSON object as Python values; ``with_masks``: with the key ``rle`` of each track."""
        return {
            "v": VERSION,
            "t": self.time,
            "wall": self.wall,
            "frame": self.index,
            "latency_ms": None if self.latency is None else asdict(self.latency),
            "dropped": self.dropped,
            "tracks": [_track_dict(track, with_masks) for track in self.tracks],
        }

    def to_json(self, *, with_masks: bool = True) -> str:
        """One line of strict JSON (ASCII), without its end. Raises ValueError for a number that is not finite."""
        document = self.to_dict(with_masks=with_masks)
        return json.dumps(document, ensure_ascii=True, allow_nan=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str, *, file: str | os.PathLike[str] | None = None) -> FrameResult:
        """The result that ``to_json`` wrote. Raises AnnotationError naming the field that is not as the format says;
        ``file`` is what the error calls the text."""
        return cls.from_node(parse(text, file=file))

    @classmethod
    def from_node(cls, top: Node) -> FrameResult:
        """The result whose JSON is ``top``, every field checked against the format. Raises AnnotationError."""
        version, latency, wall = top.key("v"), top.key("latency_ms"), top.key("wall")
        if version.value != VERSION or isinstance(version.value, bool):
            version.refuse(f"{VERSION}", hint="use a version of avis that writes this format")
        tracks: list[FrameTrack] = []
        ids: set[int] = set()
        for node in top.key("tracks").items():
            track = _read_track(node)
            if track.id in ids:
                node.key("id").refuse("an id of its own", got=f"{track.id} again")
            ids.add(track.id)
            tracks.append(track)
        return cls(
            time=top.key("t").number(-MAX_SECONDS, MAX_SECONDS),
            tracks=tuple(tracks),
            index=top.key("frame").integer(),
            latency=None if latency.is_null else _read_latency(latency),
            wall=None if wall.is_null else wall.number(0, _MAX_WALL),
            dropped=top.key("dropped").integer(),
        )


def _track_dict(track: FrameTrack, with_masks: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": track.id,
        "category_id": track.category_id,
        "label": track.label,
        "score": track.score,
        "sounding": track.sounding,
        "box": None if track.box is None else list(track.box),
    }
    return {**values, "rle": track.mask} if with_masks else values


def _read_latency(node: Node) -> Latency:
    return Latency(*(node.key(name).number(0, MAX_SECONDS) for name in ("capture", "queue", "model", "total")))


def _read_track(node: Node) -> FrameTrack:
    sounding = node.key("sounding")
    if not isinstance(sounding.value, bool):
        sounding.refuse("true or false")
    mask = masks.read_mask(node.key("rle")) if node.has("rle") else None
    track = FrameTrack(
        id=node.key("id").integer(1),
        category_id=node.key("category_id").integer(),
        label=node.key("label").text(),
        score=node.key("score").number(0, 1),
        sounding=sounding.value,
        mask=mask,
        box=_read_box(node.key("box")),
    )
    if mask is not None and node.key("box").value != list(track.box or ()):
        node.key("box").refuse(f"{list(track.box or ())}, as the mask has it")
    return track


def _read_box(node: Node) -> tuple[int, int, int, int] | None:
    if node.is_null:
        return None
    values: Sequence[int] = [item.integer(0, MAX_SIDE) for item in node.items(4)]
    return values[0], values[1], values[2], values[3]
