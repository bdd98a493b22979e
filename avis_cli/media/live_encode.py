"""Pictures and sound to a file or an address while they come: a recording, or a stream for others.

H.264 without B-frames and AAC, on one clock that begins with the first picture.
"""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import OutputError, UsageError
from avis_cli.media import sound
from avis_cli.media.picture import to_limited_bt709

_CLOCK = 90_000  # ticks a second
_SOUND_RATE = 48_000
_FORMATS = {
    "rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts", "tcp": "mpegts", "udp": "mpegts",
}  # fmt: skip
_KEY_SECONDS = 2  # between pictures from which a viewer can begin


def published_format(url: str) -> str:
    """FFmpeg's name of the format in which ``url`` is sent to. Raises UsageError for an address of another kind."""
    scheme = url.partition("://")[0].lower()
    if "://" not in url or scheme not in _FORMATS:
        raise UsageError(
            f"--publish {url[:80]!r}, expected an address such as rtsp://HOST/NAME",
            hint=f"its kinds are {', '.join(_FORMATS)}",
        )
    return _FORMATS[scheme]


class LiveEncoder:
    """``place``: a path, or an address with its ``format`` (None for a file); ``size``: height and width of its
    pictures, which later ones of another size are brought to; ``has_sound``: whether sound will come. Raises
    OutputError where it cannot be opened or written to; what a file holds by then stays readable after ``close``.
    """

    def __init__(
        self, place: str | os.PathLike[str], format: str | None, size: tuple[int, int], *, has_sound: bool
    ) -> None:
        self._place = os.fsdecode(place)
        self._height, self._width = (side + side % 2 for side in size)
        self._first: float | None = None
        self._tick = -1
        self._sound_at = 0  # samples written
        self._pending = np.zeros(0, np.float32)
        self._closed = False
        name = self._place if format is not None else "file:" + os.path.abspath(self._place)
        # a file in fragments can be read up to where a crash or a full disk ended it
        options = {"flush_packets": "1"}
        if format is None:
            options["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
        if format == "rtsp":
            options["rtsp_transport"] = "tcp"
        try:
            timeout = 10.0 if format else None
            self._out: Any = av.open(name, "w", format=format or "mp4", container_options=options, timeout=timeout)
            self._video = self._add_video(live=format is not None)
            self._audio: Any = self._add_audio() if has_sound else None
            self._out.start_encoding()
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"cannot be opened for writing ({_reason(error)})", file=self._place) from None

    def write(self, image: NDArray[np.uint8], time: float, samples: NDArray[np.float32], rate: int) -> None:
        """A picture uint8 RGB (H, W, 3) at ``time`` seconds, later than the one before, and the mono sound since that
        one, ``rate`` samples a second."""
        if self._first is None:
            self._first = time
            samples = samples[:0]  # what sounded before the first picture is not in it
        self._tick = max(round((time - self._first) * _CLOCK), self._tick + 1)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
        if (frame.width, frame.height) != (self._width, self._height):
            frame = frame.reformat(width=self._width, height=self._height)
        picture = to_limited_bt709(frame, "yuv420p")
        picture.pts, picture.time_base = self._tick, Fraction(1, _CLOCK)
        try:
            self._out.mux(self._video.encode(picture))
            if self._audio is not None:
                self._write_sound(samples, rate, time - self._first)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"cannot be written ({_reason(error)})", file=self._place) from None

    def close(self) -> None:
        """Write what is held back. Raises OutputError where that fails; nothing more is written in any case."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._first is not None:
                self._out.mux(self._video.encode(None))
                if self._audio is not None:
                    self._out.mux(self._audio.encode(None))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"cannot be written ({_reason(error)})", file=self._place) from None
        finally:
            with suppress(av.FFmpegError, OSError, ValueError):
                self._out.close()

    def _write_sound(self, samples: NDArray[np.float32], rate: int, until: float) -> None:
        """Sound up to ``until`` seconds after the first picture, however many samples came: the clock is the
        pictures'."""
        wanted = round(until * _SOUND_RATE) - self._sound_at - len(self._pending)
        if wanted <= 0:
            return
        resampled = np.zeros(wanted)
        if len(samples):
            resampled = np.interp(np.linspace(0, len(samples) - 1, wanted), np.arange(len(samples)), samples)
        self._pending = np.concatenate([self._pending, resampled.astype(np.float32)])
        size = 1024
        while len(self._pending) >= size:
            block = sound.to_frame(self._pending[None, :size], "mono", _SOUND_RATE, self._sound_at)
            self._out.mux(self._audio.encode(block))
            self._pending = self._pending[size:]
            self._sound_at += size

    def _add_video(self, *, live: bool) -> Any:
        options = {"preset": "veryfast", "bf": "0", "crf": "20"}
        if live:
            options |= {"tune": "zerolatency"}
        stream: Any = self._out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _CLOCK)
        context.gop_size = 25 * _KEY_SECONDS
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        return stream

    def _add_audio(self) -> Any:
        return self._out.add_stream("aac", rate=_SOUND_RATE, layout="mono")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
