"""How hard a split is: what simple cheats would score on it, in corrected FSLA.

A cheat's masks are the truth's own, and masks of one frame do not overlap, so every predicted track is assigned to
its own object. A frame is then right, at every threshold, exactly where the cheat's set of objects is the set of
those that sound and are visible. That makes FSLA a share of frames.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.aviseg import OBJECTS_FORMAT, OBJECTS_VERSION
from avis_cli.datasets.synth import IDS
from avis_cli.errors import AnnotationError

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class VideoFlags:
    """Who is who in one clip: categories (K,), the rest (K, T); ``heard`` (T, 11): category ids in the sound."""

    category_ids: NDArray[np.int64]
    sounding: Flags
    visible: Flags
    showing: Flags
    heard: Flags


@dataclass(frozen=True)
class SplitStats:
    """Percent, of frames or of clips, except the two counts."""

    clips: int
    frames: int
    frames_none: float
    frames_single: float
    frames_multi: float
    clips_with_twins: float
    clips_with_both_twins_sounding: float
    clips_with_silent_object: float
    clips_with_off_screen_sound: float
    fsla_nothing: float
    fsla_all_visible: float
    fsla_no_gate: float
    fsla_glowing: float
    fsla_heard_category: float


_MEANING = {
    "clips": "clips",
    "frames": "frames",
    "frames_none": "frames where nothing visible sounds, %",
    "frames_single": "frames with one sounding object, %",
    "frames_multi": "frames with more, %",
    "clips_with_twins": "clips with two instances of one category, %",
    "clips_with_both_twins_sounding": "clips where both of them sound, %",
    "clips_with_silent_object": "clips with an object that never sounds, %",
    "clips_with_off_screen_sound": "clips with a sound nobody shows, %",
    "fsla_nothing": "FSLA of predicting nothing",
    "fsla_all_visible": "FSLA of every visible object",
    "fsla_no_gate": "FSLA of perfect tracks without a gate",
    "fsla_glowing": "FSLA of every object that shakes and glows",
    "fsla_heard_category": "FSLA of every visible object whose category is heard",
}


def lines(stats: SplitStats) -> list[str]:
    """One line of text for each number."""
    rows = [(_MEANING[field.name], getattr(stats, field.name)) for field in fields(stats)]
    return [f"{text:<56}{value:>8}" if isinstance(value, int) else f"{text:<56}{value:>8.1f}" for text, value in rows]


def read_flags(video: dict[str, Any]) -> VideoFlags:
    """One element of ``videos`` of an objects file."""
    shape = (len(video["objects"]), video["length"])

    def table(key: str) -> Flags:
        return np.array([item[key] for item in video["objects"]], bool).reshape(shape)

    ids = np.array([item["category_id"] for item in video["objects"]], np.int64)
    heard = np.zeros((video["length"], len(IDS) + 1), bool)
    for source in (*video["objects"], *video["off_screen"]):
        heard[:, source["category_id"]] |= np.array(source["sounding"], bool)
    return VideoFlags(ids, table("sounding"), table("visible"), table("showing"), heard)


def shortcuts(video: VideoFlags) -> dict[str, Flags]:
    """Field of ``SplitStats`` -> (K, T): the objects that cheat gives in each frame."""
    ever = (video.sounding & video.visible).any(axis=1, keepdims=True)
    return {
        "fsla_nothing": np.zeros_like(video.visible),
        "fsla_all_visible": video.visible,
        "fsla_no_gate": video.visible & ever,
        "fsla_glowing": video.visible & video.showing,
        "fsla_heard_category": video.visible & video.heard[:, video.category_ids].T,
    }


def _twin_facts(video: VideoFlags) -> tuple[bool, bool]:
    """Whether two objects share a category, and whether two of one category are ground truth at some time."""
    ever = (video.sounding & video.visible).any(axis=1)
    twins = len(set(video.category_ids.tolist())) < len(video.category_ids)
    sounding = video.category_ids[ever].tolist()
    return twins, len(set(sounding)) < len(sounding)


def measure(videos: Sequence[VideoFlags], off_screen: Sequence[bool]) -> SplitStats:
    """The numbers of a split; ``off_screen``: for each video, whether it has a sound nobody shows."""
    truths = [video.sounding & video.visible for video in videos]
    counts = np.concatenate([truth.sum(axis=0) for truth in truths])
    right: dict[str, list[Flags]] = {}
    for video, truth in zip(videos, truths, strict=True):
        for name, given in shortcuts(video).items():
            right.setdefault(name, []).append((given == truth).all(axis=0))
    scores = {name: 100 * float(np.concatenate(frames).mean()) for name, frames in right.items()}
    twins = np.array([_twin_facts(video) for video in videos], bool)
    silent = [bool((~video.sounding.any(axis=1)).any()) for video in videos]
    return SplitStats(
        clips=len(videos),
        frames=len(counts),
        frames_none=100 * float((counts == 0).mean()),
        frames_single=100 * float((counts == 1).mean()),
        frames_multi=100 * float((counts > 1).mean()),
        clips_with_twins=100 * float(twins[:, 0].mean()),
        clips_with_both_twins_sounding=100 * float(twins[:, 1].mean()),
        clips_with_silent_object=100 * float(np.mean(silent)),
        clips_with_off_screen_sound=100 * float(np.mean(off_screen)),
        **scores,
    )


def measure_file(path: Path) -> SplitStats:
    """The numbers of a split from its ``SPLIT_objects.json``. Raises AnnotationError if that cannot be read."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != OBJECTS_FORMAT or content["version"] != OBJECTS_VERSION:
            raise ValueError("another format or version")
        videos = content["videos"]
        return measure([read_flags(video) for video in videos], [bool(video["off_screen"]) for video in videos])
    except OSError as failure:
        cause = failure.strerror or str(failure)
        raise AnnotationError(
            f"cannot be read: {cause}", hint="make the split first, with --videos", file=path
        ) from None
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as failure:
        raise AnnotationError(
            f"is no description of objects as avis synth writes it ({type(failure).__name__}: {failure})",
            hint="make the split again, with --videos and --overwrite",
            file=path,
        ) from None
