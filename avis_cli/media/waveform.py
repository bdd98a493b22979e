"""Sound as one mono waveform: a clip's on the picture's clock, or that of a file without a picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, groupby
from typing import Any

import av
import numpy as np
from av.container import InputContainer

from avis_cli.errors import MediaError
from avis_cli.media import packets, sound, streams
from avis_cli.media.clip_info import SAMPLE_RATE, ClipInfo, Waveform
from avis_cli.media.clock import LEAP
from avis_cli.media.container import open_media
from avis_cli.media.frames import USUAL_STEP
from avis_cli.media.packets import Damage

_LEAD = 1  # whole seconds decoded before the start, so that codec and filter have settled
_BEYOND = Fraction(1, 2)  # seconds decoded past the end, for the same reason


def read_waveform(
    path: str | os.PathLike[str],
    clip: ClipInfo,
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    rate: int | None = SAMPLE_RATE,
) -> Waveform:
    """The clip's sound from ``start`` to ``end`` (seconds of the clip's clock) as mono float32.

    It begins at the sample nearest to ``start`` and reaches to ``end``; without one, or where the sound is shorter, to
    the end of the picture at most: there shorter sound is silent and longer sound is cut. Gaps are silent. ``rate``:
    samples per second; None keeps the file's own. Down-mix and resampling are those of ``media.sound``. Memory is
    about twice the result's.
    Raises MediaError where the clip has no sound or none of it can be decoded.
    """
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"0 <= start <= end expected, got start {start}, end {end}")
    with AudioDecoder(path, clip, start=Fraction(start), end=end) as reader:
        frames = reader.frames()
        opening = next(frames, None)
        if opening is None:
            raise MediaError("its sound cannot be decoded", hint="--allow-silent goes by the picture alone", file=path)
        own, layout = opening[1].sample_rate, opening[1].layout
        target = rate or own
        # whole seconds fall on a sample at any rate: a window comes out as it does in the whole
        even = sound.unify_layout(chain([opening], frames), own, layout)
        blocks = sound.place_on_clock(
            ((time, sound.to_mono(frame)) for time, frame in even), own, Fraction(reader.begin)
        )
        skip = round(start * target) - reader.begin * target
        limit = None if end is None else max(round(end * target) - round(start * target), 0)
        pieces, length = [], 0
        for block in sound.resample(blocks, own, target):
            piece = block[0, skip:] if limit is None else block[0, skip : skip + limit - length]
            skip = max(skip - block.shape[1], 0)
            length += len(piece)
            pieces.append(piece)
            if length == limit:
                break
        reach = limit
        if length != limit and reader.picture_end is not None:
            reach = max(round(reader.picture_end * target) - round(start * target), 0)
            reach = reach if limit is None else min(reach, limit)
    samples = np.zeros(length if reach is None else reach, np.float32)
    filled = 0
    for piece in pieces:
        piece = piece[: len(samples) - filled]
        np.clip(piece, -1, 1, out=samples[filled : filled + len(piece)])
        filled += len(piece)
    return Waveform(samples, target, Fraction(round(start * target), target))


class AudioDecoder:
    """Decoded blocks of a clip's sound with their times on the picture's clock; a context manager, read once.

    ``begin``: the whole second, at or before ``start``, from which on the blocks are of use. ``picture_end``: where
    the picture ends by its packets' timestamps (seconds), known once the blocks have come to the end of the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        clip: ClipInfo,
        *,
        start: Fraction = Fraction(0),
        end: Fraction | None = None,
    ) -> None:
        if clip.audio is None:
            raise MediaError("no audio stream", file=path)
        self._sound, self._index = clip.sound, clip.audio.index
        self._path = path if clip.sound.holds_picture else clip.sound.file
        self._clip = clip
        self._start, self._end = start, end
        self.begin = max(int(start) - _LEAD, 0)
        self.picture_end: Fraction | None = None
        self._open = ExitStack()

    def __enter__(self) -> AudioDecoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def frames(self) -> Iterator[tuple[Fraction | None, av.AudioFrame]]:
        """(clip time or None, block) in file order, up to the first block well after ``end``."""
        if self.begin > 0:
            blocks = self._frames(seeking=True)
            first = next(blocks, None)
            if first is not None and first[0] is not None and first[0] <= self._start:
                return chain([first], blocks)
        return self._frames(seeking=False)

    def _frames(self, seeking: bool) -> Iterator[tuple[Fraction | None, av.AudioFrame]]:
        self._open.close()
        clip, sound_file = self._clip, self._sound
        has_picture = sound_file.holds_picture
        self.picture_end = None if has_picture else clip.duration
        container = self._open.enter_context(open_media(self._path, identity=sound_file.identity))
        stream: Any = container.streams.audio[self._index]
        seen = clip.video_stream if has_picture else None
        picture: Any = None if seen is None else container.streams[seen]
        if seeking and not seek(container, stream, sound_file.origin + self.begin):
            return
        damage = Damage()
        for packet in chain(packets.demux(container, [s for s in (stream, picture) if s is not None], damage), [None]):
            if packet is not None and packet.stream_index != stream.index:
                self._see_picture(packet, picture)
                continue
            # a damaged stretch of sound is silence: unlike a picture it hides nothing that comes later
            for frame in packets.decode_packet(stream, packet, damage):
                stamp = packets.timestamp(frame, stream)
                time = None if stamp is None else stamp - sound_file.origin
                if self._end is not None and time is not None and time > self._end + _BEYOND:
                    return
                if frame.samples and frame.sample_rate > 0:
                    yield time, frame

    def _see_picture(self, packet: av.Packet, picture: Any) -> None:
        rate = self._clip.frame_rate
        step = 1 / rate if rate else USUAL_STEP
        last = self.picture_end
        stamp = packets.timestamp(packet, picture)
        time = (last or Fraction(0)) if stamp is None else stamp - self._clip.origin
        if time < (last or self._start) + LEAP:
            span = (packet.duration or 0) * Fraction(picture.time_base) or step
            self.picture_end = max(last or Fraction(0), time + span)


