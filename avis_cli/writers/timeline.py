"""The strip at the bottom of an overlay: the sound's waveform, a lane per track that shows when it sounds, a playhead.

Everything that does not move is painted once; a frame only joins the parts and blends them over the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avis_cli.media.clip_info import Waveform
from avis_cli.results.clip import Track
from avis_cli.writers.colours import Colour
from avis_cli.writers.patch import Patch, PatchBuilder, rounded_box, text_coverage, text_size
from avis_cli.writers.style import Palette, palette

_GROUND: Colour = (13, 15, 20)
_GROUND_OPACITY = 0.7
_INK: Colour = (255, 255, 255)
_MIN_FONT = 8.0  # pixels; smaller letters are no longer read
_MAX_SHARE = 0.3  # of the picture's height
_MIN_PICTURE = 48  # pixels a side; a smaller picture has none to spare for a strip
_MAX_LETTERS = 32  # of a category's name
_QUIET_PEAK = 0.05  # a waveform below this is not drawn any larger: silence must look silent


@dataclass(frozen=True)
class TimelineLayout:
    """Where things are in the strip, in pixels. ``lanes``: how many tracks have one; ``font``: 0 without names."""

    width: int
    height: int
    margin: int
    wave: int
    lane: int
    gap: int
    lanes: int
    font: float
    left: int
    right: int

    def lane_top(self, index: int) -> int:
        return self.margin + (self.wave + self.gap if self.wave else 0) + index * (self.lane + self.gap)


def track_name(track: Track) -> str:
    """``person 2``: one short line, whatever text the category's name is."""
    label = " ".join(track.label.encode("utf-8", "replace").decode("utf-8").split())
    printable = "".join(letter for letter in label if letter.isprintable())
    return f"{printable if len(printable) <= _MAX_LETTERS else printable[: _MAX_LETTERS - 1] + '…'} {track.id}"


def drawing_scale(width: int, height: int) -> float:
    """How large lines and letters are drawn: 1 for a picture of 640x360 pixels, upright or lying."""
    return min(min(width, height), max(width, height) * 9 / 16) / 360


