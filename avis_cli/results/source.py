"""What every kind of result says about itself: the clip, the model, the categories and the times of its mask frames.

Each ``read_...`` takes a node of a file that nobody vouches for and raises AnnotationError naming the field that is not
as the format says, what was there and what was expected.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

from avis_cli.files.numbers import ratio
from avis_cli.files.strict_json import LARGEST, Node
from avis_cli.media.clip_info import ClipInfo
from avis_cli.results.run_length import MAX_PIXELS

MAX_SIDE = 1 << 16  # pixels; a larger picture in a file is damage, not video
MAX_SECONDS = 1e9  # some thirty years; more is damage, and too large for the clocks of media files
MAX_RATE = 1e6  # per second


@dataclass(frozen=True)
class SourceAudio:
    """The sound that was heard: rate in Hz and channels as the file has them."""

    sample_rate: int
    channels: int


@dataclass(frozen=True)
class Source:
    """The clip: file name without folder, size of an upright frame in pixels, degrees clockwise that made it upright,
    seconds, exact rate as ``"30000/1001"`` (None if unknown), and how many frames could not be decoded."""

    file: str
    width: int
    height: int
    rotation: int
    duration: float
    frame_rate: str | None
    audio: SourceAudio | None
    decode_failures: int = 0

    @property
    def exact_rate(self) -> Fraction | None:
        """``frame_rate`` as a number, None if it is unknown."""
        return None if self.frame_rate is None else ratio(self.frame_rate)

    @classmethod
    def of(cls, clip: ClipInfo, decode_failures: int = 0) -> Source:
        """What the result keeps of a clip's description."""
        rate, audio = clip.frame_rate, clip.audio
        return cls(
            file=os.path.basename(clip.file),
            width=clip.width,
            height=clip.height,
            rotation=clip.rotation,
            duration=float(clip.duration),
            frame_rate=None if rate is None else f"{rate.numerator}/{rate.denominator}",
            audio=None if audio is None else SourceAudio(audio.sample_rate, audio.channels),
            decode_failures=decode_failures,
        )


@dataclass(frozen=True)
class ModelInfo:
    """The network and the settings that decide the result. ``fps``: token frames per second; ``mask_fps``: mask frames
    per second, or ``"video"`` for every frame."""

    name: str
    preset: str
    weights_sha256: str | None
    threshold: float
    precision: str
    fps: float
    mask_fps: float | Literal["video"]


class Described(Protocol):
    """A result of a clip."""

    @property
    def tool(self) -> str: ...
    @property
    def source(self) -> Source: ...
    @property
    def model(self) -> ModelInfo: ...
    @property
    def options(self) -> Mapping[str, Any] | None: ...
    @property
    def categories(self) -> tuple[tuple[int, str], ...]: ...
    @property
    def times(self) -> tuple[float, ...]: ...


def describe_result(result: Described, format: str, version: int) -> dict[str, Any]:
    """The keys of the JSON document that every result of a clip has, in the format's order."""
    return {
        "format": format,
        "version": version,
        "tool": result.tool,
        "source": asdict(result.source),
        "model": asdict(result.model),
        **({} if result.options is None else {"options": dict(result.options)}),
        "categories": [{"id": id, "name": name} for id, name in result.categories],
        "times": list(result.times),
    }


def to_text(document: dict[str, Any], listed: str) -> str:
    """Strict JSON text (ASCII), one line per key, and one for each entry of the list under the last key, ``listed``.

    Raises ValueError for a number that is not finite.
    """
    entries = ",\n".join(_dump(entry) for entry in document[listed])
    lines = [f"{_dump(key)}: {_dump(value)}" for key, value in document.items() if key != listed]
    lines.append(f"{_dump(listed)}: [\n{entries}\n]" if entries else f"{_dump(listed)}: []")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _dump(value: Any) -> str:
    # ASCII: file names may hold bytes that are no text, which only escapes carry through UTF-8
    return json.dumps(value, ensure_ascii=True, allow_nan=False)


def read_version(top: Node, format: str, version: int) -> None:
    """Refuse a document that is not of this format and version."""
    name = top.key("format")
    if name.value != format:
        name.refuse(f'"{format}"', hint="give a file that avis wrote")
    number = top.key("version")
    if number.value != version or isinstance(number.value, bool):
        number.refuse(f"{version}", hint="use a version of avis that writes this format")


