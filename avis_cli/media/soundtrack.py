"""The source's own sound for a new video file: its packets as they are where MP4 can hold them, else as AAC."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from itertools import chain
from typing import Any, Protocol

import av
from av.container import InputContainer, OutputContainer

from avis_cli.errors import MediaError
from avis_cli.media import packets, sound
from avis_cli.media.clip_info import ClipInfo
from avis_cli.media.container import open_media
from avis_cli.media.packets import Damage
from avis_cli.media.waveform import AudioDecoder, seek

# decoders of the codecs that MP4 players read; PCM can be stored in MP4 too, but few players read it
_HELD_BY_MP4 = ("aac", "mp3", "mp3float", "ac3", "eac3", "opus", "libopus", "flac", "alac")
_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1")
_RUN_IN = Fraction(1, 10)  # seconds of packets before the cut, hidden by an edit list: codecs need them to settle
_SEEK_FROM = 2  # seconds
_BIT_RATE = 96_000  # per channel


class Soundtrack(Protocol):
    """Sound that is written as far as the picture has come."""

    def write_until(self, time: Fraction) -> None:
        """Write what sounds before ``time`` (seconds of the new file) and has not been written yet."""

    def finish(self) -> None:
        """Write what an encoder still holds."""


class CopiedSound:
    """The source's packets, moved to the new file's clock. What lies before its start is hidden by an edit list."""

    def __init__(
        self, out: OutputContainer, path: str | os.PathLike[str], clip: ClipInfo, zero: Fraction, opened: ExitStack
    ) -> None:
        self._path = path if clip.sound.holds_picture else clip.sound.file
        self._clip, self._zero, self._opened = clip, zero, opened
        template = self._open()[1]
        self._out = out
        self._track: Any = out.add_stream_from_template(template)
        self._tick = Fraction(template.time_base)
        self._packets = self._moved()
        self._held: Any = None
        self._last: int | None = None

    def write_until(self, time: Fraction) -> None:
        """Write the packets that begin before ``time`` (seconds of the new file)."""
        while True:
            with naming_source(self._path):
                packet = self._held or next(self._packets, None)
            self._held = packet
            if packet is None or packet.pts * self._tick >= time:
                return
            self._held = None
            if self._last is None or packet.dts > self._last:  # the muxer takes rising timestamps only
                self._mux(packet)

    def finish(self) -> None:
        """Nothing is held back."""

    def _mux(self, packet: Any) -> None:
        last, packet.stream = packet.dts, self._track
        try:
            self._out.mux(packet)
        except (OSError, MemoryError):  # a full disk, or the like
            raise
        except av.FFmpegError:  # a damaged packet, which the muxer cannot repack: silent here, as it would be played
            return
        self._last = last

    def _open(self) -> tuple[InputContainer, Any]:
        assert self._clip.audio is not None
        source = self._opened.enter_context(open_media(self._path, identity=self._clip.sound.identity))
        return source, source.streams.audio[self._clip.audio.index]

    def _moved(self) -> Iterator[Any]:
        """Packets from shortly before the new file's start on, with its timestamps."""
        shift = round((self._clip.sound.origin + self._zero) / self._tick)
        following = self._from(self._zero - 1) if self._zero > _SEEK_FROM else iter(())
        first = next(following, None)
        if first is None or first.pts - shift > -_RUN_IN / self._tick:  # the index led nowhere, or too far
            first, following = None, self._from(None)
        for packet in following if first is None else chain([first], following):
            dts = packet.pts if packet.dts is None else packet.dts
            packet.pts, packet.dts = packet.pts - shift, dts - shift
            if (packet.pts + (packet.duration or 0)) * self._tick > -_RUN_IN:
                yield packet

    def _from(self, time: Fraction | None) -> Iterator[Any]:
        source, stream = self._open()
        if time is None or seek(source, stream, self._clip.sound.origin + time):
            for packet in packets.demux(source, [stream], Damage()):
                if packet.pts is not None:
                    yield packet


class EncodedSound:
    """The source's sound decoded, cut to the new file's clock, and encoded as AAC."""

    def __init__(
        self,
        out: OutputContainer,
        path: str | os.PathLike[str],
        clip: ClipInfo,
        zero: Fraction,
        opened: ExitStack,
    ) -> None:
        frames = opened.enter_context(AudioDecoder(path, clip, start=zero)).frames()
        opening = next(frames, None)
        self._path = path if clip.sound.holds_picture else clip.sound.file
        self._out, self._written = out, 0
        self._track: Any = None
        if opening is None:
            return
        own, layout = opening[1].sample_rate, opening[1].layout
        self._rate = next((rate for rate in _AAC_RATES if rate >= own), _AAC_RATES[-1])
        read, given, self._layout = _mixing(layout)
        even = ((time, read(frame)) for time, frame in sound.unify_layout(chain([opening], frames), own, layout))
        self._blocks = sound.resample(sound.place_on_clock(even, own, zero), own, self._rate, given, self._layout)
        self._rest: sound.Samples | None = None
        self._track = out.add_stream("aac", rate=self._rate)
        self._track.codec_context.layout = self._layout
        self._track.codec_context.bit_rate = _BIT_RATE * len(av.AudioLayout(self._layout).channels)

    def write_until(self, time: Fraction) -> None:
        """Encode the samples that sound before ``time`` (seconds of the new file)."""
        limit = round(time * self._rate) if self._track is not None else 0
        while self._written < limit:
            with naming_source(self._path):
                block = self._rest if self._rest is not None else next(self._blocks, None)
            if block is None:
                return
            part, rest = block[:, : limit - self._written], block[:, limit - self._written :]
            self._rest = rest if rest.shape[1] else None
            self._out.mux(self._track.encode(sound.to_frame(part, self._layout, self._rate, self._written)))
            self._written += part.shape[1]

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._track is not None and self._written:
            self._out.mux(self._track.encode(None))


def open_soundtrack(
    out: OutputContainer,
    path: str | os.PathLike[str],
    clip: ClipInfo,
    zero: Fraction,
    opened: ExitStack,
    *,
    copying: bool,
) -> Soundtrack:
    """The clip's sound from ``zero`` on, as a new stream of ``out``; files it reads are closed with ``opened``."""
    if copying:
        return CopiedSound(out, path, clip, zero, opened)
    return EncodedSound(out, path, clip, zero, opened)


@contextmanager
def naming_source(path: str | os.PathLike[str]) -> Iterator[None]:
    """Tell of what cannot be read as a fault of ``path``, not of the file that is being written."""
    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise MediaError(
            f"its sound cannot be read: {error.strerror or error}", hint="copy it again", file=path
        ) from error


def can_copy(path: str | os.PathLike[str], clip: ClipInfo) -> bool:
    """Whether MP4 can hold the clip's sound as it is."""
    if clip.audio is None:
        return False
    with open_media(path if clip.sound.holds_picture else clip.sound.file, identity=clip.sound.identity) as source:
        context = source.streams.audio[clip.audio.index].codec_context
        return context is not None and context.name in _HELD_BY_MP4


def _mixing(layout: av.AudioLayout) -> tuple[Callable[[av.AudioFrame], sound.Samples], str, str]:
    """How to read decoded blocks, the layout they then have, and the layout to encode."""
    count = len(layout.channels)
    if count <= 2:
        name = ("mono", "stereo")[count - 1]
        return sound.to_samples, name, name
    known = sound.known_layout(layout)
    if known is None:  # nobody knows which is where
        return sound.to_mono, "mono", "mono"
    nearest = known.partition("(")[0]
    return sound.to_samples, known, nearest if nearest in _AAC_LAYOUTS else "stereo"
