"""What the page's timeline shows: the sound's shape and when each track sounds, in a bounded number of figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from avis_cli.media.clip import Waveform
from avis_cli.results.clip import ClipResult
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
