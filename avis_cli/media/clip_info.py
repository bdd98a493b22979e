"""What decoding yields: a clip's description, its frames and its sound, all on one clock.

Time zero is the presentation time of the clip's first video frame. Times are exact fractions of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import MediaError

SAMPLE_RATE = 16_000  # Hz; what the audio networks read


@dataclass(frozen=True)
class AudioInfo:
    """One audio stream: ``index`` counts audio streams from 0; rate in Hz as the file has it."""

    index: int
    sample_rate: int
    channels: int
    codec: str = ""
    language: str | None = None


@dataclass(frozen=True)
class SoundFile:
    """Where a clip's sound is read: ``file``; ``origin``, the time on that file's own clock (seconds) at which the
    clip begins; ``identity``, the file's size and time of change when probed. ``holds_picture``: it is the clip's own
    file, not one that was given for its sound."""

    file: str
    origin: Fraction
    identity: tuple[int, int] | None
    holds_picture: bool


@dataclass(frozen=True)
class ClipInfo:
    """A video file, or a folder of pictures, as its frames will come out: upright, in coded pixels.

    ``width``, ``height``: of an upright frame. ``rotation``: degrees clockwise (0, 90, 180, 270) that made the coded
    picture upright, after a horizontal flip if ``mirrored``. ``duration``: seconds from the first frame to the end of
    the last one as far as the container tells, never trusted for allocation. ``frame_rate``: the exact nominal rate,
    None if unknown. ``sample_aspect_ratio``: width of an upright pixel over its height. ``warnings``: one line each,
    for the user.

    The others are how the reader finds its way back into the file: ``origin`` is the first frame's presentation
    time on the file's own clock (seconds), ``time_base`` the tick of its timestamps (seconds), ``video_stream`` the
    position of the picture among the file's streams, ``identity`` the file's size and time of change when probed,
    ``max_pixels`` how large a picture was allowed to be then, None for the usual limit. ``pictures``: names of the
    files in the folder ``file``, one a frame, none for a video; ``other_sound``: the file that was given for the sound,
    None where it is the clip's own.
    """

    file: str
    width: int
    height: int
    rotation: int
    duration: Fraction
    frame_rate: Fraction | None
    audio: AudioInfo | None
    mirrored: bool = False
    sample_aspect_ratio: Fraction = Fraction(1)
    codec: str = ""
    audio_tracks: tuple[AudioInfo, ...] = ()
    warnings: tuple[str, ...] = ()
    origin: Fraction = Fraction(0)
    time_base: Fraction | None = None
    video_stream: int | None = None
    identity: tuple[int, int] | None = None
    max_pixels: int | None = None
    pictures: tuple[str, ...] = ()
    other_sound: SoundFile | None = None

    @property
    def sound(self) -> SoundFile:
        """Where the sound is read."""
        return self.other_sound or SoundFile(self.file, self.origin, self.identity, True)

    def require_sound(self) -> None:
        """Raise MediaError if the clip has no audio stream, or none that can be decoded."""
        if self.audio is None:
            codecs = ", ".join(track.codec for track in self.audio_tracks)
            cause = f"its audio codec ({codecs}) cannot be decoded" if codecs else "no audio stream"
            silent = "--allow-silent goes by the picture alone"
            raise MediaError(
                f"{cause}: cannot tell what sounds",
                hint=f"give the sound with --audio FILE; {silent}" if self.pictures else silent,
                file=self.file,
            )


@dataclass(frozen=True, eq=False)
class Frame:
    """One upright picture: uint8 RGB (H, W, 3), shown at ``time`` seconds; ``index`` counts yielded frames from 0.

    ``duration``: seconds until the next one, None if unknown.
    """

    image: NDArray[np.uint8]
    time: Fraction
    index: int
    duration: Fraction | None = None

    def __post_init__(self) -> None:
        if self.image.dtype != np.uint8 or self.image.ndim != 3 or self.image.shape[2] != 3:
            raise ValueError(f"a frame is uint8 (H, W, 3), got {self.image.dtype} {self.image.shape}")


@dataclass(frozen=True, eq=False)
class Waveform:
    """Mono float32 samples in -1..1; sample n sounds at ``start + n / sample_rate`` seconds of the clip's clock."""

    samples: NDArray[np.float32]
    sample_rate: int = SAMPLE_RATE
    start: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        if self.samples.dtype != np.float32 or self.samples.ndim != 1:
            raise ValueError(f"a waveform is float32 (N,), got {self.samples.dtype} {self.samples.shape}")

    def window(self, time: Fraction, seconds: Fraction = Fraction(1)) -> NDArray[np.float32]:
        """Samples sounding in [time, time + seconds); short or empty where the waveform does not reach."""
        first = round((time - self.start) * self.sample_rate)
        last = round((time + seconds - self.start) * self.sample_rate)
        return self.samples[max(first, 0) : max(last, 0)]
