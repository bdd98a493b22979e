"""Drawing a result over the clip's pictures: masks in one of the styles, outlines, labels, and the timeline below."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.media.clip_info import Waveform
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult, Track
from avis_cli.writers.backdrop import Blur, Effect, Spotlight
from avis_cli.writers.colours import text_colour
from avis_cli.writers.labels import Box, PlacedLabel, place_labels
from avis_cli.writers.layer import Area, Layer
from avis_cli.writers.patch import Patch, pill
from avis_cli.writers.style import DrawStyle, StripPlace, StyleName
from avis_cli.writers.timeline import GROUND, MAX_SHARE, Timeline, drawing_scale, track_name

_MAX_LABEL_SHARE = 0.45  # of the picture's width; a wider label is shortened, then left out
_MAX_LABEL_HEIGHT = 0.14  # of the picture's height
_FONT = 12.5  # of labels, at a scale of 1
_CROWD = 20  # tracks; labels of more are smaller
_CROWD_FONT = 9.5
_MIN_FONT = 9.0  # pixels
_SHARE_BELOW = 0.4  # of the picture's height that a strip below it adds at most


def label_text(track: Track) -> str:
    """What a track is called in the picture: ``person 2 · 93 %``."""
    return f"{track_name(track)} · {round(100 * track.score)} %"


class OverlayPainter:
    """Draws one clip's result frame by frame. What does not change from frame to frame is made once.

    ``span``: seconds (start, end) that the timeline shows; ``waveform``: what it shows there; ``style``: how all of it
    is drawn. Masks are decoded when the mask frame on screen changes.
    """

    def __init__(
        self,
        result: ClipResult,
        *,
        span: tuple[float, float],
        waveform: Waveform | None = None,
        style: DrawStyle = DrawStyle(),
    ) -> None:
        self._result = result
        self._style, self._name, self._colours = style, StyleName(style.name), style.colours
        self._height, self._width = result.source.height, result.source.width
        # the higher score is drawn last: on top
        self._rising = sorted(result.tracks, key=lambda track: (track.score, -track.id))
        self._scale = drawing_scale(self._width, self._height)
        self._labels = {track.id: self._label(track) for track in result.tracks} if style.labels else {}
        self._timeline = None
        self._below = 0  # rows that the strip adds to the picture
        if style.strip != StripPlace.none.value:
            is_below = style.strip == StripPlace.below.value
            share = _SHARE_BELOW if is_below else MAX_SHARE
            size = (self._width, self._height)
            self._timeline = Timeline(size, result.tracks, span, waveform, self._colours, share)
            self._below = self._timeline.layout.height if is_below else 0
        self._end = result.end
        self._drawn = _DrawnMasks(-1, frozenset(), [], [])

    def paint(self, image: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """A copy of ``image``, uint8 RGB (H, W, 3) of the result's size, as it looks at ``time`` seconds; with a strip
        below, taller by that and, if need be, by one row, so that it has an even height."""
        if image.shape != (self._height, self._width, 3):
            raise ValueError(f"expected a picture of {self._width}x{self._height}, got shape {image.shape}")
        rows = self._height + self._below
        drawn = np.empty((rows + (rows % 2 if self._below else 0), self._width, 3), dtype=np.uint8)
        drawn[: self._height], drawn[self._height :] = image, GROUND
        self._drawn = shown = self._drawn_at(time)
        for effect in shown.effects:
            effect.onto(drawn[: self._height])
        if self._timeline is not None:
            self._timeline.draw(drawn[:rows], time)
        for label in shown.labels:
            label.onto(drawn)
        return drawn

    def _drawn_at(self, time: float) -> _DrawnMasks:
        """What is shown at ``time``: as before, or made anew where the mask frame or the hidden tracks have changed."""
        index = bisect_right(self._result.times, time) - 1 if time < self._end else -1
        # a mask may outlast the sound of its object; only this style tells the two apart
        silent = (track for track in self._rising if self._name is StyleName.mute and not track.is_sounding(time))
        hidden = frozenset(track.id for track in silent)
        if (index, hidden) == (self._drawn.index, self._drawn.hidden):
            return self._drawn
        if index < 0:  # the result says nothing about this moment
            return _DrawnMasks(index, hidden, [], [])
        shapes = self._shapes(index, hidden)
        return _DrawnMasks(index, hidden, self._effects(shapes), self._placed(shapes))

    def _shapes(self, index: int, hidden: frozenset[int]) -> list[_Shape]:
        present = ((track, track.masks[index]) for track in self._rising if track.id not in hidden)
        shapes = (_Shape.of(track, run_length.decode(mask)) for track, mask in present if mask is not None)
        return [shape for shape in shapes if shape is not None]

    def _effects(self, shapes: Sequence[_Shape]) -> list[Effect]:
        opacity = self._style.opacity
        where = (self._height, self._width)
        if self._name is StyleName.spotlight:  # a line would cut through the soft edge
            return [Spotlight.around(_union(shapes, where), opacity)]
        effects: list[Effect] = []
        if self._name in (StyleName.blur_background, StyleName.mute):
            effects.append(Blur.around(_union(shapes, where), opacity, muted=self._name is StyleName.mute))
        areas = [Area(shape.mask, *shape.box[:2], self._colours.colour(shape.track.id)) for shape in shapes]
        fill = opacity if self._name is StyleName.fill else 0.0
        line = opacity if self._name is StyleName.outline else 1.0
        layer = Layer.of(areas, where, self._scale, fill=fill, line=line)
        return effects if layer is None else [*effects, layer]

    def _label(self, track: Track) -> list[Patch]:
        """What may stand at a track's object: as much of its name as the picture has room for, and its number."""
        letters = _FONT if len(self._rising) <= _CROWD else _CROWD_FONT
        colour, font = self._colours.colour(track.id), max(_MIN_FONT, letters * self._scale)
        patches = (
            pill(text, font, colour, text_colour(colour))
            for text in (label_text(track), track_name(track), str(track.id))
        )
        fitting = [
            patch
            for patch in patches
            if patch.width <= self._width * _MAX_LABEL_SHARE and patch.height <= self._height * _MAX_LABEL_HEIGHT
        ]
        return [fitting[0], fitting[-1]] if len(fitting) > 1 else fitting

    def _placed(self, shapes: Sequence[_Shape]) -> list[PlacedLabel]:
        if not self._labels:
            return []
        covered = 0 if self._timeline is None or self._below else self._timeline.layout.height
        room = (self._width, self._height - covered)
        # the surest object gets the best place
        objects = [(shape.anchor, self._labels[shape.track.id]) for shape in reversed(shapes)]
        return place_labels(objects, room, gap=max(1, round(4 * self._scale)))


