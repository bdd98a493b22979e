"""Numbers as a video that keeps them: FFV1, one byte a pixel, in a Matroska file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from avis_cli.media.encode import naming_output

_TICKS = 1000  # of a second; Matroska's own clock


def write_labels(path: str | os.PathLike[str], frames: Iterable[NDArray[np.uint8]], times: Sequence[Fraction]) -> None:
    """Frames uint8 (H, W), each at its one of ``times`` (seconds, rising, rounded to milliseconds), to ``path``.

    Raises OutputError where the file cannot be written; nothing is then left at ``path``.
    """
    out: Any = None
    try:
        with naming_output(path):
            name = "file:" + os.path.abspath(os.fsdecode(path))
            # bit-exact: no random numbers in the header, so that the same frames make the same file
            out = av.open(name, "w", format="matroska", container_options={"fflags": "+bitexact"})
        stream: Any = None
        after = 0
        for labels, time in zip(frames, times, strict=True):
            with naming_output(path):
                stream = _add_stream(out, labels.shape) if stream is None else stream
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(labels), "gray")
                picture.pts, picture.time_base = max(round(time * _TICKS), after), Fraction(1, _TICKS)
                after = picture.pts + 1
                out.mux(stream.encode(picture))
        with naming_output(path):
            out.mux(stream.encode(None))
            out.close()
    except BaseException:
        with suppress(Exception):  # the failure that led here is the one to tell
            out.close()
        with suppress(OSError):
            Path(path).unlink()
        raise


def _add_stream(out: Any, shape: tuple[int, ...]) -> Any:
    stream = out.add_stream("ffv1", rate=25, options={"level": "3", "slices": "4", "slicecrc": "1"})
    stream.height, stream.width = shape
    stream.pix_fmt = "gray"
    stream.codec_context.time_base = Fraction(1, _TICKS)
    stream.codec_context.thread_count = 1
    return stream