def lay_out(width: int, height: int, names: Sequence[str], has_wave: bool) -> TimelineLayout:
    """Fit the strip into a picture of width x height pixels; lanes that do not fit even when thin are left out."""
    if width < _MIN_PICTURE or height < _MIN_PICTURE:
        return TimelineLayout(width, 0, 0, 0, 0, 0, 0, 0.0, 0, width)
    scale = drawing_scale(width, height)
    margin, gap = max(1, round(5 * scale)), max(1, round(2 * scale))
    wave = max(4, round(22 * scale)) if has_wave else 0
    font = 10.5 * scale
    room = int(height * _MAX_SHARE) - 2 * margin - wave
    comfortable, thin = max(3, round(13 * scale)), max(2, round(4 * scale))
    lane = comfortable
    if names and len(names) * (lane + gap) > room:
        lane = max(thin, room // len(names) - gap)
    lanes = max(0, min(len(names), room // (lane + gap)))
    gutter = max((text_size(name, max(font, 1))[0] for name in names[:lanes]), default=0)
    if font < _MIN_FONT or font > lane * 0.85 or gutter > width * 0.25:
        font, gutter = 0.0, 0
    side = max(2, round(8 * scale))
    left = side + (gutter + side if gutter else 0)
    rows = (wave + gap if wave else 0) + lanes * (lane + gap)
    return TimelineLayout(
        width, rows - gap + 2 * margin if rows else 0, margin, wave, lane, gap, lanes, font, left, width - side
    )


class Timeline:
    """The strip of one clip. ``span``: seconds (start, end) from its left to its right end; ``colours``: of its lanes,
    the default palette if None."""

    def __init__(
        self,
        width: int,
        height: int,
        tracks: Sequence[Track],
        span: tuple[float, float],
        waveform: Waveform | None,
        colours: Palette | None = None,
    ) -> None:
        self._colours = palette() if colours is None else colours
        self._start, self._seconds = span[0], max(span[1] - span[0], 1e-3)
        self.layout = lay_out(width, height, [track_name(track) for track in tracks], waveform is not None)
        self._tracks = tracks[: self.layout.lanes]
        self._joined: tuple[tuple[bool, ...], Patch] | None = None
        if self.layout.height:
            self._wave_played = self._wave_rows(waveform, 0.95)
            self._wave_to_come = self._wave_rows(waveform, 0.45)
            self._idle = [self._lane_rows(track, active=False) for track in self._tracks]
            self._active = [self._lane_rows(track, active=True) for track in self._tracks]
            self._playhead = self._playhead_patch()

    def draw(self, image: NDArray[np.uint8], time: float) -> None:
        """Blend the strip as of ``time`` seconds over the bottom of ``image``, uint8 (H, W, 3)."""
        place = self.layout
        if not place.height:
            return
        top = image.shape[0] - place.height
        active = tuple(track.is_sounding(time) for track in self._tracks)
        x = self.column(time)
        if self._joined is None or self._joined[0] != active:
            self._joined = (active, self._join(active))
        self._joined[1].onto(image, 0, top)
        if place.wave:
            now = min(max(round(x), 0), place.width)
            self._wave_side(self._wave_played, 0, now).onto(image, 0, top)
            self._wave_side(self._wave_to_come, now, place.width).onto(image, now, top)
        self._playhead.onto(image, round(x - self._playhead.width / 2), top)

    def column(self, time: float) -> float:
        """Horizontal place of a time, in pixels from the picture's left."""
        share = min(max((time - self._start) / self._seconds, 0.0), 1.0)
        return self.layout.left + share * (self.layout.right - self.layout.left)

    def _join(self, active: tuple[bool, ...]) -> Patch:
        """Ground and lanes as one patch; the waveform's rows only get the ground."""
        place = self.layout
        builder = PatchBuilder(place.height, place.width)
        builder.paint(_GROUND, np.ones((place.height, place.width), dtype=np.float32), _GROUND_OPACITY)
        ground = builder.build()
        for index, is_active in enumerate(active):
            rows = (self._active if is_active else self._idle)[index]
            top = place.lane_top(index)
            ground.paint[top : top + place.lane] = rows.paint
            ground.keep[top : top + place.lane] = rows.keep
        return ground

    def _lane_rows(self, track: Track, *, active: bool) -> Patch:
        place, colour = self.layout, self._colours.colour(track.id)
        size = (place.lane, place.width)
        builder = PatchBuilder(*size)
        builder.paint(_GROUND, np.ones(size, dtype=np.float32), _GROUND_OPACITY)
        inset = place.lane * 0.18 if place.lane >= 6 else 0.0
        radius = (place.lane - 2 * inset) / 2
        bed = rounded_box(size, place.left, inset, place.right, place.lane - inset, radius)
        builder.paint(_INK, bed, 0.22 if active else 0.10)
        builder.paint(colour, self._bars(track, inset, radius), 1.0 if active else 0.55)
        if place.font:
            name = track_name(track)
            _, height = text_size(name, place.font)
            side = place.width - place.right
            text = text_coverage(size, name, place.font, side, (place.lane - height * 0.78) / 2)
            builder.paint(_INK, text, 1.0 if active else 0.62)
        return builder.build()

    def _bars(self, track: Track, inset: float, radius: float) -> NDArray[np.float32]:
        """Coverage (lane, width) of the spans in which a track sounds, each at least two pixels wide."""
        place = self.layout
        bars = np.zeros((place.lane, place.width), dtype=np.float32)
        for start, end in track.sounding:
            if end < self._start or start > self._start + self._seconds:
                continue
            left, right = self.column(start), self.column(end)
            left, right = min(left, (left + right) / 2 - 1), max(right, (left + right) / 2 + 1)
            first, last = max(int(left) - 1, 0), min(int(right) + 2, place.width)
            box = (left - first, inset, right - first, place.lane - inset)
            bar = rounded_box((place.lane, last - first), *box, radius)
            bars[:, first:last] = np.maximum(bars[:, first:last], bar)
        return bars

    def _wave_rows(self, waveform: Waveform | None, opacity: float) -> Patch:
        """The waveform over the whole strip's rows, without ground."""
        place = self.layout
        builder = PatchBuilder(place.height, place.width)
        if waveform is not None and place.wave:
            low, high = envelope(waveform, self._start, self._seconds, place.right - place.left)
            peak = max(float(np.abs(low).max(initial=0)), float(np.abs(high).max(initial=0)), _QUIET_PEAK)
            middle, half = place.margin + place.wave / 2, place.wave / 2
            upper, lower = middle - half * np.maximum(high / peak, 0), middle - half * np.minimum(low / peak, 0)
            upper, lower = np.minimum(upper, middle - 0.5), np.maximum(lower, middle + 0.5)
            y = np.arange(place.height)[:, None]
            columns = np.clip(np.minimum(y + 1, lower) - np.maximum(y, upper), 0, 1)
            coverage = np.zeros((place.height, place.width), dtype=np.float32)
            coverage[:, place.left : place.right] = columns
            builder.paint(_INK, coverage, opacity)
        return builder.build()

    def _wave_side(self, rows: Patch, left: int, right: int) -> Patch:
        end = self.layout.margin + self.layout.wave
        return Patch(rows.paint[:end, left:right], rows.keep[:end, left:right])

    def _playhead_patch(self) -> Patch:
        height, thick = self.layout.height, max(1, round(self.layout.margin / 4))
        size = (height, thick + 2)
        builder = PatchBuilder(*size)
        builder.paint(_GROUND, np.ones(size, dtype=np.float32), 0.5)
        builder.paint(_INK, rounded_box(size, 1, 0, 1 + thick, height, 0))
        return builder.build()


def envelope(
    waveform: Waveform, start: float, seconds: float, columns: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Lowest and highest sample of each of ``columns`` equal parts of the time span; 0 where nothing sounds."""
    low, high = np.zeros(columns, dtype=np.float32), np.zeros(columns, dtype=np.float32)
    samples = waveform.samples
    if samples.size == 0 or columns == 0:
        return low, high
    edges = (start - float(waveform.start) + np.arange(columns + 1) * (seconds / columns)) * waveform.sample_rate
    first = np.floor(edges[:-1]).astype(np.int64)
    last = np.maximum(np.ceil(edges[1:]).astype(np.int64), first + 1)
    heard = np.flatnonzero((last > 0) & (first < samples.size))
    for column in heard:
        part = samples[max(first[column], 0) : last[column]]
        low[column], high[column] = part.min(), part.max()
    return low, high
