"""What a clip's segmentation is: tracks with masks, scores and times, and the same as JSON (``tracks.json``) both ways.

``frame``, ``timeline`` and ``to_supervision`` give the same in the forms that array, table and vision libraries take;
``save``, ``render``, ``export`` and ``plot`` make files and pictures of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import AnnotationError, UsageError
from avis_cli.files.json_file import read_json
from avis_cli.files.strict_json import Node, parse
from avis_cli.results import masks, notebook, run_length
from avis_cli.results import source as description
from avis_cli.results.run_length import RunLength
from avis_cli.results.saving import Saving
from avis_cli.results.source import ModelInfo, Source
from avis_cli.version import __version__

if TYPE_CHECKING:
    from supervision import Detections

FORMAT = "avis-tracks"
VERSION = 1
PathLike = str | os.PathLike[str]
_MAX_LABEL = 2**31 - 1  # largest track id in a label map
_ROUNDING = 1e-2  # by which a sum of probabilities may miss 1: files may hold few digits


@dataclass(frozen=True)
class Track:
    """One object that sounds.

    ``id``: from 1; ``category_id``, ``label``: number and name of its category; ``score``: 0 to 1; ``masks``: one COCO
    run length (size [H, W] in pixels of the upright frame) per mask frame, None where it is absent; ``sounding``:
    (start, end) in seconds on the clip's clock, rising and apart.
    """

    id: int
    category_id: int
    label: str
    score: float
    masks: Sequence[RunLength | None]
    sounding: list[tuple[float, float]] = field(default_factory=list)

    is_class: ClassVar[bool] = False
    """Whether it stands for all that sounds of its category, and needs no number beside the name."""

    def __post_init__(self) -> None:
        # numbers arrive from array libraries; plain ones make equality and JSON exact
        object.__setattr__(self, "score", float(self.score))
        object.__setattr__(self, "masks", masks.as_kept(self.masks))
        object.__setattr__(self, "sounding", [(float(start), float(end)) for start, end in self.sounding])

    def is_sounding(self, time: float) -> bool:
        """Whether the object sounds at ``time`` seconds on the clip's clock; at the end of an interval it does not."""
        return any(start <= time < end for start, end in self.sounding)

    @cached_property
    def areas(self) -> list[int | None]:
        """Pixels per mask frame, None where absent."""
        return list(run_length.areas(self.masks))

    @cached_property
    def bboxes(self) -> list[list[int] | None]:
        """Tight [x, y, width, height] in pixels per mask frame, None where absent."""
        return list(run_length.bboxes(self.masks))

    def __repr__(self) -> str:
        seen = sum(mask is not None for mask in self.masks)
        spans = notebook.listed([notebook.span(*span) for span in self.sounding])
        return (
            f"<Track {self.id}: {notebook.short(self.label)}, score {self.score:.2f}, "
            f"{seen} of {len(self.masks)} masks, {f'sounds {spans}' if spans else 'silent'}>"
        )

    def to_dict(self) -> dict[str, Any]:
        """The track's object in the JSON document."""
        return {
            "id": self.id,
            "category_id": self.category_id,
            "category": self.label,
            "score": self.score,
            "segmentations": list(self.masks),
            "bboxes": self.bboxes,
            "areas": self.areas,
            "sounding": [list(span) for span in self.sounding],
        }


@dataclass(frozen=True)
class TokenFrame:
    """What a model that counts says of one token frame.

    ``time``: seconds on the clip's clock; ``count``: probabilities that 0, 1, or 2 or more objects sound then.
    """

    time: float
    count: tuple[float, float, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "time", float(self.time))
        none, one, several = (float(share) for share in self.count)
        object.__setattr__(self, "count", (none, one, several))

    @property
    def likeliest(self) -> int:
        """The likeliest count, the first of equals: 0, 1, or 2 for 2 or more."""
        return max(range(len(self.count)), key=self.count.__getitem__)

    def to_dict(self) -> dict[str, Any]:
        """The entry in the JSON document."""
        return {"time": self.time, "count": list(self.count)}


