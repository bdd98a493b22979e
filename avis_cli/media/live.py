"""A live source read as it comes: the newest picture, and all of the sound.

A thread demultiplexes and decodes; whoever takes pictures from it gets the newest one whose sound is there, and what
came in between is dropped and counted. Of files nothing is dropped, unless they are paced as if they were live.
"""

from __future__ import annotations

import threading
import time as clock
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import MediaError
from avis_cli.media import packets, picture, sound
from avis_cli.media.container import DEFAULT_MAX_PIXELS, require_size
from avis_cli.media.live_address import LiveAddress, open_address
from avis_cli.media.live_clock import DriftCorrection, LiveClock
from avis_cli.media.live_sound import SoundRing
from avis_cli.media.packets import Damage

OPEN_SECONDS = 10.0
"""That a source may take to open, and to bring anything, before it counts as lost."""
SOUND_PATIENCE = 3.0
"""Seconds that a picture waits for its sound: a source whose sound comes later than that is taken for silent."""
WAITING_BYTES = 256 << 20
"""Of decoded pictures that wait for their sound."""
_GLANCE = 0.1  # seconds between two looks whether the reading was stopped
_QUEUED = 4  # pictures of a file that are decoded ahead of their use


@dataclass(frozen=True, eq=False)
class LivePicture:
    """``image`` uint8 RGB (H, W, 3), upright; ``time`` in seconds since the source began; ``index``: its number among
    the source's pictures; ``dropped``: those left out since the one before. On the process's monotonic clock, in
    seconds: ``arrived``, its data; ``decoded``; ``taken``, when its turn came. ``wall``: seconds since 1970 at which it
    arrived, None for files."""

    image: NDArray[np.uint8]
    time: float
    index: int
    dropped: int
    arrived: float
    decoded: float
    taken: float
    wall: float | None


@dataclass(frozen=True, eq=False)
class _Waiting:
    frame: Any
    time: float
    index: int
    arrived: float
    decoded: float


