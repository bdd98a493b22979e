"""A clip's sound on the picture's clock, as one mono waveform or as channels, or that of a file without a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, groupby
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from numpy.typing import NDArray

from avis_cli.errors import MediaError
from avis_cli.media import packets, sound, streams
from avis_cli.media.clip_info import SAMPLE_RATE, ClipInfo, Waveform
from avis_cli.media.clock import LEAP
from avis_cli.media.container import open_media
from avis_cli.media.frames import USUAL_STEP
from avis_cli.media.packets import Damage
from avis_cli.media.sound import Samples

_LEAD = 1  # whole seconds decoded before the start, so that codec and filter have settled
_BEYOND = Fraction(1, 2)  # seconds decoded past the end, for the same reason


def read_waveform(
    path: str | os.PathLike[str],
    clip: ClipInfo,
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    rate: int | None = SAMPLE_RATE,
    within_picture: bool = False,
) -> Waveform:
    """The clip's sound from ``start`` to ``end`` (seconds of the clip's clock) as mono float32.

    It begins at the sample nearest to ``start`` and reaches to ``end``; without one, or where the sound is shorter, to
    the end of the picture at most: there shorter sound is silent and longer sound is cut. ``within_picture``: it is cut
    there where ``end`` lies beyond it, too. Gaps are silent. ``rate``: samples per second; None keeps the file's own.
    Down-mix and resampling are those of ``media.sound``. Memory is about twice the result's, however long the sound is.
    Raises MediaError where the clip has no sound or none of it can be decoded.
    """
    if start < 0 or (end is not None and end < start):
        raise ValueError(f"0 <= start <= end expected, got start {start}, end {end}")
    cut = end is None or within_picture
    with AudioDecoder(path, clip, start=Fraction(start), end=None if cut else end) as reader:
        part = _Part(reader, path, Fraction(start))
        target = rate or part.rate
        last = _earlier(end, reader.picture_end(end) if cut else None)
        limit = part.count_until(last, target)
        samples = _joined(part.pieces(target, limit))
        if limit is not None and len(samples) < limit:
            last = last if cut else _earlier(end, reader.picture_end(end))
            samples = _fitted(samples, part.count_until(last, target) or 0)
    return Waveform(samples, target, Fraction(round(start * target), target))


def read_channels(
    path: str | os.PathLike[str], clip: ClipInfo, channels: int, *, start: Fraction, end: Fraction
) -> Samples:
    """The clip's sound from ``start`` to ``end`` (seconds of the clip's clock), its left and right channel if
    ``channels`` is 2, mixed to one if it is 1: float32 (C, N) at 16 kHz, silent where there is none.

    Of more channels FFmpeg's own down-mix makes two; one stands for both. Raises MediaError as ``read_waveform``.
    """
    if channels == 1:
        mono = read_waveform(path, clip, start=start, end=end)
        return _fitted(mono.samples, round(end * SAMPLE_RATE) - round(start * SAMPLE_RATE))[None]
    with AudioDecoder(path, clip, start=start, end=end) as reader:
        frames = reader.frames()
        opening = next(frames, None)
        if opening is None:
            raise MediaError("its sound cannot be decoded", hint="--allow-silent goes by the picture alone", file=path)
        rate = opening[1].sample_rate
        stereo = sound.unify_layout(chain([opening], frames), rate, av.AudioLayout("stereo"))
        blocks = sound.place_on_clock(
            ((time, sound.to_samples(frame)) for time, frame in stereo), rate, Fraction(reader.begin)
        )
        first, last = round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)
        samples = np.zeros((2, last - first), np.float32)
        place = reader.begin * SAMPLE_RATE - first
        for block in sound.resample(blocks, rate, SAMPLE_RATE, "stereo", "stereo"):
            here = block[:, max(-place, 0) : max(samples.shape[1] - place, 0)]
            samples[:, max(place, 0) : max(place, 0) + here.shape[1]] = here
            place += block.shape[1]
            if place >= samples.shape[1]:
                break
    return np.clip(samples, -1, 1)


def read_peaks(
    path: str | os.PathLike[str],
    clip: ClipInfo,
    *,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    rate: int = SAMPLE_RATE,
    most: int,
) -> Waveform:
    """The clip's sound as a waveform that is only looked at, of ``most`` samples at most; cut where the picture ends.

    As ``read_waveform`` reads it where that is no more. Longer sound comes in equal parts, of each the lowest and the
    highest sample, at so much lower a rate; silence at its end is left out then. Errors as there.
    """
    with AudioDecoder(path, clip, start=Fraction(start), end=end) as reader:
        part = _Part(reader, path, Fraction(start))
        last = _earlier(end, reader.picture_end(end))
        parts = -(-(part.count_until(last, rate) or 0) // most)  # samples read for each one that is kept
        if parts <= 1:
            limit = part.count_until(last, rate)
            samples = _joined(part.pieces(rate, limit))
            samples = samples if limit is None else _fitted(samples, limit)
        else:
            rate = max(rate // parts, 1)
            samples = _joined(_extremes(part.pieces(rate * parts, most * parts), 2 * parts))
    return Waveform(samples, rate, Fraction(round(start * rate), rate))


def _joined(pieces: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Pieces (N,) one after another; of the many small ones that a resampler gives only the numbers are kept."""
    held = bytearray()
    for piece in pieces:
        held += piece.tobytes()
    return np.frombuffer(held, np.float32)


