"""What a network still draws when the sound of a clip is replaced: by silence, by noise, by that of something that is
not in the picture. The questions are those of AVSBench-Robust (Li et al., 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import UsageError
from avis_cli.evaluate.report.tables import Table
from avis_cli.evaluate.semantic.printed import percent


@dataclass(frozen=True, eq=False)
class ReplacedSound:
    """Maps (frames, h, w) of one clip, drawn where they are not 0: ``kept`` with its own sound, ``replaced`` with the
    other one; ``truth``: what there is to draw with the other one, None for nothing."""

    kept: NDArray[Any]
    replaced: NDArray[Any]
    truth: NDArray[Any] | None = None


@dataclass(frozen=True)
class Robustness:
    """Over all frames, ratios from 0 to 1, None where undefined.

    ``frames_empty_kept``, ``frames_empty``: share of frames in which nothing is drawn, with the own sound and with the
    replaced one. ``pixels_drawn_kept``, ``pixels_drawn``: share of the pixels that are drawn, mean over frames.
    ``pixels_still_drawn``: of the pixels that are drawn with the own sound the share that is drawn with the replaced
    one too, mean over the frames that have such pixels. ``false_positive_rate``: of the pixels at which nothing is to
    be drawn with the replaced sound the share that is drawn, over all frames together.
    """

    frames: int
    frames_empty_kept: float
    frames_empty: float
    pixels_drawn_kept: float
    pixels_drawn: float
    pixels_still_drawn: float | None
    false_positive_rate: float | None


def robustness(clips: Iterable[ReplacedSound]) -> Robustness:
    """Of clips that come one after another. Raises UsageError for maps that do not go together, and for no clip."""
    counted = [_count(number, clip) for number, clip in enumerate(clips)]
    if not counted:
        raise UsageError("no clip to score")
    kept, drawn, still, silent, false, pixels = (np.concatenate(column) for column in zip(*counted, strict=True))
    some = kept > 0
    return Robustness(
        frames=len(drawn),
        frames_empty_kept=float((kept == 0).mean()),
        frames_empty=float((drawn == 0).mean()),
        pixels_drawn_kept=float((kept / pixels).mean()),
        pixels_drawn=float((drawn / pixels).mean()),
        pixels_still_drawn=float((still[some] / kept[some]).mean()) if some.any() else None,
        false_positive_rate=float(false.sum() / silent.sum()) if silent.any() else None,
    )


def robustness_table(replacements: Mapping[str, Mapping[str, Any] | None]) -> Table:
    """A row for each kind of replaced sound, from the fields of ``Robustness`` as scores.json has them; None where no
    clip could be asked."""
    shares = ("frames_empty", "pixels_drawn", "pixels_still_drawn", "false_positive_rate")
    rows = [
        [name, *("-" for _ in shares), "0"]
        if one is None
        else [name, *(percent(one[share]) for share in shares), str(one["frames"])]
        for name, one in replacements.items()
    ]
    header = ["sound replaced by", "empty frames", "drawn", "still drawn", "false positives", "frames"]
    return Table("With replaced sound, in percent", header, rows)


def _count(number: int, clip: ReplacedSound) -> tuple[NDArray[np.int64], ...]:
    """Pixels of each frame: drawn with the own sound, with the replaced one, with both; without truth, drawn there;
    all."""
    kept, drawn = np.asarray(clip.kept) != 0, np.asarray(clip.replaced) != 0
    truth = np.zeros_like(drawn) if clip.truth is None else np.asarray(clip.truth) != 0
    if not kept.shape == drawn.shape == truth.shape or drawn.ndim != 3 or not drawn.size:
        raise UsageError(
            f"clip {number}: maps of shapes {kept.shape}, {drawn.shape} and a truth of {truth.shape}, expected one "
            "(frames, h, w), each 1 or more"
        )
    pixels = np.full(len(drawn), drawn[0].size)
    counted = (kept, drawn, kept & drawn, ~truth, drawn & ~truth)
    return (*(maps.sum((1, 2)) for maps in counted), pixels)
