"""A stream kept as what ``avis segment`` writes of a clip, with the clip itself beside it.

While it goes on its pictures and sound go into ``recording.mp4``; when it ends, or is stopped, tracks, masks, overlay
and report are made of that file and of what was found. Until then the folder has a hidden name.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avis_cli.errors import OutputError
from avis_cli.inference.model import Model
from avis_cli.inference.track_accumulator import TrackAccumulator
from avis_cli.media import decode
from avis_cli.media.live_encode import LiveEncoder
from avis_cli.options import SegmentOptions
from avis_cli.outputs import write_results
from avis_cli.progress import Progress, silent
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.frame import FrameResult, FrameTrack
from avis_cli.results.run_length import RunLength
from avis_cli.results.source import ModelInfo, Source
from avis_cli.stream import LiveFrame, Stream
from avis_cli.writers.result_folder import ResultFolder

RECORDING = "recording.mp4"
_CLOCK = 90_000  # ticks a second of the recording


class Recorder:
    """``folder``: where the results go, complete or not at all; ``options``: how they are drawn, and which there are.
    ``on_failure`` is told where the recording has to end early, as on a full disk; what was recorded until then is
    kept, if it can be."""

    def __init__(
        self,
        folder: Path,
        stream: Stream,
        options: SegmentOptions,
        *,
        overwrite: bool = False,
        on_failure: Callable[[OutputError], None],
    ) -> None:
        self._stream, self._options, self._on_failure = stream, options, on_failure
        self._results = ResultFolder(folder, overwrite=overwrite)
        self._results.prepare()
        self._open = ExitStack()
        self._folder: Path | None = None
        self._encoder: LiveEncoder | None = None
        self._found = _Findings()
        self._size: tuple[int, int] = (0, 0)
        self._failed = False

    def frame(self, frame: LiveFrame) -> None:
        """The next frame."""
        if self._failed:
            return
        try:
            self._write(frame)
        except OutputError as error:
            self._failed = True
            self._on_failure(error)

    def _write(self, frame: LiveFrame) -> None:
        time, image = frame.result.time, frame.image
        if self._encoder is None:
            self._folder = self._open.enter_context(self._results)
            self._size = image.shape[0], image.shape[1]
            has_sound = bool(self._stream.has_sound)
            self._encoder = LiveEncoder(self._folder / RECORDING, None, self._size, has_sound=has_sound)
            self._before = time
        sound = self._stream.sound
        self._encoder.write(image, time, sound.between(self._before, time), sound.rate)
        self._before = time
        self._found.add(frame.result, self._size)

    def finish(self, progress: Progress = silent, warn: Callable[[str], None] = lambda line: None) -> Path | None:
        """Make the results; the folder, or None where there was no frame. Raises OutputError where they cannot be
        written; nothing is left then."""
        if self._encoder is None or self._folder is None:
            return None
        with self._open:
            try:
                self._encoder.close()
            except OutputError as error:
                if not self._failed:
                    self._on_failure(error)
            clip = decode.probe(self._folder / RECORDING)
            result = self._found.result(self._stream, Source.of(clip))
            write_results(self._folder, result, clip, self._options, progress, warn, linked=False)
        return self._results.directory

    def discard(self) -> None:
        """Leave nothing behind."""
        if self._encoder is not None:
            with suppress(OutputError):
                self._encoder.close()
        error = KeyboardInterrupt()
        self._open.__exit__(KeyboardInterrupt, error, None)


class _Findings:
    """What was found, on the recording's clock."""

    def __init__(self) -> None:
        self._tracks = TrackAccumulator()
        self._first: float | None = None
        self._last: dict[int, FrameTrack] = {}
        self._scores: dict[int, tuple[float, int]] = {}  # sum over the frames with a mask, and how many
        self._sounding: dict[int, Fraction] = {}  # since when each object that sounds has done so

    def add(self, result: FrameResult, size: tuple[int, int]) -> None:
        if self._first is None:
            self._first = result.time
        time = Fraction(round((result.time - self._first) * _CLOCK), _CLOCK)
        if self._tracks.times and time <= self._tracks.times[-1]:
            time = self._tracks.times[-1] + Fraction(1, _CLOCK)
        masks = {track.id: _at_size(track.mask, size) for track in result.tracks if track.mask is not None}
        self._tracks.add(time, list(masks), list(masks.values()))
        for track in result.tracks:
            if not track.sounding:
                continue
            self._last[track.id] = track
            total, count = self._scores.get(track.id, (0.0, 0))
            self._scores[track.id] = total + track.score, count + 1
            self._sounding.setdefault(track.id, time)
        sounding = {track.id for track in result.tracks if track.sounding}
        for id in [id for id in self._sounding if id not in sounding]:
            self._end(id, time)

    def _end(self, id: int, time: Fraction) -> None:
        span = float(self._sounding.pop(id)), float(time)
        self._tracks.add_sounding([id], [[span]], *span)

    def result(self, stream: Stream, source: Source) -> ClipResult:
        """All of it as the result of a clip, its tracks in falling score, numbered from 1."""
        for id in list(self._sounding):
            self._end(id, max(self._tracks.times[-1], Fraction(source.duration)))
        ids = self._tracks.ids
        self._tracks.close(
            ids,
            [self._last[id].category_id for id in ids],
            [total / count for total, count in (self._scores[id] for id in ids)],
            [1.0] * len(ids),
        )
        found = sorted(zip(ids, self._tracks.finished(), strict=True), key=lambda pair: -pair[1].score)
        tracks = tuple(
            Track(number, track.category, self._last[id].label, min(track.score, 1.0), track.masks, track.sounding)
            for number, (id, track) in enumerate(found, start=1)
        )
        times = tuple(float(time) for time in self._tracks.times)
        return ClipResult(source, _described(stream), _categories(stream.model), times, tracks)


def _at_size(mask: RunLength, size: tuple[int, int]) -> RunLength:
    """A mask of a picture that had another size than the recording's."""
    if tuple(mask["size"]) == size:
        return mask
    import cv2

    picture: NDArray[np.uint8] = np.asarray(run_length.decode(mask), dtype=np.uint8)
    return run_length.encode(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_NEAREST).astype(bool))


def _described(stream: Stream) -> ModelInfo:
    model, options = stream.model, stream.options
    fps = float(model.config.fps if options.fps is None else options.fps)
    return ModelInfo(
        model.name, model.config.name, model.weights_sha256, options.threshold, model.precision, fps, "video"
    )


def _categories(model: Model) -> tuple[tuple[int, str], ...]:
    return tuple(enumerate(model.config.categories, start=1))
