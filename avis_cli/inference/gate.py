"""The sounding gate in time: from how surely a track sounds in each token frame to when it is heard.

Two rules. A track is heard from a token frame whose value exceeds the threshold until one whose value is under
``KEEP`` times the threshold: a value that trembles about the threshold does not make it flicker. And because a token
frame's value speaks of the second of sound that starts at it, it stands for the middle of that second: between two
middles the value is taken to change evenly, and the track begins or ends where the line crosses one half, or the
threshold if that is lower: a value that is the share of its second that sounds is crossed exactly where the sound
begins or ends. A higher threshold decides what is heard, not when: it would make every track begin late and end early.
Letters: P tracks, T token frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

KEEP = 0.75  # of the threshold: a value above it goes on being heard
CROSSING = 0.5  # the value at a track's beginning and end, where the threshold is not lower
SECOND_MIDDLE = 0.5  # seconds from a token frame to the middle of the second of sound that it hears

Span = tuple[float, float]


def apply_hysteresis(values: NDArray[np.floating], threshold: float) -> NDArray[np.bool_]:
    """values (P, T), 0..1 -> whether each track is heard in each token frame (P, T)."""
    heard = np.zeros(values.shape, dtype=bool)
    before = np.zeros(values.shape[0], dtype=bool)
    for token in range(values.shape[1]):
        now = values[:, token]
        before = heard[:, token] = (now > threshold) | (before & (now >= KEEP * threshold))
    return heard


@dataclass(frozen=True)
class Gate:
    """When each track of a run of token frames is heard.

    ``heard`` (P, T); ``spans``: for each track the (start, end) in seconds of the clip's clock, rising and apart.
    """

    heard: NDArray[np.bool_]
    spans: list[list[Span]]

    @classmethod
    def of(
        cls,
        values: NDArray[np.floating],
        times: Sequence[Fraction],
        step: Fraction,
        threshold: float,
        drawn_at_tokens: bool = False,
    ) -> Gate:
        """values (P, T), 0..1, of the token frames at ``times``, ``step`` seconds apart. ``drawn_at_tokens``: masks are
        drawn at these times, so a span reaches back to the first of them that is heard."""
        heard = apply_hysteresis(values, threshold)
        middles = [float(time) + SECOND_MIDDLE for time in times]
        ends = (float(times[0]), float(times[-1] + step)) if times else (0.0, 0.0)
        rows = zip(heard, values, strict=True)
        spans = [_spans(on, row, middles, ends, threshold) for on, row in rows]
        return cls(
            heard,
            [_covering(track, on, times) for track, on in zip(spans, heard, strict=True)] if drawn_at_tokens else spans,
        )

    def at(self, time: Fraction) -> NDArray[np.bool_]:
        """Which tracks are heard at a time between token frames (P,)."""
        seconds = float(time)
        return np.array([any(start <= seconds < end for start, end in spans) for spans in self.spans], dtype=bool)


def _covering(spans: list[Span], heard: NDArray[np.bool_], times: Sequence[Fraction]) -> list[Span]:
    """One track's spans, each from the first heard token frame on that its beginning leaves out."""
    out: list[Span] = []
    for start, end in spans:
        before = out[-1][1] if out else -np.inf
        seen = [float(time) for time, on in zip(times, heard, strict=True) if on and before <= float(time) < end]
        out.append((min(start, *seen[:1]) if seen else start, end))
    return out


def _spans(
    heard: NDArray[np.bool_], values: NDArray[np.floating], middles: Sequence[float], ends: Span, threshold: float
) -> list[Span]:
    """One track's runs of heard token frames, each edge where the value crosses what it begins or ends at."""
    level = min(threshold, CROSSING)
    edges = [ends[0]] if len(heard) and heard[0] else []
    for token in np.flatnonzero(heard[1:] != heard[:-1]).tolist():
        before, after = float(values[token]), float(values[token + 1])
        share = min(max((level - before) / (after - before), 0.0), 1.0)
        edges.append(middles[token] + share * (middles[token + 1] - middles[token]))
    if len(edges) % 2:
        # the last value holds as long as the picture does; an edge in its second half may lie beyond that
        edges.append(max(ends[1], edges[-1]))
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
