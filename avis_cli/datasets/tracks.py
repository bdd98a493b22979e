"""What the readers hand to the metrics: videos with their ground-truth and predicted tracks.

Masks are pycocotools' compressed run lengths with ``bytes`` counts, already checked, so that C code may read them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Mask = dict[str, Any]  # {"size": [height, width], "counts": bytes}


@dataclass(frozen=True)
class Category:
    id: int
    name: str


@dataclass(frozen=True)
class TruthTrack:
    """An annotation. ``masks``: one per annotated frame, None where the file has null or an empty list.

    ``empty_lists``: the frames whose segmentation is ``[]``, which the released FSLA does not treat as null.
    ``areas``: the file's own numbers (None where null), from which the released mAP takes the track's size.
    """

    id: int
    category_id: int
    is_crowd: bool
    areas: list[float | None]
    masks: list[Mask | None]
    empty_lists: frozenset[int] = frozenset()


@dataclass(frozen=True)
class PredictedTrack:
    """One element of a results list; ``entry`` is its position in the file."""

    entry: int
    category_id: int
    score: float
    masks: list[Mask | None]


@dataclass(frozen=True)
class Video:
    """``name``: text before the first ``/`` of the first file name. ``length``: number of ``file_names``."""

    id: int
    name: str
    length: int
    height: int
    width: int
    file_names: list[str]
    truths: list[TruthTrack] = field(default_factory=list)
    predictions: list[PredictedTrack] = field(default_factory=list)


@dataclass(frozen=True)
class Dataset:
    """Everything that is scored: categories and videos in file order."""

    categories: list[Category]
    videos: list[Video]
