"""What a page holds of a clip, in a bounded number of bytes: masks, the waveform, when each track sounds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from avis_cli.media.clip_info import Waveform
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult
from avis_cli.results.run_length import RunLength
from avis_cli.writers.report.template import embedded_json
from avis_cli.writers.timeline import envelope

Span = tuple[float, float]  # seconds

COLUMNS = 600  # of the waveform; about one for each pixel of a phone held upright, half a pixel of a desk's screen
_FULL = 99  # the loudest column
_QUIET_PEAK = 0.05  # a waveform below this is not drawn any larger: silence must look silent
_MAX_SPANS = 1600  # of all tracks together
_FEWEST_SPANS = 4  # of a track, however many there are


def clip_span(result: ClipResult) -> Span:
    """Seconds (start, end) of the part of the clip that the result speaks about."""
    if not result.times:
        return 0.0, max(result.source.duration, 0.0)
    # a container's duration is a guess: the page holds at least what the result has
    return result.times[0], max(min(result.end, result.source.duration), result.times[-1])


def wave_columns(waveform: Waveform, span: Span) -> dict[str, list[int]]:
    """``low`` and ``high`` of each of ``COLUMNS`` equal parts of the span, -99..99."""
    low, high = envelope(waveform, span[0], max(span[1] - span[0], 1e-3), COLUMNS)
    peak = max(float(np.abs(low).max(initial=0)), float(np.abs(high).max(initial=0)), _QUIET_PEAK)
    return {
        name: np.rint(values / peak * _FULL).astype(int).tolist() for name, values in (("low", low), ("high", high))
    }


def spans_per_track(tracks: int) -> int:
    """How many intervals of each track the page has room for."""
    return max(_FEWEST_SPANS, _MAX_SPANS // max(tracks, 1))


def join_nearest(spans: Sequence[Span], most: int) -> list[Span]:
    """At most ``most`` spans (rising and apart): those with the shortest pauses between them become one."""
    by_pause = sorted(range(1, len(spans)), key=lambda n: spans[n][0] - spans[n - 1][1])
    closed = set(by_pause[: max(len(spans) - most, 0)])
    joined: list[Span] = []
    for index, (start, end) in enumerate(spans):
        if index in closed:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def seconds_covered(spans: Iterable[Span]) -> float:
    """Seconds in which at least one of the spans lies."""
    total, reached = 0.0, -np.inf
    for start, end in sorted(spans):
        total += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    return float(total)


_LARGEST = 960  # pixels on the longer side; the page shows a clip hardly larger
_SMALLEST = 240  # coarser masks are no longer worth more than fewer of them


@dataclass(frozen=True)
class PageMasks:
    """``size``: [height, width] of the masks; ``times``: seconds of the mask frames kept; ``counts``: for each track
    COCO's compressed runs of each of these frames, joined by spaces, nothing where it is absent; ``step``: every how
    manyeth mask frame is kept."""

    size: tuple[int, int]
    times: list[float]
    counts: list[str]
    step: int

    @property
    def length(self) -> int:
        """Bytes in the page."""
        return len(embedded_json(self.counts)) + len(embedded_json(self.times))


def fit_masks(result: ClipResult, room: int) -> PageMasks:
    """The masks of ``result`` in at most ``room`` bytes: made smaller first, then fewer; at last none at all."""
    longer = max(result.source.width, result.source.height)
    raw = sum(len(mask["counts"]) for track in result.tracks for mask in track.masks if mask is not None)
    raw += len(result.times) * (len(result.tracks) + 8)
    # a mask's runs grow with its width: at half the size there are half as many
    least, most = min(1.0, _SMALLEST / longer), min(1.0, _LARGEST / longer)
    scale = min(max(room / max(raw, 1), least), most)
    step = max(1, math.ceil(raw * scale / max(room, 1)))
    while step <= len(result.times):
        masks = _pack(result, scale, step)
        if masks.length <= room:
            return masks
        step = max(step + 1, math.ceil(step * masks.length / max(room, 1)))
    return PageMasks((1, 1), [], ["" for _ in result.tracks], 1)


def _pack(result: ClipResult, scale: float, step: int) -> PageMasks:
    size = max(1, round(result.source.height * scale)), max(1, round(result.source.width * scale))
    counts = [
        " ".join("" if mask is None else resized(mask, size)["counts"] for mask in track.masks[::step])
        for track in result.tracks
    ]
    return PageMasks(size, [round(time, 3) for time in result.times[::step]], counts, step)


def resized(mask: RunLength, size: tuple[int, int]) -> RunLength:
    """A mask at ``size`` (height, width): a pixel is in it if half of what it covers is, and none is lost entirely."""
    if tuple(mask["size"]) == size:
        return mask
    share = cv2.resize(run_length.decode(mask).astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    inside = share >= 0.5
    return run_length.encode(np.asarray(inside if inside.any() else share > 0))