def seek(container: InputContainer, stream: Any, time: Fraction) -> bool:
    """Go to a packet at or before ``time`` (seconds of the file's clock); whether the file can do that at all."""
    try:
        container.seek(int(time / Fraction(stream.time_base)), stream=stream)
    except av.FFmpegError:
        return False
    return True


def read_sound(path: str | os.PathLike[str], *, seconds: Fraction | None = None) -> Waveform:
    """The first ``seconds`` of a file's sound, or all of it, as mono float32 at its own rate.

    Shorter sound stays shorter. Sample 0 is the file's first one: timestamps are not looked at. Down-mix as in
    ``media.sound``. Raises MediaError where there is no sound, or where part of it cannot be decoded.
    """
    with open_media(path) as container:
        chosen, _ = streams.choose_audio(container, None, path, [])
        if chosen is None:
            raise MediaError("no sound that can be decoded", hint="expected a WAV file", file=path)
        damage = Damage()
        frames = (
            frame
            for frame in packets.decode(container, container.streams.audio[chosen.index], damage)
            if frame.samples and frame.sample_rate > 0
        )
        opening = next(frames, None)
        if opening is None:
            raise MediaError("no sound in it", hint="expected a WAV file", file=path)
        rate = opening.sample_rate
        wanted = None if seconds is None else round(seconds * rate)
        blocks, length = [], 0
        for _, block in sound.unify_layout(((None, frame) for frame in chain([opening], frames)), rate, opening.layout):
            blocks.append(block)
            length += block.samples
            if wanted is not None and length >= wanted:
                break
        if damage.failures:
            raise MediaError("the sound is damaged", hint="copy it again", file=path)
    # all blocks of one format at once: a WAV comes in blocks of 64 milliseconds
    pieces = [sound.to_mono(*same)[0] for _, same in groupby(blocks, lambda block: block.format.name)]
    return Waveform(np.clip(np.concatenate(pieces)[:wanted], -1, 1), rate)
