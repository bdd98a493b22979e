"""Draws a planned scene: the picture at any time, and the visible part of every object in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.synth import schedule
from avis_cli.datasets.synth.background import Background, Occluder
from avis_cli.datasets.synth.canvas import Canvas, Colour, arc
from avis_cli.datasets.synth.draw_objects import draw
from avis_cli.datasets.synth.looks import EXTENT, SIZE, Pose
from avis_cli.datasets.synth.scenes import Scene, SceneObject, stream

_REACH = 1.75  # object units around the centre that a layer covers: the object and what it radiates
_SHAKES = 5.7  # movements per second of an object that shows that it sounds
_DRAWN_TWICE = 500_000  # pixels up to which a frame is drawn at twice its size, for smoother edges
_GLOWS: tuple[Colour, ...] = ((255, 244, 170), (255, 255, 255), (190, 240, 255), (255, 214, 150))


@dataclass(frozen=True, eq=False)
class Rendered:
    """``image`` uint8 (H, W, 3) RGB; ``masks`` bool (K, H, W): visible parts, in the order of the scene's objects."""

    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _DrawnObject:
    """A drawn rectangle of the frame: ``halo`` 0..255 is light around the object, None without."""

    left: int
    top: int
    canvas: Canvas
    halo: NDArray[np.uint8] | None
    glow: Colour

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.canvas.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def _blend(under: NDArray[np.uint8], over: NDArray[np.uint8] | Colour, alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``over`` where ``alpha`` (h, w) is 255, ``under`` where it is 0."""
    share = alpha.astype(np.uint16)[..., None]
    return ((under * (255 - share) + np.asarray(over, np.uint16) * share + 127) // 255).astype(np.uint8)


class SceneRenderer:
    """A scene at one size; ``at`` may be asked in any order."""

    def __init__(self, scene: Scene, width: int, height: int) -> None:
        self.scene = scene
        self._size = (width, height)
        self._zoom = 2 if width * height <= _DRAWN_TWICE else 1
        self._width, self._height = width * self._zoom, height * self._zoom
        rng = stream(scene.seed, 1)
        self._background = Background(rng, self._height, self._width)
        self._occluder = Occluder(rng, width / height) if scene.has_occluder else None
        self._light = (float(rng.uniform(0.82, 1.08)), float(rng.uniform(0, 0.10)), float(rng.uniform(5, 12)))
        self._glows = [_GLOWS[int(rng.integers(len(_GLOWS)))] for _ in scene.objects]

    def at(self, time: float) -> Rendered:
        """The frame at ``time`` seconds."""
        picture = self._background.at(time)
        alphas: list[NDArray[np.uint8]] = []
        for number, item in enumerate(self.scene.objects):
            alpha = np.zeros((self._height, self._width), np.uint8)
            layer = self._layer(item, self._glows[number], time)
            if layer is not None:
                self._compose(picture, layer, alphas)
                alpha[layer.window] = layer.canvas.alpha
            alphas.append(alpha)
        if self._occluder is not None:
            canvas = self._occluder.draw(time, self._height, self._width)
            self._compose(picture, _DrawnObject(0, 0, canvas, None, (0, 0, 0)), alphas)
        return Rendered(self._developed(picture, time), self._masks(alphas))

    def _masks(self, alphas: list[NDArray[np.uint8]]) -> NDArray[np.bool_]:
        masks = np.zeros((len(alphas), self._size[1], self._size[0]), bool)
        taken = masks.any(axis=0)
        # from the front: where two halves of a pixel meet, rounding may give it to both
        for mask, alpha in zip(masks[::-1], alphas[::-1], strict=True):
            mask[:] = (cv2.resize(alpha, self._size, interpolation=cv2.INTER_AREA) > 127) & ~taken
            taken |= mask
        return masks

    def _compose(self, picture: NDArray[np.uint8], layer: _DrawnObject, behind: list[NDArray[np.uint8]]) -> None:
        window, alpha = layer.window, layer.canvas.alpha
        if layer.halo is not None:
            picture[window] = _blend(picture[window], layer.glow, layer.halo)
        picture[window] = _blend(picture[window], layer.canvas.colour, alpha)
        for other in behind:
            other[window] = cv2.multiply(other[window], 255 - alpha, scale=1 / 255)

    def _layer(self, item: SceneObject, glow: Colour, time: float) -> _DrawnObject | None:
        """The object drawn at ``time``, or None where it is out of the picture."""
        place = item.path.at(time)
        cue = schedule.level(item.shows, time)
        beat = cue * math.sin(2 * math.pi * _SHAKES * time + item.phase)
        tilt = place.tilt + 0.13 * beat
        scale = place.size * self._height
        stretch = 1.0 + 0.09 * cue * math.cos(2 * math.pi * _SHAKES * time + 1.7 * item.phase)
        across, down = scale / stretch * (-1 if item.flip else 1), scale * stretch
        cosine, sine = math.cos(tilt), math.sin(tilt)
        linear = np.array([[cosine * across, -sine * down], [sine * across, cosine * down]])
        centre = np.array([place.x + 0.02 * beat, place.y]) * self._height
        reach = _REACH * scale
        left, top = (max(math.floor(value - reach), 0) for value in centre)
        right = min(math.ceil(centre[0] + reach), self._width)
        bottom = min(math.ceil(centre[1] + reach), self._height)
        if right - left < 2 or bottom - top < 2:
            return None
        to_pixels = np.column_stack([linear, centre - (left, top)])
        canvas = Canvas(bottom - top, right - left, to_pixels)
        draw(item.category_id, canvas, item.appearance, Pose(item.phase + time, beat))
        self._light_surface(canvas, item, to_pixels, 1.0 + 0.18 * cue)
        halo = self._halo(canvas, cue) if cue > 0 else None
        return _DrawnObject(left, top, canvas, halo, glow)

    @staticmethod
    def _light_surface(canvas: Canvas, item: SceneObject, to_pixels: NDArray[np.float64], gain: float) -> None:
        texel = 2 * EXTENT / SIZE
        linear = to_pixels[:, :2] * texel
        corner = to_pixels[:, 2] + to_pixels[:, :2] @ np.array([texel / 2 - EXTENT, texel / 2 - EXTENT])
        height, width = canvas.alpha.shape
        placed = np.column_stack([linear, corner])
        factor = cv2.warpAffine(item.appearance.surface, placed, (width, height), borderMode=cv2.BORDER_REPLICATE)
        lit = cv2.multiply(canvas.colour, cv2.merge([factor] * 3), scale=gain, dtype=cv2.CV_8U)
        canvas.colour = np.asarray(lit, np.uint8)

    @staticmethod
    def _halo(canvas: Canvas, cue: float) -> NDArray[np.uint8]:
        """Light around the silhouette and two arcs to each side of it."""
        near = max(3, round(0.16 * canvas.scale)) | 1
        grown = cv2.dilate(canvas.alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (near, near)))
        light = cv2.GaussianBlur(grown, (0, 0), max(0.8, 0.07 * canvas.scale))
        rays = canvas.blank()
        for side in (0, 180):
            for radius in (1.28, 1.50):
                rays.stroke(arc(0, 0, radius, radius, side - 26, side + 26, 8), 0.085, (255, 255, 255))
        return np.asarray(cv2.convertScaleAbs(cv2.max(light, rays.alpha), alpha=cue * 0.92), np.uint8)

    def _developed(self, picture: NDArray[np.uint8], time: float) -> NDArray[np.uint8]:
        """To the frame's own size, with changing light and the noise of a sensor."""
        small = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA) if self._zoom > 1 else picture
        base, change, period = self._light
        gain = base * (1 + change * math.sin(2 * math.pi * time / period))
        rng = np.random.default_rng([self.scene.seed & 0xFFFFFFFF, self.scene.seed >> 32, round(time * 1e6)])
        noise = rng.standard_normal(small.shape, dtype=np.float32) * np.float32(self.scene.grain)
        return np.clip(small * np.float32(gain) + noise, 0, 255).astype(np.uint8)
