"""A video file's description, its frames and its sound, on one clock that starts with the first frame."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from typing import Any

from av.container import InputContainer

from avis_cli.errors import MediaError, UsageError
from avis_cli.files.picture_names import picture_names
from avis_cli.media import packets, picture, streams
from avis_cli.media.clip_info import ClipInfo, SoundFile
from avis_cli.media.clock import LEAP
from avis_cli.media.container import (
    DEFAULT_MAX_PIXELS,
    explain,
    file_identity,
    open_decoder,
    open_media,
    require_size,
)
from avis_cli.media.frames import USUAL_STEP, FrameReader
from avis_cli.media.packets import Damage
from avis_cli.media.picture import Orientation
from avis_cli.media.pictures import folder_identity, probe_pictures
from avis_cli.media.waveform import read_peaks, read_waveform

__all__ = ["DEFAULT_MAX_PIXELS", "FrameReader", "is_unchanged", "probe", "read_peaks", "read_waveform"]


def probe(
    path: str | os.PathLike[str],
    *,
    audio_track: str | int | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    frame_rate: Fraction | None = None,
    audio: str | os.PathLike[str] | None = None,
) -> ClipInfo:
    """Describe a video file from its own first picture, not only from its headers; or a folder of pictures, of which
    ``frame_rate`` are shown in a second.

    ``audio``: a file whose sound, from its beginning, takes the place of the clip's own. ``audio_track``: position
    among the audio streams from 0, or a language (``eng``); None takes the default one. A clip without sound has
    ``audio`` None. Raises MediaError where there is no picture to decode (no such file, not a video, no video stream,
    encrypted, more than ``max_pixels`` in a picture) and UsageError for a folder without a frame rate, a video with
    one, or an audio track that is not there.
    """
    if not os.path.isdir(path):
        if frame_rate is not None:
            raise UsageError("has a frame rate of its own", hint="--frame-rate is for folders of pictures", file=path)
        clip = _probe_video(path, audio_track, max_pixels, hears=audio is None)
    elif frame_rate is None:
        hint = "--frame-rate N takes its pictures as one clip" if picture_names(path) else None
        raise UsageError("is a folder, expected a video file", hint=hint, file=path)
    else:
        if audio is None and audio_track is not None:
            raise UsageError("--audio-track without --audio", hint="pictures have no sound of their own", file=path)
        clip = probe_pictures(path, frame_rate, max_pixels)
    return clip if audio is None else _with_sound(clip, audio, audio_track)


def is_unchanged(clip: ClipInfo) -> bool:
    """Whether the clip's files are those that were probed."""
    other = clip.other_sound
    try:
        own = folder_identity(clip.file, picture_names(clip.file)) if clip.pictures else file_identity(clip.file)
        return own == clip.identity and (other is None or file_identity(other.file) == other.identity)
    except (OSError, MediaError):
        return False


def _with_sound(clip: ClipInfo, path: str | os.PathLike[str], audio_track: str | int | None) -> ClipInfo:
    """The clip with the sound of another file: what sounds first there sounds with the clip's first frame."""
    warnings: list[str] = []
    with open_media(path) as container:
        audio, tracks = streams.choose_audio(container, audio_track, path, warnings)
        if audio is None:
            raise MediaError("no sound that can be decoded", hint="give --audio a file with sound", file=path)
        stream = container.streams.audio[audio.index]
        # below 0 lies what a codec needs to settle, which is not heard
        start = max(Fraction(stream.start_time or 0) * Fraction(stream.time_base or 1), Fraction(0))
        sound = SoundFile(os.fsdecode(path), start, file_identity(path), False)
    return replace(clip, audio=audio, audio_tracks=tracks, other_sound=sound, warnings=(*clip.warnings, *warnings))


def _probe_video(
    path: str | os.PathLike[str], audio_track: str | int | None, max_pixels: int, *, hears: bool
) -> ClipInfo:
    """A video file; ``hears``: its own sound is wanted."""
    warnings: list[str] = []
    with open_media(path, max_pixels=max_pixels) as container:
        stream = streams.choose_video(container, path, warnings)
        audio, tracks = streams.choose_audio(container, audio_track, path, warnings) if hears else (None, ())
        open_decoder(stream, path, max_pixels)
        damage = Damage()
        first = next(packets.decode(container, stream, damage), None)
        if damage.encrypted:
            raise MediaError("the video is encrypted (DRM)", hint="a copy without protection is needed", file=path)
        if first is None:
            raise _no_picture(path, max_pixels)
        require_size(first.width, first.height, path, max_pixels)
        orientation = _orientation(first, warnings)
        warnings += picture.picture_warnings(first)
        origin = packets.timestamp(first, stream) or Fraction(0)
        rate = streams.nominal_rate(stream)
        step = 1 / rate if rate else USUAL_STEP
        duration = streams.header_duration(container, stream, origin) or _span(container, stream, origin, step)
        width, height = (first.height, first.width) if orientation.transposed else (first.width, first.height)
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        return ClipInfo(
            file=os.fsdecode(path),
            width=width,
            height=height,
            rotation=orientation.rotation,
            mirrored=orientation.mirrored,
            duration=duration,
            frame_rate=rate,
            audio=audio,
            audio_tracks=tracks,
            sample_aspect_ratio=1 / aspect if orientation.transposed else aspect,
            codec=streams.codec_name(stream),
            warnings=tuple(warnings),
            origin=origin,
            time_base=Fraction(stream.time_base),
            video_stream=stream.index,
            identity=file_identity(path),
            max_pixels=max_pixels,
        )


def _no_picture(path: str | os.PathLike[str], max_pixels: int) -> MediaError:
    """Why a file opened and then gave not one picture: too large a picture by its own header, or damage."""
    with open_media(path, max_pixels=max_pixels, decoding=False) as container:
        for stream in container.streams.video:
            if stream.codec_context is not None:
                require_size(stream.codec_context.width, stream.codec_context.height, path, max_pixels)
    hint = f"it is damaged, or its pictures have more than {max_pixels} pixels (--max-pixels raises the limit)"
    return explain(path, "not one picture could be decoded", hint)


def _orientation(frame: Any, warnings: list[str]) -> Orientation:
    orientation, exact = picture.orientation_of(frame)
    if not exact:
        warnings.append(f"the picture is turned by an odd angle: taken as {orientation.rotation} degrees")
    return orientation


def _span(container: InputContainer, stream: Any, origin: Fraction, step: Fraction) -> Fraction:
    """Seconds from ``origin`` to the end of the last packet, from the packets themselves, not decoding them."""
    end = step
    for packet in packets.demux(container, [stream], Damage()):
        stamp = packets.timestamp(packet, stream)
        time = end if stamp is None else stamp - origin
        if time <= end + LEAP:
            end = max(end, time + (packet.duration or 0) * Fraction(stream.time_base) or step)
    return end