@dataclass(frozen=True)
class ClipResult(Saving):
    """Everything known about a clip.

    ``source``: the clip; ``model``: the network and its settings; ``categories``: (id, name) of all the model knows;
    ``times``: seconds from the clip's first frame, one per mask frame, rising; ``tracks``: ids from 1 in falling score,
    each with one mask or None per mask frame; ``tool``: what made the result, and its version; ``options``: the
    settings that decided it (``SegmentOptions.recorded``), None where they are not known; ``token_frames``: how many
    objects sound in each token frame, in order, none from a model that does not count; ``network_frames``: places in
    ``times`` of the mask frames whose masks the network drew, the others being carried from these along the motion of
    the picture, None where it drew all; ``video``: path of the clip, None where it is not known; ``of_classes``:
    whether its tracks stand for the classes of a `SemanticResult`. These two no file holds and ``==`` leaves alone.
    """

    source: Source
    model: ModelInfo
    categories: tuple[tuple[int, str], ...]
    times: tuple[float, ...]
    tracks: tuple[Track, ...]
    tool: str = f"avis-cli {__version__}"
    options: Mapping[str, Any] | None = None
    token_frames: tuple[TokenFrame, ...] = ()
    network_frames: tuple[int, ...] | None = None
    video: str | None = field(default=None, compare=False)
    of_classes: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "token_frames", tuple(self.token_frames))
        object.__setattr__(self, "categories", tuple((int(id), name) for id, name in self.categories))
        object.__setattr__(self, "times", tuple(float(time) for time in self.times))
        object.__setattr__(self, "tracks", tuple(self.tracks))
        if self.network_frames is not None:
            object.__setattr__(self, "network_frames", tuple(int(place) for place in self.network_frames))
        for track in self.tracks:
            if len(track.masks) != len(self.times):
                raise ValueError(f"track {track.id} has {len(track.masks)} masks for {len(self.times)} mask frames")

    def __repr__(self) -> str:
        tracks = notebook.listed([f"{notebook.short(track.label)} {track.score:.2f}" for track in self.tracks])
        return f"<ClipResult of {self._in_short()}{f': {tracks}' if tracks else ''}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                track.id,
                notebook.short(track.label),
                f"{track.score:.2f}",
                sum(mask is not None for mask in track.masks),
                notebook.listed([notebook.span(*span) for span in track.sounding]) or "never",
            )
            for track in self.tracks
        ]
        return notebook.table(self._in_short(), ("track", "category", "score", "masks", "sounds"), rows)

    def _in_short(self) -> str:
        return f"{notebook.short(self.source.file)}, {len(self.tracks)} tracks, {len(self.times)} mask frames"

    @property
    def end(self) -> float:
        """Seconds at which the last mask frame leaves the screen: it stays as long as the longest before it, and
        for ever (infinity) where one frame is all there is and its rate is the video's."""
        gaps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        if not gaps and self.model.mask_fps != "video" and self.model.mask_fps > 0:
            gaps = [1 / self.model.mask_fps]
        return self.times[-1] + max(gaps, default=math.inf) if self.times else 0.0

    def frame(self, index: int) -> NDArray[np.int32]:
        """Label map of one mask frame, int32 (H, W) of the upright frame: a pixel is the id of its track, 0 where there
        is none. Overlaps go to the higher score.

        ``index``: place in ``times``, below 0 from the end; IndexError outside. Raises AnnotationError for ids from a
        file that are too large for the map.
        """
        self._require_frame(index)
        labels = np.zeros((self.source.height, self.source.width), dtype=np.int32)
        for track in sorted(self.tracks, key=lambda track: (track.score, -track.id)):
            mask = track.masks[index]
            if track.id > _MAX_LABEL:
                raise AnnotationError(
                    f"track {track.id} does not fit into a label map, which holds ids up to {_MAX_LABEL}",
                    hint="number the tracks from 1",
                )
            if mask is not None:
                labels[run_length.decode(mask)] = track.id
        return labels

    def timeline(self) -> list[dict[str, Any]]:
        """When each object sounds, in the order of the clip: one row per track and interval, none for a track that
        never sounds. ``pandas.DataFrame(result.timeline())`` is a table of it.

        Keys: ``track_id`` (int), ``category`` (str), ``score`` (float, 0 to 1), ``start``, ``end`` and ``seconds``
        (floats: bounds on the clip's clock and the time between them, in seconds).
        """
        rows = [
            {
                "track_id": track.id,
                "category": track.label,
                "score": track.score,
                "start": start,
                "end": end,
                "seconds": end - start,
            }
            for track in self.tracks
            for start, end in track.sounding
        ]
        return sorted(rows, key=lambda row: (row["start"], row["track_id"]))

    def to_supervision(self, index: int) -> Detections:
        """The objects of one mask frame as ``supervision.Detections``, the surest first; needs the library supervision.

        With N objects that have a pixel in that frame: ``xyxy`` float32 (N, 4), corners in pixels, the lower right one
        outside; ``mask`` bool (N, H, W); ``confidence`` float32 (N,); ``class_id`` int (N,), category ids;
        ``tracker_id`` int (N,), track ids; ``data["class_name"]`` str (N,). ``index``: as for ``frame``. Raises
        UsageError where the library is missing.
        """
        try:
            from supervision import Detections
        except ModuleNotFoundError as error:
            if error.name != "supervision":  # it is there, but something that it needs is not
                raise
            raise UsageError("to_supervision needs the library supervision", hint="pip install supervision") from None
        self._require_frame(index)
        present = [(track, mask) for track in self.tracks if (mask := track.masks[index]) is not None]
        shown = [(track, mask, box) for track, mask in present if (box := run_length.bbox(mask))[2]]
        shown.sort(key=lambda item: (-item[0].score, item[0].id))
        tracks = [track for track, _, _ in shown]
        corners = [[x, y, x + width, y + height] for _, _, (x, y, width, height) in shown]
        masks = [run_length.decode(mask) for _, mask, _ in shown]
        size = (self.source.height, self.source.width)
        return Detections(
            xyxy=np.array(corners, dtype=np.float32).reshape(-1, 4),
            mask=np.array(masks, dtype=bool).reshape(-1, *size),
            confidence=np.array([track.score for track in tracks], dtype=np.float32),
            class_id=np.array([track.category_id for track in tracks], dtype=np.int64),
            tracker_id=np.array([track.id for track in tracks], dtype=np.int64),
            data={"class_name": np.array([track.label for track in tracks], dtype=np.str_)},
        )

    def _require_frame(self, index: int) -> None:
        count = len(self.times)
        if not -count <= index < count:
            raise IndexError(f"mask frame {index}, expected one of the {count} from 0 to {count - 1}")

    def to_dict(self) -> dict[str, Any]:
        """The JSON document as Python values, keys in the format's order."""
        counted = [frame.to_dict() for frame in self.token_frames]
        return {
            **description.describe_result(self, FORMAT, VERSION),
            **({"token_frames": counted} if counted else {}),
            **({} if self.network_frames is None else {"network_frames": list(self.network_frames)}),
            "tracks": [track.to_dict() for track in self.tracks],
        }

    def to_json(self) -> str:
        """Strict JSON text (ASCII), one line per key and track. Raises ValueError for a number that is not finite."""
        return description.to_text(self.to_dict(), "tracks")

    @classmethod
    def from_json(cls, text: str, *, file: str | os.PathLike[str] | None = None) -> ClipResult:
        """The result that ``to_json`` wrote. Raises AnnotationError naming the field that is not as the format says;
        ``file`` is what the error calls the text."""
        return cls.from_node(parse(text, file=file))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ClipResult:
        """``from_json`` of a file."""
        return cls.from_node(read_json(path))

    @classmethod
    def from_node(cls, top: Node) -> ClipResult:
        """The result whose JSON is ``top``, every field checked against the format. Raises AnnotationError."""
        description.read_version(top, FORMAT, VERSION)
        source = description.read_source(top.key("source"))
        categories = description.read_categories(top.key("categories"))
        times = description.read_times(top.key("times"))
        tracks: list[Track] = []
        ids: set[int] = set()
        for node in top.key("tracks").items():
            track = _read_track(node, categories, source, len(times))
            if track.id in ids:
                node.key("id").refuse("an id of its own", got=f"{track.id} again")
            ids.add(track.id)
            tracks.append(track)
        model, tool, options = description.read_model(top.key("model")), top.key("tool"), description.read_options(top)
        return cls(
            source, model, tuple(categories.items()), times, tuple(tracks), tool.text(), options,
            _read_token_frames(top), _read_network_frames(top, len(times)),
        )  # fmt: skip