class LiveSource:
    """One connection to a source, from its opening to its end or loss.

    ``sound``: what was heard of it, shared with connections before and after it; ``begin``: seconds at which this
    connection's first picture is placed; ``lookahead``: seconds after a picture's time up to which its sound is waited
    for; ``paced``: whether a file is held back to its own speed and treated as live. ``has_sound``: None until it is
    opened. Raises MediaError where it cannot be opened or has no picture.
    """

    def __init__(
        self,
        address: LiveAddress,
        *,
        audio: LiveAddress | None = None,
        sound: SoundRing | None = None,
        begin: float = 0.0,
        lookahead: float = 0.0,
        paced: bool = False,
        first_index: int = 0,
    ) -> None:
        self.address, self.sound = address, sound or SoundRing()
        self.drops = address.is_live or paced
        self._paced, self._lookahead = paced, lookahead
        self._clock = LiveClock(Fraction(begin))
        self._drift = DriftCorrection() if audio is not None else None
        self._changed = threading.Condition()
        self._waiting: deque[_Waiting] = deque()
        self._stop = threading.Event()
        self._ended = self._sound_ended = False
        self._error: MediaError | None = None
        self._index, self._dropped = first_index, 0
        self._damage = Damage()
        self.jumps_told = 0
        self._begun = clock.monotonic()
        self._container = open_address(address, OPEN_SECONDS)
        try:
            self._open_streams(audio)
        except BaseException:
            self._container.close()
            raise
        self._threads = [threading.Thread(target=self._read, args=(self._container, self._streams), daemon=True)]
        if self._other is not None:
            self._threads.append(threading.Thread(target=self._read_sound, daemon=True))
        for thread in self._threads:
            thread.start()

    def _open_streams(self, audio: LiveAddress | None) -> None:
        streams = self._container.streams
        if not streams.video:
            raise MediaError("has no picture", hint="give a source with a video stream", file=self.address.shown)
        self._other = None if audio is None else open_address(audio, OPEN_SECONDS)
        self._video = streams.video[0]
        own = [] if audio is not None else list(streams.audio[:1])
        self._streams = [self._video, *own]
        if self._other is not None and not self._other.streams.audio:
            raise MediaError("has no sound", hint="give --audio a source that has", file=audio.shown if audio else None)
        self.has_sound = bool(own) or self._other is not None
        self._video.codec_context.thread_count = 1  # more threads only hold pictures back

    @property
    def failures(self) -> int:
        """Packets and pictures that could not be decoded."""
        return self._damage.failures

    @property
    def jumps(self) -> int:
        """Times that a clock of the source was set anew."""
        return self._clock.jumps

    @property
    def drift(self) -> float:
        """Seconds by which pictures were set right against the sound of another device."""
        return 0.0 if self._drift is None else self._drift.seconds

    @property
    def count(self) -> int:
        """Pictures so far, those that were dropped among them."""
        return self._index

    def pictures(self) -> Iterator[LivePicture]:
        """The pictures, each when its turn comes, until the source ends. Raises MediaError where it is lost."""
        while (waiting := self._take()) is not None:
            taken = clock.monotonic()
            frame, dropped = waiting.frame, self._dropped
            self._dropped = 0
            orientation, _ = picture.orientation_of(frame)
            image = orientation.upright(picture.to_rgb(frame, frame.width, frame.height))
            wall = clock.time() - (clock.monotonic() - waiting.arrived) if self.drops else None
            yield LivePicture(
                image, waiting.time, waiting.index, dropped, waiting.arrived, waiting.decoded, taken, wall
            )
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Bring no more pictures; returns at once."""
        self._stop.set()

    def close(self) -> None:
        """Stop reading; what waits is given up."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(1.0)
        for container, thread in zip((self._container, self._other), self._threads, strict=False):
            if container is not None and not thread.is_alive():
                with suppress(av.FFmpegError, OSError):
                    container.close()

    # the thread that takes pictures --------------------------------------------------------------------------------

    def _take(self) -> _Waiting | None:
        with self._changed:
            while True:
                ready = 0 if self._stop.is_set() else self._ready()
                if ready:
                    break
                if self._stop.is_set() or (self._ended and not self._waiting):
                    return None
                self._changed.wait(_GLANCE)
            count = ready if self.drops else 1
            self._dropped += count - 1
            for _ in range(count - 1):
                self._waiting.popleft()
            taken = self._waiting.popleft()
            self._changed.notify_all()
            return taken

    def _ready(self) -> int:
        """How many of the waiting pictures have the sound that they need."""
        if not self._waiting:
            return 0
        if not self.has_sound or self._ended or self._sound_ended:
            return len(self._waiting)
        known = self.sound.end
        ready = 0 if known is None else sum(one.time + self._lookahead <= known for one in self._waiting)
        if ready == 0:
            oldest, now = self._waiting[0], clock.monotonic()
            held = sum(_bytes(one.frame) for one in self._waiting)
            late = now - oldest.decoded > SOUND_PATIENCE if self.drops else held > WAITING_BYTES
            return 1 if late or held > WAITING_BYTES else 0
        return ready

    # the threads that read -----------------------------------------------------------------------------------------

    def _read(self, container: Any, streams: list[Any]) -> None:
        try:
            for packet in self._packets(container, streams):
                if self._stop.is_set():
                    return
                self._decoded(packet.stream, packet, clock.monotonic())
            for stream in streams:
                self._decoded(stream, None, clock.monotonic())
            if self._damage.stopped:
                self._error = MediaError("the source broke off", file=self.address.shown)
        except Exception as error:
            self._error = self._error or _lost(error, self.address)
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _packets(self, container: Any, streams: list[Any]) -> Iterator[Any]:
        """In the order they come. An error of a file may be passed over, one of a connection is its end."""
        if not self.address.is_live:
            yield from packets.demux(container, streams, self._damage)
            return
        for packet in container.demux(*streams):
            if packet.size:
                yield packet

    def _read_sound(self) -> None:
        try:
            other = self._other
            assert other is not None
            for packet in self._packets(other, [other.streams.audio[0]]):
                if self._stop.is_set():
                    return
                self._decoded(packet.stream, packet, clock.monotonic())
        except Exception:
            self._damage.fail()
        finally:
            with self._changed:
                self._sound_ended = True
                self._changed.notify_all()

    def _decoded(self, stream: Any, packet: Any, arrived: float) -> None:
        for frame in packets.decode_packet(stream, packet, self._damage):
            if isinstance(frame, av.VideoFrame):
                self._picture(frame, stream, arrived)
            else:
                self._block(frame, stream, arrived)
        self._damage.in_a_row = 0  # a live source goes on after any damage

    def _picture(self, frame: Any, stream: Any, arrived: float) -> None:
        require_size(frame.width, frame.height, self.address.shown, DEFAULT_MAX_PIXELS)
        stamp = packets.timestamp(frame, stream)
        rate = stream.average_rate or stream.guessed_rate
        time = float(self._clock.place("picture", stamp, 1 / Fraction(rate) if rate else None))
        now = clock.monotonic()
        if self._drift is not None:
            self._drift.arrived("picture", time, now)
            time += self._drift.seconds
        if self._paced and (ahead := self._begun + time - now) > 0:
            self._stop.wait(ahead)
        with self._changed:
            self._waiting.append(_Waiting(frame, time, self._index, arrived, clock.monotonic()))
            self._index += 1
            if self.drops:
                while sum(_bytes(one.frame) for one in self._waiting) > WAITING_BYTES and len(self._waiting) > 1:
                    self._waiting.popleft()
                    self._dropped += 1
            self._changed.notify_all()
            while not self.drops and self._ready() >= _QUEUED and not self._stop.is_set():
                self._changed.wait(_GLANCE)

    def _block(self, frame: Any, stream: Any, arrived: float) -> None:
        stamp = packets.timestamp(frame, stream)
        seconds = Fraction(frame.samples, frame.sample_rate)
        if self._other is None:
            if not self._clock.is_set and self._video.start_time is not None:
                self._clock.start(self._video.start_time * Fraction(self._video.time_base))
            time = float(self._clock.place("sound", stamp, seconds))
        else:
            time = self._other_time(stamp, seconds, arrived)
        self.sound.append(sound.to_mono(frame)[0], frame.sample_rate, time)
        with self._changed:
            self._changed.notify_all()

    def _other_time(self, stamp: Fraction | None, seconds: Fraction, arrived: float) -> float:
        """The time of a block of another device: its first belongs to the moment at which it came."""
        if not hasattr(self, "_sound_clock"):
            self._sound_clock = LiveClock(Fraction(arrived - self._begun) - seconds)
            self._sound_clock.start(stamp)
        time = float(self._sound_clock.place("sound", stamp, seconds))
        if self._drift is not None:
            self._drift.arrived("sound", time + float(seconds), arrived)
        return time


def _bytes(frame: Any) -> int:
    return sum(plane.buffer_size for plane in frame.planes)


def _lost(error: Exception, address: LiveAddress) -> MediaError:
    if isinstance(error, MediaError):
        return error
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return MediaError(f"the source is lost ({reason})", file=address.shown)
