"""Time on the clip's clock: timestamps put in order, and frames picked by time for a rate.

Everything here is exact arithmetic on fractions of a second and knows nothing of files or pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, TypeVar

T = TypeVar("T")

REWIND = Fraction(1)  # seconds back that mean the clock was set anew, not that two timestamps were swapped
LEAP = Fraction(3600)  # seconds ahead that no camera pauses for


@dataclass(frozen=True)
class ShownPicture(Generic[T]):
    """A picture shown from ``time`` until just before ``until`` (seconds)."""

    picture: T
    time: Fraction
    until: Fraction


class ClipClock:
    """Turns a file's timestamps, in the order pictures come out of the decoder, into strictly rising clip times.

    A missing timestamp is one nominal ``step`` after the previous picture. One at or before the previous picture's is
    placed half a step after it. A jump back by more than a second or ahead by more than an hour is a clock set anew:
    the picture follows one step after the previous one, and so does everything after it, until the old clock fits
    again (within a second after the previous picture): then it was one bad timestamp.
    """

    def __init__(self, origin: Fraction, step: Fraction) -> None:
        self._origin = origin
        self._shift = Fraction(0)  # by which the clock has been set anew
        self._step = step
        self._last: Fraction | None = None
        self.repaired = 0  # timestamps that were missing or out of order

    def place(self, stamp: Fraction | None) -> Fraction:
        """The clip time of the next picture, whose timestamp in the file is ``stamp`` (seconds)."""
        last = self._last
        if last is not None and stamp is not None and last < stamp - self._origin <= last + REWIND:
            self._shift = Fraction(0)
        if last is None:
            time = Fraction(0) if stamp is None else max(stamp - self._origin, Fraction(0))
        elif stamp is None:
            time = last + self._step
            self.repaired += 1
        else:
            time = stamp - self._origin + self._shift
            if time <= last - REWIND or time > last + LEAP:
                self._shift += last + self._step - time
                time = last + self._step
                self.repaired += 1
            elif time <= last:
                time = last + self._step / 2
                self.repaired += 1
        self._last = time
        return time


def on_grid(
    shown: Iterable[ShownPicture[T]], rate: Fraction, start: Fraction = Fraction(0), end: Fraction | None = None
) -> Iterator[tuple[ShownPicture[T], Fraction]]:
    """For each grid time ``start + k / rate`` the picture being shown then: (picture, grid time).

    The picture shown at a time is the latest that starts at or before it; before the first picture, the first. The
    grid holds every time before ``end`` and before the last picture's own end, so a clip of 9.96 or of 10 seconds has
    ten times at 1 per second and one of 10.04 seconds has eleven. A picture may serve several grid times, or none.
    """
    k = 0
    for item in shown:
        while (time := start + k / rate) < item.until:
            if end is not None and time >= end:
                return
            yield item, time
            k += 1
