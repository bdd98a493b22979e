"""Frames with transparency to a video file: ProRes 4444 for editors, VP9 for browsers.

Both hold straight colours (not multiplied by opacity) in BT.709 limited range. MOV keeps every frame's time exactly
where a common clock fits; WebM counts in milliseconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from numpy.typing import NDArray

from avis_cli.errors import MediaError, OutputError
from avis_cli.media.clip_info import ClipInfo, Frame
from avis_cli.media.encode import common_clock, describe_stream, naming_output, with_durations
from avis_cli.media.picture import to_limited_bt709
from avis_cli.progress import Progress, silent

_USUAL_RATE = 25  # frames per second where the clip does not tell


@dataclass(frozen=True)
class _AlphaFormat:
    """A codec with an alpha channel, and the container that holds it. ``clock``: ticks per second, None: any."""

    container: str
    codec: str
    pixels: str
    options: dict[str, str]
    clock: int | None


_FORMS = {
    ".mov": _AlphaFormat(
        "mov", "prores_ks", "yuva444p10le", {"profile": "4444", "vendor": "apl0", "alpha_bits": "16"}, None
    ),
    # frames that are never shown (alternate references) would leave the alpha channel a frame behind
    ".webm": _AlphaFormat(
        "webm", "libvpx-vp9", "yuva420p",
        {"crf": "24", "b": "0", "auto-alt-ref": "0", "deadline": "good", "cpu-used": "4", "row-mt": "1"}, 1000,
    ),
}  # fmt: skip

ENDINGS = tuple(_FORMS)
"""Endings of file names that ``write_video_with_alpha`` knows, in lower case."""


def missing_encoders() -> list[str]:
    """The encoders that ``write_video_with_alpha`` needs and this PyAV lacks."""
    missing = []
    for form in _FORMS.values():
        try:
            av.Codec(form.codec, "w")
        except (av.FFmpegError, ValueError):
            missing.append(form.codec)
    return missing


def write_video_with_alpha(
    path: str | os.PathLike[str],
    frames: Iterable[Frame],
    opacity: Callable[[Frame], NDArray[np.uint8]],
    clip: ClipInfo,
    *,
    end: Fraction | None = None,
    progress: Progress = silent,
) -> None:
    """Write ``frames`` (all of one size, times rising) to ``path``, whose ending decides the codec; without sound.

    ``opacity`` gives each frame's alpha, uint8 (H, W), 255 opaque. The new file's time 0 is the first frame's time;
    ``clip`` describes the source (its clock and its pixels' aspect), ``end`` bounds the last frame.

    Raises MediaError without frames, OutputError where the file cannot be written; nothing is then left at ``path``.
    """
    form = _FORMS[Path(path).suffix.lower()]
    if form.codec in missing_encoders():
        raise OutputError(f"this PyAV cannot encode {form.codec}", hint="pip install --upgrade av", file=path)
    spans = with_durations(frames, clip, end)
    opening = list(islice(spans, 2))
    if not opening:
        raise MediaError("there is no frame to write", file=clip.file)
    zero = opening[0][0].time
    clock = form.clock or common_clock(
        clip, [time for frame, length in opening for time in (frame.time - zero, length)]
    )
    out: Any = None
    try:
        with naming_output(path):
            # the prefix keeps FFmpeg from reading a protocol into the name
            name = "file:" + os.path.abspath(os.fsdecode(path))
            # bit-exact: WebM's own numbers are random otherwise, and no two files would be the same
            options = {"fflags": "+bitexact"} if form.container == "webm" else {}
            out = av.open(name, "w", format=form.container, container_options=options)
            stream = _add_stream(out, form, opening[0][0], clip, clock)
        durations: dict[int, int] = {}
        pictures = _pictures(chain(opening, spans), opacity, form, zero, clock, durations)
        for count, picture in enumerate(pictures, start=1):
            with naming_output(path):
                _mux(out, stream.encode(picture), durations)
            progress("cutting out", count, None)
        with naming_output(path):
            _mux(out, stream.encode(None), durations)
            out.close()
    except BaseException:
        with suppress(Exception):  # the failure that led here is the one to tell
            out.close()
        with suppress(OSError):
            os.unlink(path)
        raise


def _pictures(
    spans: Iterator[tuple[Frame, Fraction]],
    opacity: Callable[[Frame], NDArray[np.uint8]],
    form: _AlphaFormat,
    zero: Fraction,
    clock: int,
    durations: dict[int, int],
) -> Iterator[av.VideoFrame]:
    """Frames as the encoder takes them, at their ticks; ``durations`` gets each one's length in ticks."""
    after = 0  # earliest tick that the next frame may have
    size: tuple[int, ...] | None = None
    for frame, duration in spans:
        size = size or frame.image.shape
        if frame.image.shape != size:
            raise ValueError(f"every frame has the first one's shape {size}, got {frame.image.shape}")
        tick = max(round((frame.time - zero) * clock), after)
        after = tick + 1
        durations[tick] = max(round((frame.time - zero + duration) * clock) - tick, 1)
        rgba = np.dstack([frame.image, opacity(frame)])
        picture = to_limited_bt709(av.VideoFrame.from_ndarray(rgba, "rgba"), form.pixels)
        picture.pts, picture.time_base = tick, Fraction(1, clock)
        yield picture


def _add_stream(out: OutputContainer, form: _AlphaFormat, first: Frame, clip: ClipInfo, clock: int) -> Any:
    stream: Any = out.add_stream(form.codec, rate=clip.frame_rate or _USUAL_RATE, options=dict(form.options))
    stream.height, stream.width = first.image.shape[:2]
    stream.pix_fmt = form.pixels
    if form.container == "webm":
        stream.metadata["alpha_mode"] = "1"  # what browsers go by
    describe_stream(stream, clip, clock)
    return stream


def _mux(out: OutputContainer, packets: list[Any], durations: dict[int, int]) -> None:
    for packet in packets:
        packet.duration = durations.pop(packet.pts, packet.duration or 1)
        out.mux(packet)
