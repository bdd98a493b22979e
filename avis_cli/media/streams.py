"""Which of a file's streams are the picture and the sound, and what the file says about them."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from avis_cli.errors import MediaError, UsageError
from avis_cli.files.numbers import clock
from avis_cli.media.clip_info import AudioInfo

FilePath = str | os.PathLike[str]

_STILL = 1 << 10 | 1 << 11 | 1 << 20  # dispositions: attached picture, timed thumbnails, still image
_DEFAULT = 1
_FASTEST = 1000  # frames per second; a header that claims more is not believed


def choose_video(container: InputContainer, path: FilePath, warnings: list[str]) -> Any:
    """The stream that is the picture: marked default first, then the largest; cover art never.

    Raises MediaError where there is none, or none that can be decoded.
    """
    every = list(container.streams.video)
    streams = [stream for stream in every if not stream.disposition.value & _STILL]
    if not streams:
        cause = "no video stream" if not every else "no video stream, only a cover picture"
        raise MediaError(cause, hint="give a file with moving pictures", file=path)
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise MediaError(f"its video codec ({codec_name(streams[0])}) cannot be decoded", file=path)

    def preference(stream: Any) -> tuple[int, int]:
        return stream.disposition.value & _DEFAULT, stream.codec_context.width * stream.codec_context.height

    chosen = max(known, key=preference)  # the first of equals
    if len(streams) > 1:
        warnings.append(f"{len(streams)} video streams: using stream {chosen.index}")
    return chosen


def choose_audio(
    container: InputContainer, wanted: str | int | None, path: FilePath, warnings: list[str]
) -> tuple[AudioInfo | None, tuple[AudioInfo, ...]]:
    """The stream that is the sound, and all audio streams. ``wanted``: position from 0, or language; None: default.

    Raises UsageError for a stream that is not there.
    """
    streams = list(container.streams.audio)
    tracks = tuple(audio_info(stream, index) for index, stream in enumerate(streams))
    if wanted is not None:
        return _wanted(tracks, wanted, path), tracks
    if not tracks:
        return None, ()
    usable = [index for index, stream in enumerate(streams) if stream.codec_context is not None]
    if not usable:
        warnings.append(f"its audio codec ({codec_name(streams[0])}) cannot be decoded: there is no sound to use")
        return None, tracks
    chosen = max(usable, key=lambda index: streams[index].disposition.value & _DEFAULT)
    if len(tracks) > 1:
        listed = ", ".join(_label(track) for track in tracks)
        warnings.append(f"{len(tracks)} audio tracks ({listed}): using {chosen}; --audio-track chooses another")
    return tracks[chosen], tracks


def audio_info(stream: Any, index: int) -> AudioInfo:
    """What the file says about one audio stream."""
    context = stream.codec_context
    language = stream.metadata.get("language")
    if context is None:
        return AudioInfo(index, 0, 0, codec_name(stream), language)
    count = len(context.layout.channels) if context.layout is not None else 0
    return AudioInfo(index, context.sample_rate or 0, count, codec_name(stream), language)


def codec_name(stream: Any) -> str:
    """A stream's codec as the field calls it (``h264``, ``aac``), else its four-letter tag."""
    context = stream.codec_context
    if context is None:
        return "unknown to this FFmpeg"
    return getattr(context.codec, "canonical_name", None) or context.name.removesuffix("float")


def nominal_rate(stream: Any) -> Fraction | None:
    """The exact nominal frame rate; None if the file names none that can be true."""
    average, base = (_credible(rate) for rate in (stream.average_rate, stream.base_rate))
    if average is not None and base is not None and abs(average / base - 1) < Fraction(1, 1000):
        return base  # the same rate, free of the rounding of timestamps
    return average or base


def header_duration(container: InputContainer, stream: Any, origin: Fraction) -> Fraction | None:
    """Seconds from ``origin`` to the end of the picture as the headers have it; None if they are silent."""
    if stream.duration is not None and stream.duration > 0:
        begin = origin if stream.start_time is None else stream.start_time * Fraction(stream.time_base)
        return max(begin + stream.duration * Fraction(stream.time_base) - origin, Fraction(0)) or None
    tagged = clock(stream.metadata.get("DURATION", ""))
    begin = Fraction(container.start_time or 0, av.time_base)
    if tagged is None and container.duration is not None and container.duration > 0:
        tagged = begin + Fraction(container.duration, av.time_base)
    return None if tagged is None or tagged <= origin else tagged - origin


def _wanted(tracks: tuple[AudioInfo, ...], wanted: str | int, path: FilePath) -> AudioInfo:
    text = str(wanted).strip().lower()
    for track in tracks:
        if text == str(track.index) or text == (track.language or "").lower() != "":
            return track
    for track in tracks:
        if len(text) == 2 and (track.language or "").lower().startswith(text):
            return track
    there = "it has " + ", ".join(_label(track) for track in tracks) if tracks else "it has no audio stream"
    raise UsageError(f"no audio track {wanted}", hint=there, file=path)


def _label(track: AudioInfo) -> str:
    return f"{track.index}: {track.language or 'no language'}, {track.codec}"


def _credible(rate: Any) -> Fraction | None:
    return Fraction(rate) if rate and 0 < rate <= _FASTEST else None