def _read_token_frames(top: Node) -> tuple[TokenFrame, ...]:
    """Times rise and probabilities sum to 1; none where the model does not count."""
    if not top.has("token_frames") or top.key("token_frames").is_null:
        return ()
    frames: list[TokenFrame] = []
    for node in top.key("token_frames").items():
        time, count = node.key("time"), node.key("count")
        seconds = time.number(0, description.MAX_SECONDS)
        if frames and seconds <= frames[-1].time:
            time.refuse(f"more than {frames[-1].time:g}, the time before it")
        none, one, several = (share.number(0, 1) for share in count.items(3))
        if not abs(none + one + several - 1) <= _ROUNDING:
            count.refuse("probabilities that sum to 1", got=f"a sum of {none + one + several:g}")
        frames.append(TokenFrame(seconds, (none, one, several)))
    return tuple(frames)


def _read_network_frames(top: Node, length: int) -> tuple[int, ...] | None:
    """Places that rise, each that of a mask frame; None where the network drew all."""
    if not top.has("network_frames") or top.key("network_frames").is_null:
        return None
    places: list[int] = []
    for node in top.key("network_frames").items():
        place = node.integer(0)
        if place >= length:
            node.refuse(f"one of the {length} mask frames from 0", got=str(place))
        if places and place <= places[-1]:
            node.refuse(f"more than {places[-1]}, the place before it", got=str(place))
        places.append(place)
    return tuple(places)


def _read_track(node: Node, categories: dict[int, str], source: Source, length: int) -> Track:
    category_id, label = description.read_category(node, categories)
    segmentations = masks.read_masks(node.key("segmentations"), source.height, source.width, length)
    masks.check_derived(node, "areas", segmentations, run_length.areas)
    masks.check_derived(node, "bboxes", segmentations, run_length.bboxes)
    return Track(
        id=node.key("id").integer(1),
        category_id=category_id,
        label=label,
        score=node.key("score").number(0, 1),
        masks=segmentations,
        sounding=description.read_spans(node.key("sounding")),
    )
