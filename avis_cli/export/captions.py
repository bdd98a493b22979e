"""Who sounds when, as captions: the time cut wherever a track begins or ends, each piece with all that sound in it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from avis_cli.results.clip import ClipResult, Track


@dataclass(frozen=True)
class Caption:
    """From ``start`` to ``end`` in whole milliseconds, ``tracks`` (in the order of the result) sound."""

    start: int
    end: int
    tracks: tuple[Track, ...]


def captions(result: ClipResult) -> list[Caption]:
    """In order, apart, none empty; pieces shorter than a millisecond are left out."""
    spans = [
        (round(start * 1000), round(end * 1000), place)
        for place, track in enumerate(result.tracks)
        for start, end in track.sounding
    ]
    edges = sorted({time for start, end, _ in spans for time in (start, end)})
    begins: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for start, end, place in spans:
        if start < end:
            begins.setdefault(start, []).append(place)
            ends.setdefault(end, []).append(place)
    found: list[Caption] = []
    # spans of one track may touch: it then ends and begins at once, so places are counted
    now: dict[int, int] = {}
    for start, end in pairwise(edges):
        for place in begins.get(start, []):
            now[place] = now.get(place, 0) + 1
        for place in ends.get(start, []):
            now[place] -= 1
        tracks = tuple(result.tracks[place] for place in sorted(now) if now[place])
        if tracks and found and found[-1].end == start and found[-1].tracks == tracks:
            found[-1] = Caption(found[-1].start, end, tracks)
        elif tracks:
            found.append(Caption(start, end, tracks))
    return found


def clock(milliseconds: int, point: str) -> str:
    """``00:01:02.500`` with ``point`` between seconds and milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{point}{rest:03d}"