def read_source(node: Node) -> Source:
    """The clip."""
    rotation, rate, audio = node.key("rotation"), node.key("frame_rate"), node.key("audio")
    if rotation.integer() not in (0, 90, 180, 270):
        rotation.refuse("0, 90, 180 or 270")
    if not rate.is_null and not 0 < (ratio(rate.text()) or 0) <= MAX_RATE:
        rate.refuse('a rate such as "30000/1001", or null')
    width, height = node.key("width").integer(1, MAX_SIDE), node.key("height").integer(1, MAX_SIDE)
    if width * height > MAX_PIXELS:
        node.refuse(f"at most {MAX_PIXELS} pixels", got=f"{width}x{height}")
    return Source(
        file=node.key("file").text(),
        width=width,
        height=height,
        rotation=rotation.integer(),
        duration=node.key("duration").number(0, MAX_SECONDS),
        frame_rate=rate.value,
        audio=None
        if audio.is_null
        else SourceAudio(audio.key("sample_rate").integer(1), audio.key("channels").integer(1)),
        decode_failures=node.key("decode_failures").integer(),
    )


def read_model(node: Node) -> ModelInfo:
    """The network and its settings."""
    sha256, mask_fps = node.key("weights_sha256"), node.key("mask_fps")
    return ModelInfo(
        name=node.key("name").text(),
        preset=node.key("preset").text(),
        weights_sha256=None if sha256.is_null else sha256.text(),
        threshold=node.key("threshold").number(0, 1),
        precision=node.key("precision").text(),
        fps=_read_rate(node.key("fps")),
        mask_fps="video" if mask_fps.value == "video" else _read_rate(mask_fps),
    )


def _read_rate(node: Node) -> float:
    rate = node.number(0, MAX_RATE)
    if 0 < rate < 1 / MAX_SECONDS:
        node.refuse("a rate that leaves more than one frame in thirty years")
    return rate


def read_options(top: Node) -> dict[str, Any] | None:
    """Settings by name: plain values, since other versions have other settings; None where there are none."""
    if not top.has("options") or top.key("options").is_null:
        return None
    node = top.key("options")
    if not isinstance(node.value, dict):
        node.refuse("an object")
    for name, value in node.value.items():
        entry = node.key(name)
        if isinstance(value, dict | list):
            entry.refuse("text, a number, true, false or null")
        if isinstance(value, int | float) and not abs(value) <= LARGEST:
            entry.refuse("a finite number")
    return dict(node.value)


def read_categories(node: Node, low: int = 0, high: int = 2**53) -> dict[int, str]:
    """Names by id, which lies in low..high, in the file's order."""
    categories: dict[int, str] = {}
    for item in node.items():
        id = item.key("id").integer(low, high)
        if id in categories:
            item.key("id").refuse("an id of its own", got=f"{id} again")
        categories[id] = item.key("name").text()
    return categories


def read_category(node: Node, categories: dict[int, str]) -> tuple[int, str]:
    """The ``category_id`` of a track or map and the name that goes with it."""
    id, name = node.key("category_id"), node.key("category")
    if id.integer() not in categories:
        id.refuse("the id of one of the categories")
    if name.text() != categories[id.value]:
        name.refuse(f'"{categories[id.value]}", as the category {id.value} is named')
    return id.value, name.value


def read_times(node: Node) -> tuple[float, ...]:
    """Seconds, rising."""
    times = tuple(item.number(0, MAX_SECONDS) for item in node.items())
    for index, (before, after) in enumerate(itertools.pairwise(times), start=1):
        if after <= before:
            Node(node.value[index], f"{node.name}[{index}]", node.file).refuse(
                f"more than {before:g}, the time before it"
            )
    return times


def read_spans(node: Node) -> list[tuple[float, float]]:
    """[start, end] in seconds, rising and apart."""
    spans: list[tuple[float, float]] = []
    for item in node.items():
        start, end = (bound.number(0, MAX_SECONDS) for bound in item.items(2))
        if end < start or (spans and start < spans[-1][1]):
            item.refuse("a [start, end] that does not run backwards", got=f"[{start:g}, {end:g}]")
        spans.append((start, end))
    return spans
