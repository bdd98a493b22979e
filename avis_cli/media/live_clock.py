"""Timestamps of a live source -> seconds since its beginning, through whatever its clocks do.

Pictures and sound of one source share a clock. Where it is set anew, back or far ahead, both go on as if nothing had
happened, by the same shift, so that what belongs together stays together.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

from avis_cli.media.clock import LEAP, REWIND

_NEAR = Fraction(2)  # seconds around where a stream should go on, in which another's shift is taken for its own too
_USUAL = Fraction(1, 25)


class LiveClock:
    """Time 0 is the first picture, or ``begin`` later where a source was opened again. Times of each stream rise."""

    def __init__(self, begin: Fraction = Fraction(0)) -> None:
        self._begin = begin
        self._origin: Fraction | None = None
        self._shifts: dict[str, Fraction] = {}
        self._newest = Fraction(0)
        self._last: dict[str, Fraction] = {}
        self.jumps = 0

    @property
    def is_set(self) -> bool:
        """Whether the time of the first picture is known."""
        return self._origin is not None

    def start(self, stamp: Fraction | None) -> None:
        """The first picture's timestamp in seconds."""
        self._origin = stamp or Fraction(0)

    def place(self, stream: str, stamp: Fraction | None, step: Fraction | None = None) -> Fraction:
        """The time of the next picture or block of ``stream``. ``step``: seconds to expect since the last one."""
        if self._origin is None:
            self.start(stamp)
        step = step or _USUAL
        last = self._last.get(stream)
        time = self._time(stream, stamp, step, last)
        if last is not None and stream == "picture" and time <= last:
            time = last + step / 2
        self._last[stream] = time
        return time

    def _time(self, stream: str, stamp: Fraction | None, step: Fraction, last: Fraction | None) -> Fraction:
        if stamp is None:
            return self._begin if last is None else last + step
        assert self._origin is not None
        bare = self._begin + stamp - self._origin
        time = bare + self._shifts.get(stream, Fraction(0))
        if last is None:
            return bare + self._newest
        if last - REWIND < time <= last + LEAP:
            return time
        shared = bare + self._newest
        if not last - REWIND < shared < last + step + _NEAR:
            self.jumps += 1
            self._newest = last + step - bare
        self._shifts[stream] = self._newest
        return bare + self._newest


class DriftCorrection:
    """Two devices have two clocks. Of each stream the smallest delay between a block's own time and its arrival is
    followed; by how much these part, the pictures are set right.

    Delays by a busy machine only ever add, so that the smallest of some seconds tells the clock.
    """

    WINDOW = 10.0  # seconds of arrivals that a delay is the smallest of
    WORTH_A_WORD = 0.04  # seconds

    def __init__(self) -> None:
        self._arrivals: dict[str, deque[tuple[float, float]]] = {"picture": deque(), "sound": deque()}
        self._begun: float | None = None
        self._now = 0.0
        self._first: float | None = None

    def arrived(self, stream: str, time: float, now: float) -> None:
        """``stream``, "picture" or "sound", brought what its own clock dates ``time`` at ``now``, both in seconds."""
        self._begun = now if self._begun is None else self._begun
        self._now = now
        arrivals = self._arrivals[stream]
        arrivals.append((now, now - time))
        while arrivals and arrivals[0][0] < now - self.WINDOW:
            arrivals.popleft()

    @property
    def seconds(self) -> float:
        """What is to be added to the times of pictures."""
        if self._begun is None or self._now < self._begun + self.WINDOW or not all(self._arrivals.values()):
            return 0.0  # the smallest delay is not known yet
        picture, sound = (min(delay for _, delay in self._arrivals[name]) for name in ("picture", "sound"))
        apart = picture - sound
        if self._first is None:
            self._first = apart
        return apart - self._first
