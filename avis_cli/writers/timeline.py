"""The strip at the bottom of an overlay: the sound's waveform, a lane per track that shows when it sounds, a playhead.

Everything that does not move is painted once; a frame only joins the parts and blends them over the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avis_cli.media.clip_info import Waveform
from avis_cli.results.clip import Track
from avis_cli.writers.colours import Colour
from avis_cli.writers.patch import Patch, PatchBuilder, rounded_box, text_coverage, text_size
from avis_cli.writers.style import Palette, palette

GROUND: Colour = (13, 15, 20)
_GROUND_OPACITY = 0.7
_INK: Colour = (255, 255, 255)
_REST: Colour = (150, 156, 166)  # of the bars of all tracks without a lane
MAX_SHARE = 0.2  # of the picture's height that the strip may cover
_MIN_PICTURE = 48  # pixels a side; a smaller picture has none to spare for a strip
_MIN_SCALE = 0.5  # letters of a smaller picture's strip would stand out of it
_MIN_FONT = 8.0  # pixels; smaller letters are no longer read
_LETTERS = 0.85  # of a lane's height at most
_NAMES = 0.25  # of the picture's width at most
_FEWEST_NAMED = 4  # lanes; where there is no room for so many with names, more of them without say more
_MAX_LETTERS = 32  # of a category's name
_QUIET_PEAK = 0.05  # a waveform below this is not drawn any larger: silence must look silent


@dataclass(frozen=True)
class TimelineLayout:
    """Where things are in the strip, in pixels.

    ``lanes``: how many tracks have one of ``lane`` pixels; ``names``: beside them, none where there is no room;
    ``rest``: tracks without one, for which a lane of ``rest_lane`` pixels says how many; ``font``: of what is written.
    """

    width: int
    height: int
    margin: int
    wave: int
    lane: int
    gap: int
    lanes: int
    names: tuple[str, ...]
    font: float
    left: int
    right: int
    rest: int = 0
    rest_lane: int = 0

    def lane_top(self, index: int) -> int:
        """Of the lane of a track; of the ``rest`` at ``index`` = ``lanes``."""
        return self.margin + (self.wave + self.gap if self.wave else 0) + index * (self.lane + self.gap)


def track_name(track: Track) -> str:
    """``person 2``, a class just ``person``: one short line, whatever text the category's name is."""
    label = " ".join(track.label.encode("utf-8", "replace").decode("utf-8").split())
    printable = "".join(letter for letter in label if letter.isprintable())
    short = printable if len(printable) <= _MAX_LETTERS else printable[: _MAX_LETTERS - 1] + "…"
    return short if track.is_class else f"{short} {track.id}"


def drawing_scale(width: int, height: int) -> float:
    """How large lines and letters are drawn: 1 for a picture of 640x360 pixels, upright or lying."""
    return min(min(width, height), max(width, height) * 9 / 16) / 360


def lay_out(width: int, height: int, names: Sequence[str], has_wave: bool, share: float = MAX_SHARE) -> TimelineLayout:
    """Fit the strip of a picture of width x height pixels into ``share`` of its height.

    Where all lanes have no room, everything becomes smaller; then only the first tracks have a lane and a name, and
    one more lane stands for the rest; where hardly any names fit lanes are thin and have none.
    """
    if width < _MIN_PICTURE or height < _MIN_PICTURE:
        return TimelineLayout(width, 0, 0, 0, 0, 0, 0, (), 0.0, 0, width)
    scale = drawing_scale(width, height)
    lanes = None
    for tight in (False, True):
        frame = _Frame.of(scale, has_wave, tight)
        lanes = _fit_lanes(len(names), int(height * share) - frame.height, frame.gap, scale, tight)
        if lanes is not None:
            break
    assert lanes is not None  # the tight one always is
    side = max(2, round(8 * scale))
    shown = tuple(_shortened(name, lanes.font, width * _NAMES) for name in names[: lanes.count] if lanes.named)
    written = [*shown, f"+{lanes.rest}"] if lanes.rest_lane else shown
    gutter = max((text_size(text, lanes.font)[0] for text in written), default=0) if lanes.font else 0
    filled = [row for row in (frame.wave, *[lanes.lane] * lanes.count, lanes.rest_lane) if row]
    return TimelineLayout(
        width,
        sum(filled) + (len(filled) - 1) * frame.gap + 2 * frame.margin if filled else 0,
        frame.margin,
        frame.wave,
        lanes.lane,
        frame.gap,
        lanes.count,
        shown,
        lanes.font,
        side + (gutter + side if gutter else 0),
        width - side,
        lanes.rest,
        lanes.rest_lane,
    )


