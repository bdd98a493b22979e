"""Who sounds in which second.

Plans are made in whole seconds, because truth is given per second: the frame at second i belongs to the sound in
[i, i + 1). An interval starts a little before its first second and ends a little before its last one is over, so a
second holds either nearly all or nearly nothing of an interval and never about half. A second counts as sounding when
at least ``ENOUGH`` of it does. `unaligned` moves the borders to anywhere in a second, as sounds outside this world
begin and end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ENOUGH = 0.4  # seconds of sound within a second that make it a sounding one
_EARLY = (0.10, 0.18)  # seconds by which an interval starts, and ends, before the whole second
_MOVED = 0.5  # seconds by which a border is moved at most where sounds are not to keep to whole seconds

Seconds = NDArray[np.bool_]


@dataclass(frozen=True)
class ActiveInterval:
    """One stretch of sounding, in seconds of the clip's clock; ``start`` may lie before 0."""

    start: float
    end: float


def active_intervals(plan: Seconds, rng: np.random.Generator) -> tuple[ActiveInterval, ...]:
    """A plan per second (n,) -> its intervals with exact borders."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], plan, [False]]).astype(np.int8)))
    found = []
    for first, beyond in zip(edges[::2], edges[1::2], strict=True):
        # the last second of a clip is whole: no silence follows from which it would have to be distinguished
        late = 0.0 if beyond == len(plan) else rng.uniform(*_EARLY)
        found.append(ActiveInterval(float(first - rng.uniform(*_EARLY)), float(beyond - late)))
    return tuple(found)


def unaligned(
    intervals: tuple[ActiveInterval, ...], seconds: int, rng: np.random.Generator
) -> tuple[ActiveInterval, ...]:
    """The intervals with each border moved by up to half a second either way, so that it lies anywhere in a second.

    Each keeps at least ``ENOUGH`` seconds and its distance from the next one's start; the border at a clip's end is
    no switch and stays.
    """
    moved: list[ActiveInterval] = []
    for interval in intervals:
        early, late = rng.uniform(-_MOVED, _MOVED, 2)
        after = moved[-1].end if moved else -np.inf
        start = max(interval.start + early, after)
        end = interval.end if interval.end >= seconds else min(interval.end + late, float(seconds))
        moved.append(ActiveInterval(float(start), float(max(end, start + ENOUGH))))
    return tuple(moved)


def sounding_seconds(intervals: tuple[ActiveInterval, ...], seconds: int) -> Seconds:
    """Which seconds (n,) hold at least ``ENOUGH`` seconds of the intervals."""
    starts = np.arange(seconds, dtype=np.float64)
    heard = np.zeros(seconds)
    for interval in intervals:
        heard += np.clip(np.minimum(starts + 1, interval.end) - np.maximum(starts, interval.start), 0.0, None)
    return np.asarray(heard >= ENOUGH)


def level(intervals: tuple[ActiveInterval, ...], time: float, ramp: float = 0.1) -> float:
    """0..1 at ``time``: 1 inside a stretch, with a ramp of ``ramp`` seconds just inside its borders."""
    best = 0.0
    for interval in intervals:
        best = max(best, min((time - interval.start) / ramp, (interval.end - time) / ramp))
    return float(np.clip(best, 0.0, 1.0))


def on_and_off(
    rng: np.random.Generator, seconds: int, on: tuple[int, int] = (2, 4), off: tuple[int, int] = (2, 5)
) -> Seconds:
    """Alternating intervals of ``on`` and ``off`` whole seconds (both ends included), at least one second on."""
    plan = np.zeros(seconds, bool)
    at = 0
    sounding = bool(rng.random() < 0.5)
    if not sounding:
        at = int(rng.integers(1, min(off[1], max(seconds - 1, 1)) + 1))
        sounding = True
    while at < seconds:
        length = int(rng.integers(on[0], on[1] + 1) if sounding else rng.integers(off[0], off[1] + 1))
        plan[at : at + length] = sounding
        at += length
        sounding = not sounding
    if not plan.any():
        plan[int(rng.integers(seconds))] = True
    return plan


def in_turns(rng: np.random.Generator, seconds: int) -> tuple[Seconds, Seconds]:
    """Two plans that never sound in the same second, handing over with or without a pause."""
    first, second = np.zeros(seconds, bool), np.zeros(seconds, bool)
    owner = (first, second) if rng.random() < 0.5 else (second, first)
    at = int(rng.integers(0, 2)) if seconds > 3 else 0
    turn = 0
    while at < seconds:
        # both get their turn even in a short clip
        length = min(int(rng.integers(2, 4)), max(seconds // 2, 1))
        owner[turn % 2][at : at + length] = True
        at += length
        at += int(rng.integers(0, 3)) if at + 2 < seconds else 0
        turn += 1
    return first, second


def at_once(rng: np.random.Generator, seconds: int) -> tuple[Seconds, Seconds]:
    """Two plans that share at least one second and differ where the clip is long enough."""
    shared = on_and_off(rng, seconds, on=(2, 4), off=(2, 4))
    first, second = shared.copy(), shared.copy()
    for plan in (first, second):
        moved = np.roll(shared, int(rng.integers(-1, 2)))
        plan |= moved & (rng.random(seconds) < 0.4)
    if seconds > 4:
        alone = int(rng.integers(seconds))
        second[alone] = False
        first[alone] = True
    if not (first & second).any():
        both = int(rng.integers(seconds))
        first[both] = second[both] = True
    return first, second
