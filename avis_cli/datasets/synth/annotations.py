"""A clip's truth as JSON: the layout of AVISeg and YouTube-VIS, and beside it what that layout has no place for.

Two files. ``SPLIT.json`` is plain: videos, annotations, categories. ``SPLIT_objects.json`` holds, per video, every
visible object whether it sounds or not, the sounds nobody shows, and when each of them is heard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.aviseg import OBJECTS_FORMAT, OBJECTS_VERSION, picture_name
from avis_cli.datasets.synth import category_entries
from avis_cli.datasets.synth.clips import Split, SynthClip
from avis_cli.datasets.synth.schedule import ActiveInterval
from avis_cli.results import run_length

Json = dict[str, Any]


@dataclass(frozen=True)
class ClipAnnotations:
    """What one clip adds to the two files; annotation ids are given when all clips are there."""

    video: Json
    annotations: list[Json]
    objects: Json


def _box(mask: NDArray[np.bool_]) -> list[int]:
    """[x, y, width, height] of a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def _track(masks: NDArray[np.bool_], present: NDArray[np.bool_]) -> Json:
    """Per frame the mask (T, H, W), its box and area, null where it is not ``present`` (T,)."""
    shown = [mask if here else None for mask, here in zip(masks, present, strict=True)]
    return {
        "segmentations": [None if mask is None else run_length.encode(mask) for mask in shown],
        "bboxes": [None if mask is None else _box(mask) for mask in shown],
        "areas": [None if mask is None else int(mask.sum()) for mask in shown],
    }


def _interval_pairs(intervals: Sequence[ActiveInterval]) -> list[list[float]]:
    return [[round(max(interval.start, 0.0), 3), round(interval.end, 3)] for interval in intervals]


def _flags(values: NDArray[np.bool_]) -> list[bool]:
    return [bool(value) for value in values]


def annotate(clip: SynthClip, video_id: int, name: str) -> ClipAnnotations:
    """The entries of one clip; objects that are never ground truth have no annotation."""
    length, height, width = clip.masks.shape[1:]
    common = {"height": height, "width": width, "length": length}
    annotations, objects = [], []
    for number, item in enumerate(clip.scene.objects):
        truth = clip.truth[number]
        if truth.any():
            track = _track(clip.masks[number], truth)
            owner = {"video_id": video_id, "category_id": item.category_id, "iscrowd": 0}
            annotations.append({**owner, **common, **track})
        objects.append(
            {
                "category_id": item.category_id,
                "sounds": _interval_pairs(item.sounds),
                "sounding": _flags(clip.sounding[number]),
                "visible": _flags(clip.visible[number]),
                "showing": _flags(clip.showing[number]),
                **_track(clip.masks[number], clip.visible[number]),
            }
        )
    off_screen = [
        {"category_id": sound.category_id, "sounds": _interval_pairs(sound.sounds), "sounding": _flags(heard.sounding)}
        for sound, heard in zip(clip.scene.off_screen, clip.off_screen, strict=True)
    ]
    files = [picture_name(name, index) for index in range(length)]
    known = {"id": video_id, "name": name, "seed": clip.seed, "twins": clip.scene.pair}
    return ClipAnnotations(
        {"id": video_id, **common, "file_names": files},
        annotations,
        {**known, **common, "objects": objects, "off_screen": off_screen},
    )


def truth_file(split: Split, seed: int, entries: Sequence[ClipAnnotations], *, aligned: bool = True) -> Json:
    """The content of ``SPLIT.json``."""
    kind = "" if aligned else ", unaligned sounds"
    numbered = [annotation for entry in entries for annotation in entry.annotations]
    return {
        "info": {"description": f"avis synthetic world, split {split}, seed {seed}{kind}"},
        "videos": [entry.video for entry in entries],
        "annotations": [{"id": number, **annotation} for number, annotation in enumerate(numbered, start=1)],
        "categories": category_entries(),
    }


def objects_file(split: Split, seed: int, entries: Sequence[ClipAnnotations]) -> Json:
    """The content of ``SPLIT_objects.json``."""
    head = {"format": OBJECTS_FORMAT, "version": OBJECTS_VERSION, "split": split, "seed": seed}
    return {**head, "categories": category_entries(), "videos": [entry.objects for entry in entries]}
