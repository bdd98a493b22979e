"""``overlay.mp4``: the clip with the result drawn over it and its own sound."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from avis_cli.media.clip import ClipInfo, Frame, Waveform
from avis_cli.media.encode import write_video
from avis_cli.progress import Progress, silent
from avis_cli.results import ClipResult
from avis_cli.writers.draw import Painter


def write_overlay(
    path: Path,
    result: ClipResult,
    frames: Iterable[Frame],
    clip: ClipInfo,
    *,
    waveform: Waveform | None = None,
    source: str | os.PathLike[str] | None = None,
    start: Fraction = Fraction(0),
    end: Fraction | None = None,
    progress: Progress = silent,
) -> None:
    """Draw ``result`` over every frame and write the video to ``path``.

    ``frames``: the clip's pictures from ``start`` to ``end`` (seconds on its clock), each drawn with the mask frame on
    screen at its time. ``waveform``: what the timeline shows; ``source``: the file whose sound is taken along, none
    if None. Raises OutputError or MediaError.
    """
    last = float(end if end is not None else clip.duration)
    # a container's duration is a guess; the timeline must at least hold what is known to be there
    known = [
        result.times[-1] if result.times else 0.0,
        *(span[1] for track in result.tracks for span in track.sounding),
    ]
    span = (float(start), last if end is not None else max(last, *known))
    painter = Painter(result, span=span, waveform=waveform)

    def painted() -> Iterator[Frame]:
        for frame in frames:
            yield replace(frame, image=painter.paint(frame.image, float(frame.time)))

    write_video(path, painted(), clip, source=source, start=start, end=end, progress=progress)
