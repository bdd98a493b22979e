"""``tracks.json`` -> a ``ClipResult``, of a file that nobody vouches for: every field is checked against the format.

Raises AnnotationError that names the field, what was there and what was expected.
"""

from __future__ import annotations

import re
from typing import Any

from avis_cli.errors import AnnotationError
from avis_cli.files.strict_json import Node
from avis_cli.results import run_length
from avis_cli.results.clip import FORMAT, MAX_SIDE, VERSION, ClipResult, ModelInfo, Source, SourceAudio, Track
from avis_cli.results.run_length import RunLength

_LARGEST = 2**1000  # of a number that a float can hold


def read_result(top: Node) -> ClipResult:
    """The result whose JSON is ``top``."""
    name = top.key("format")
    if name.value != FORMAT:
        name.refuse(f'"{FORMAT}"', hint="give a tracks.json that avis wrote")
    version = top.key("version")
    if version.value != VERSION or isinstance(version.value, bool):
        version.refuse(f"{VERSION}", hint="use a version of avis that writes this format")
    source = _read_source(top.key("source"))
    categories = _read_categories(top.key("categories"))
    times = _read_times(top.key("times"))
    tracks: list[Track] = []
    ids: set[int] = set()
    for node in top.key("tracks").items():
        track = _read_track(node, categories, source, len(times))
        if track.id in ids:
            node.key("id").refuse("an id of its own", got=f"{track.id} again")
        ids.add(track.id)
        tracks.append(track)
    return ClipResult(
        source, _read_model(top.key("model")), tuple(categories.items()), times, tuple(tracks), top.key("tool").text(),
        _read_options(top.key("options")) if top.has("options") else None,
    )  # fmt: skip


def _read_source(node: Node) -> Source:
    rotation, rate, audio = node.key("rotation"), node.key("frame_rate"), node.key("audio")
    if rotation.integer() not in (0, 90, 180, 270):
        rotation.refuse("0, 90, 180 or 270")
    if not rate.is_null and not _is_rate(rate.text()):
        rate.refuse('a rate such as "30000/1001", or null')
    width, height = node.key("width").integer(1, MAX_SIDE), node.key("height").integer(1, MAX_SIDE)
    if width * height > run_length.MAX_PIXELS:
        node.refuse(f"at most {run_length.MAX_PIXELS} pixels", got=f"{width}x{height}")
    return Source(
        file=node.key("file").text(),
        width=width,
        height=height,
        rotation=rotation.integer(),
        duration=node.key("duration").number(),
        frame_rate=rate.value,
        audio=None
        if audio.is_null
        else SourceAudio(audio.key("sample_rate").integer(1), audio.key("channels").integer(1)),
        decode_failures=node.key("decode_failures").integer(),
    )


def _is_rate(text: str) -> bool:
    return re.fullmatch(r"[1-9][0-9]{0,17}/[1-9][0-9]{0,17}", text) is not None


def _read_model(node: Node) -> ModelInfo:
    sha256, mask_fps = node.key("weights_sha256"), node.key("mask_fps")
    return ModelInfo(
        name=node.key("name").text(),
        preset=node.key("preset").text(),
        weights_sha256=None if sha256.is_null else sha256.text(),
        threshold=node.key("threshold").number(0, 1),
        precision=node.key("precision").text(),
        fps=node.key("fps").number(),
        mask_fps="video" if mask_fps.value == "video" else mask_fps.number(),
    )


def _read_options(node: Node) -> dict[str, Any] | None:
    """Settings by name: plain values, since other versions have other settings."""
    if node.is_null:
        return None
    if not isinstance(node.value, dict):
        node.refuse("an object")
    for name, value in node.value.items():
        entry = node.key(name)
        if isinstance(value, dict | list):
            entry.refuse("text, a number, true, false or null")
        if isinstance(value, int | float) and not abs(value) <= _LARGEST:
            entry.refuse("a finite number")
    return dict(node.value)


def _read_categories(node: Node) -> dict[int, str]:
    categories: dict[int, str] = {}
    for item in node.items():
        id = item.key("id").integer()
        if id in categories:
            item.key("id").refuse("an id of its own", got=f"{id} again")
        categories[id] = item.key("name").text()
    return categories


def _read_times(node: Node) -> tuple[float, ...]:
    times: list[float] = []
    for item in node.items():
        time = item.number()
        if times and time <= times[-1]:
            item.refuse(f"more than {times[-1]:g}, the time before it")
        times.append(time)
    return tuple(times)


def _read_track(node: Node, categories: dict[int, str], source: Source, length: int) -> Track:
    category = node.key("category_id")
    if category.integer() not in categories:
        category.refuse("the id of one of the categories")
    label = node.key("category")
    if label.text() != categories[category.value]:
        label.refuse(f'"{categories[category.value]}", as the category {category.value} is named')
    masks = [_read_mask(item, source) for item in node.key("segmentations").items(length)]
    track = Track(
        id=node.key("id").integer(1),
        category_id=category.value,
        label=label.text(),
        score=node.key("score").number(0, 1),
        masks=masks,
        sounding=_read_sounding(node.key("sounding")),
    )
    # both follow from the masks: a file may leave them out, but not contradict itself
    for key, derived in (("areas", track.areas), ("bboxes", track.bboxes)):
        if node.has(key):
            for item, expected in zip(node.key(key).items(length), derived, strict=True):
                if item.value != expected:
                    item.refuse(f"{expected or 'null'}, as the mask has it", hint=f"correct or leave out {key}")
    return track


def _read_mask(node: Node, source: Source) -> RunLength | None:
    if node.is_null:
        return None
    size = [item.integer(1, MAX_SIDE) for item in node.key("size").items(2)]
    if size != [source.height, source.width]:
        node.key("size").refuse(f"[{source.height}, {source.width}], the size of the source", got=str(size))
    mask: RunLength = {"size": size, "counts": node.key("counts").text()}
    try:
        run_length.checked(mask)
    except AnnotationError as error:
        raise AnnotationError(f"{node.name}: {error.cause}", hint=error.hint, file=node.file) from None
    return mask


def _read_sounding(node: Node) -> list[tuple[float, float]]:
    spans: list[tuple[float, float]] = []
    for item in node.items():
        start, end = (bound.number() for bound in item.items(2))
        if end < start or (spans and start < spans[-1][1]):
            item.refuse("a [start, end] that does not run backwards", got=f"[{start:g}, {end:g}]")
        spans.append((start, end))
    return spans