@dataclass(frozen=True)
class _Frame:
    """What is around the lanes, in pixels. ``height``: all of it, less the gap that the last lane does not need."""

    margin: int
    gap: int
    wave: int

    @classmethod
    def of(cls, scale: float, has_wave: bool, tight: bool) -> _Frame:
        margin, gap, wave = (3.0, 1.0, 11.0) if tight else (5.0, 2.0, 22.0)
        return cls(
            max(1, round(margin * scale)), max(1, round(gap * scale)), max(4, round(wave * scale)) if has_wave else 0
        )

    @property
    def height(self) -> int:
        return 2 * self.margin + (self.wave + self.gap if self.wave else 0) - self.gap


@dataclass(frozen=True)
class _Lanes:
    """``count`` lanes of ``lane`` pixels; ``rest`` tracks without one, and the height of the lane for these."""

    count: int
    lane: int
    named: bool
    font: float
    rest: int = 0
    rest_lane: int = 0


def _fit_lanes(tracks: int, room: int, gap: int, scale: float, tight: bool) -> _Lanes | None:
    """Lanes in ``room`` pixels, each with a gap; None where they do not all fit with names and ``tight`` may."""
    letters = max(_MIN_FONT, 5 * scale) if scale >= _MIN_SCALE else 0.0
    usual, thin = max(3, round(13 * scale)), max(2, round(4 * scale))
    named = math.ceil(letters / _LETTERS) if letters else usual  # the least height
    usual = max(usual, named)
    most = room // (named + gap)
    if tracks <= most:
        lane = min(usual, room // tracks - gap) if tracks else usual
        font = min(max(10.5 * scale, letters), lane * _LETTERS) if letters else 0.0
        return _Lanes(tracks, lane, bool(letters), font)
    if not tight:
        return None
    if letters and most > _FEWEST_NAMED:
        return _Lanes(most - 1, named, True, letters, tracks - most + 1, named)
    if tracks * (thin + gap) <= room:
        return _Lanes(tracks, room // tracks - gap, False, 0.0)
    rest_lane = named if letters and room >= named + gap else 0
    count = max(0, (room - (rest_lane + gap if rest_lane else 0)) // (thin + gap))
    return _Lanes(count, thin, False, letters if rest_lane else 0.0, tracks - count, rest_lane)


def _shortened(name: str, font: float, width: float) -> str:
    """``name`` with as much of its category as ``width`` pixels hold; the number at its end stays."""
    label, _, number = name.rpartition(" ")
    text = name
    while label and text_size(text, font)[0] > width:
        label = label[:-1].rstrip()
        text = f"{label}… {number}"
    return text


class Timeline:
    """The strip of one clip. ``size``: width and height of its picture; ``span``: seconds (start, end) from its left to
    its right end; ``colours``: of its lanes, the default palette if None; ``share``: of the picture's height, at most.
    """

    def __init__(
        self,
        size: tuple[int, int],
        tracks: Sequence[Track],
        span: tuple[float, float],
        waveform: Waveform | None,
        colours: Palette | None = None,
        share: float = MAX_SHARE,
    ) -> None:
        self._colours = palette() if colours is None else colours
        self._start, self._seconds = span[0], max(span[1] - span[0], 1e-3)
        self.layout = lay_out(*size, [track_name(track) for track in tracks], waveform is not None, share)
        self._tracks, self._rest = tracks[: self.layout.lanes], tracks[self.layout.lanes :]
        self._joined: tuple[tuple[bool, ...], Patch] | None = None
        if self.layout.height:
            self._wave_played = self._wave_rows(waveform, 0.95)
            self._wave_to_come = self._wave_rows(waveform, 0.45)
            self._idle = self._all_lanes(active=False)
            self._active = self._all_lanes(active=True)
            self._playhead = self._playhead_patch()

    def draw(self, image: NDArray[np.uint8], time: float | None) -> None:
        """Blend the strip as of ``time`` seconds over the bottom of ``image``, uint8 (H, W, 3); None: all of it bright
        and without a playhead."""
        place = self.layout
        if not place.height:
            return
        top = image.shape[0] - place.height
        active = tuple(time is None or track.is_sounding(time) for track in self._tracks)
        if place.rest_lane:
            active = *active, time is None or any(track.is_sounding(time) for track in self._rest)
        if self._joined is None or self._joined[0] != active:
            self._joined = (active, self._join(active))
        self._joined[1].onto(image, 0, top)
        x = float(place.width) if time is None else self.column(time)
        if place.wave:
            now = min(max(round(x), 0), place.width)
            self._wave_side(self._wave_played, 0, now).onto(image, 0, top)
            self._wave_side(self._wave_to_come, now, place.width).onto(image, now, top)
        if time is not None:
            self._playhead.onto(image, round(x - self._playhead.width / 2), top)

    def column(self, time: float) -> float:
        """Horizontal place of a time, in pixels from the picture's left."""
        share = min(max((time - self._start) / self._seconds, 0.0), 1.0)
        return self.layout.left + share * (self.layout.right - self.layout.left)

    def _join(self, active: tuple[bool, ...]) -> Patch:
        """Ground and lanes as one patch; the waveform's rows only get the ground."""
        place = self.layout
        builder = PatchBuilder(place.height, place.width)
        builder.paint(GROUND, np.ones((place.height, place.width), dtype=np.float32), _GROUND_OPACITY)
        ground = builder.build()
        for index, is_active in enumerate(active):
            rows = (self._active if is_active else self._idle)[index]
            top = place.lane_top(index)
            ground.paint[top : top + rows.height] = rows.paint
            ground.keep[top : top + rows.height] = rows.keep
        return ground

    def _all_lanes(self, *, active: bool) -> list[Patch]:
        """The lanes from top to bottom, bright or not."""
        place = self.layout
        lanes = []
        for index, track in enumerate(self._tracks):
            name = place.names[index] if place.names else ""
            lanes.append(self._lane_rows(place.lane, name, track.sounding, self._colours.colour(track.id), active))
        if place.rest_lane:
            spans = [span for track in self._rest for span in track.sounding]
            lanes.append(self._lane_rows(place.rest_lane, f"+{place.rest}", spans, _REST, active))
        return lanes

    def _lane_rows(
        self, height: int, name: str, spans: Sequence[tuple[float, float]], colour: Colour, active: bool
    ) -> Patch:
        place = self.layout
        size = (height, place.width)
        builder = PatchBuilder(*size)
        builder.paint(GROUND, np.ones(size, dtype=np.float32), _GROUND_OPACITY)
        inset = height * 0.18 if height >= 6 else 0.0
        radius = (height - 2 * inset) / 2
        bed = rounded_box(size, place.left, inset, place.right, height - inset, radius)
        builder.paint(_INK, bed, 0.22 if active else 0.10)
        builder.paint(colour, self._bars(spans, height, inset, radius), 1.0 if active else 0.55)
        if name:
            _, letters = text_size(name, place.font)
            side = place.width - place.right
            text = text_coverage(size, name, place.font, side, (height - letters * 0.78) / 2)
            builder.paint(_INK, text, 1.0 if active else 0.62)
        return builder.build()

    def _bars(
        self, spans: Sequence[tuple[float, float]], height: int, inset: float, radius: float
    ) -> NDArray[np.float32]:
        """Coverage (height, width) of the spans in which something sounds, each at least two pixels wide."""
        place = self.layout
        bars = np.zeros((height, place.width), dtype=np.float32)
        for start, end in spans:
            if end < self._start or start > self._start + self._seconds:
                continue
            left, right = self.column(start), self.column(end)
            left, right = min(left, (left + right) / 2 - 1), max(right, (left + right) / 2 + 1)
            first, last = max(int(left) - 1, 0), min(int(right) + 2, place.width)
            box = (left - first, inset, right - first, height - inset)
            bar = rounded_box((height, last - first), *box, radius)
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
        builder.paint(GROUND, np.ones(size, dtype=np.float32), 0.5)
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