@dataclass(frozen=True, eq=False)
class _Shape:
    """A track's mask in one mask frame, cut to ``box``: x, y, width, height."""

    track: Track
    mask: NDArray[np.uint8]
    box: Box

    @property
    def anchor(self) -> Box:
        """The box of the largest connected piece of the mask, where its label belongs."""
        count, _, pieces, _ = cv2.connectedComponentsWithStats(self.mask, connectivity=8)
        if count <= 2:  # the ground and one piece
            return self.box
        left, top, width, height, _ = (int(number) for number in max(pieces[1:], key=lambda piece: int(piece[4])))
        return self.box[0] + left, self.box[1] + top, width, height

    @classmethod
    def of(cls, track: Track, mask: NDArray[np.bool_]) -> _Shape | None:
        """None for a mask without pixels."""
        pixels = np.ascontiguousarray(mask).view(np.uint8)
        x, y, width, height = cv2.boundingRect(pixels)
        if width == 0:
            return None
        return cls(track, np.ascontiguousarray(pixels[y : y + height, x : x + width]), (x, y, width, height))


@dataclass(frozen=True, eq=False)
class _DrawnMasks:
    """What is on screen until the mask frame changes. ``index``: of that frame, -1 outside the result; ``hidden``: ids
    of the tracks that are not drawn; ``effects``: what is done to a picture, one after another; ``labels`` on top."""

    index: int
    hidden: frozenset[int]
    effects: list[Effect]
    labels: list[PlacedLabel]


def _union(shapes: Sequence[_Shape], size: tuple[int, int]) -> NDArray[np.uint8]:
    """uint8 (H, W), 1 where any of the masks is."""
    where = np.zeros(size, dtype=np.uint8)
    for shape in shapes:
        x, y, width, height = shape.box
        where[y : y + height, x : x + width] |= shape.mask
    return where
