"""From an open file to decoded pictures or sound, past damaged places, never for ever."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

MAX_FAILURES_IN_A_ROW = 8


@dataclass
class Damage:
    """What could not be read.

    ``failures``: packets or pictures skipped; ``stopped``: too many came in a row; ``encrypted``: a packet said so.
    """

    failures: int = 0
    stopped: bool = False
    encrypted: bool = False
    in_a_row: int = 0
    armed: bool = True  # whether failures count towards a row yet

    def fail(self) -> None:
        """One more failure; the eighth in a row stops the reading."""
        self.failures += 1
        if self.armed:
            self.in_a_row += 1
            self.stopped = self.in_a_row >= MAX_FAILURES_IN_A_ROW

    def succeed(self) -> None:
        """Something was decoded: the row is broken."""
        self.in_a_row = 0
        self.armed = True


def demux(container: InputContainer, streams: list[Any], damage: Damage) -> Iterator[av.Packet]:
    """Packets of ``streams`` in file order, without the empty ones that flush; stops for good after eight errors."""
    errors = 0
    while errors < MAX_FAILURES_IN_A_ROW:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    errors = 0
                    yield packet
            return
        except av.FFmpegError:  # a demuxer that finds its place again may go on
            errors += 1
            damage.fail()
    damage.stopped = True


def decode(container: InputContainer, stream: Any, damage: Damage) -> Iterator[Any]:
    """Frames of one video or audio stream in presentation order, damaged ones left out and counted.

    Failures before the first key frame do not count towards a row: a recording may begin in the middle of something.
    """
    damage.armed = False
    for packet in demux(container, [stream], damage):
        damage.armed = damage.armed or packet.is_keyframe
        damage.encrypted = damage.encrypted or _is_encrypted(packet)
        yield from decode_packet(stream, packet, damage)
        if damage.stopped:
            break
    yield from decode_packet(stream, None, damage)


def decode_packet(stream: Any, packet: av.Packet | None, damage: Damage) -> Iterator[Any]:
    """Frames that ``packet`` completes; None drains the decoder."""
    try:
        frames = stream.codec_context.decode(packet)
    except EOFError:
        return
    except av.FFmpegError:
        damage.fail()
        return
    for frame in frames:
        if frame.is_corrupt:
            damage.fail()
        else:
            damage.succeed()
            yield frame


def _is_encrypted(packet: Any) -> bool:
    look = getattr(packet, "has_sidedata", None)  # not in every PyAV: such a packet then only fails to decode
    return look is not None and look("encryption_info")


def timestamp(frame: Any, stream: Any) -> Fraction | None:
    """A frame's or packet's own presentation time in seconds of the file's clock, None if it has none."""
    ticks = frame.pts if frame.pts is not None else frame.dts
    return None if ticks is None or stream.time_base is None else ticks * Fraction(stream.time_base)