def _fitted(samples: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """``samples`` cut, or followed by silence, to ``length``."""
    if len(samples) == length:
        return samples
    fitted = np.zeros(length, np.float32)  # what nobody writes to takes no memory
    fitted[: len(samples)] = samples[:length]
    return fitted


def _extremes(pieces: Iterable[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """Of every ``size`` samples the lowest and the highest; fewer than that at the end are left out."""
    rest = np.zeros(0, np.float32)
    for piece in pieces:
        rest = np.concatenate([rest, piece])
        whole = rest[: len(rest) // size * size].reshape(-1, size)
        rest = rest[whole.size :]
        if len(whole):
            yield np.stack([whole.min(axis=1), whole.max(axis=1)], axis=1).ravel()


def _earlier(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    return min((time for time in (one, other) if time is not None), default=None)


class _Part:
    """A clip's sound from ``start`` on; ``rate``: the file's own. Raises MediaError where nothing can be decoded."""

    def __init__(self, reader: AudioDecoder, path: str | os.PathLike[str], start: Fraction) -> None:
        frames = reader.frames()
        opening = next(frames, None)
        if opening is None:
            raise MediaError("its sound cannot be decoded", hint="--allow-silent goes by the picture alone", file=path)
        self.rate, layout = opening[1].sample_rate, opening[1].layout
        self._start, self._begin = start, reader.begin
        self._frames = sound.unify_layout(chain([opening], frames), self.rate, layout)

    def count_until(self, time: Fraction | None, rate: int) -> int | None:
        """How many samples there are until ``time``, None where that is."""
        return None if time is None else max(round(time * rate) - round(self._start * rate), 0)

    def pieces(self, rate: int, limit: int | None) -> Iterator[NDArray[np.float32]]:
        """Mono samples (N,) in -1..1 at ``rate``, ``limit`` of them at most; may be called once."""
        # whole seconds fall on a sample at any rate: a window comes out as it does in the whole
        blocks = sound.place_on_clock(
            ((time, sound.to_mono(frame)) for time, frame in self._frames), self.rate, Fraction(self._begin)
        )
        skip, length = round(self._start * rate) - self._begin * rate, 0
        for block in sound.resample(blocks, self.rate, rate):
            piece = block[0, skip:] if limit is None else block[0, skip : skip + limit - length]
            skip = max(skip - block.shape[1], 0)
            length += len(piece)
            yield np.clip(piece, -1, 1)
            if length == limit:
                return


class AudioDecoder:
    """Decoded blocks of a clip's sound with their times on the picture's clock; a context manager, read once.

    ``begin``: the whole second, at or before ``start``, from which on the blocks are of use.
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
        self._seeking = False
        self._open = ExitStack()

    def __enter__(self) -> AudioDecoder:
        return self

    def __exit__(self, *exception: object) -> None:
        self._open.close()

    def frames(self) -> Iterator[tuple[Fraction | None, av.AudioFrame]]:
        """(clip time or None, block) in file order, up to the first block well after ``end``."""
        if self.begin > 0:
            self._seeking = True
            blocks = self._frames()
            first = next(blocks, None)
            if first is not None and first[0] is not None and first[0] <= self._start:
                return chain([first], blocks)
        self._seeking = False
        return self._frames()

    def picture_end(self, until: Fraction | None = None) -> Fraction | None:
        """Where the picture ends by its packets' timestamps (seconds of the clip's clock), None if it has none; by the
        clip's duration where the sound is in another file.

        Nothing beyond ``until`` is looked at: then it is some time from there on. To be asked after ``frames``.
        """
        if not self._sound.holds_picture:
            return self._clip.duration
        if self._clip.video_stream is None:
            return None
        end = self._find_picture_end(until, self._seeking)
        return self._find_picture_end(until, False) if end is None and self._seeking else end

    def _frames(self) -> Iterator[tuple[Fraction | None, av.AudioFrame]]:
        self._open.close()
        container = self._open.enter_context(open_media(self._path, identity=self._sound.identity))
        stream: Any = container.streams.audio[self._index]
        if self._seeking and not seek(container, stream, self._sound.origin + self.begin):
            return
        damage = Damage()
        for packet in chain(packets.demux(container, self._streams(container), damage), [None]):
            if packet is not None and packet.stream_index != stream.index:
                continue
            # a damaged stretch of sound is silence: unlike a picture it hides nothing that comes later
            for frame in packets.decode_packet(stream, packet, damage):
                stamp = packets.timestamp(frame, stream)
                time = None if stamp is None else stamp - self._sound.origin
                if self._end is not None and time is not None and time > self._end + _BEYOND:
                    return
                if frame.samples and frame.sample_rate > 0:
                    yield time, frame

    def _streams(self, container: InputContainer) -> list[Any]:
        """The sound, and the picture where it is in the same file."""
        seen = self._clip.video_stream if self._sound.holds_picture else None
        return [container.streams.audio[self._index], *([] if seen is None else [container.streams[seen]])]

    def _find_picture_end(self, until: Fraction | None, seeking: bool) -> Fraction | None:
        clip, last = self._clip, None
        step = 1 / clip.frame_rate if clip.frame_rate else USUAL_STEP
        with open_media(self._path, identity=clip.identity) as container:
            stream, picture = self._streams(container)
            if seeking:
                seek(container, stream, clip.origin + self.begin)
            for packet in packets.demux(container, [stream, picture], Damage()):
                if packet.stream_index != picture.index:
                    continue
                stamp = packets.timestamp(packet, picture)
                time = (last or Fraction(0)) if stamp is None else stamp - clip.origin
                if time < (last or self._start) + LEAP:
                    span = (packet.duration or 0) * Fraction(picture.time_base) or step
                    last = max(last or Fraction(0), time + span)
                if until is not None and last is not None and last >= until:
                    break
        return last


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


def at_rate(waveform: Waveform, rate: int) -> Waveform:
    """The same sound at ``rate`` samples a second."""
    blocks = sound.resample([waveform.samples[None]], waveform.sample_rate, rate)
    return Waveform(_joined(block[0] for block in blocks), rate, waveform.start)
