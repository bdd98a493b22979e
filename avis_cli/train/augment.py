"""A clip seen and heard otherwise: flips, colours, crops, loudness, noise, missing and foreign sound."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from avis_cli.models.training import Augmentation
from avis_cli.nn.audio import LOG_OFFSET  # digital silence is its logarithm
from avis_cli.train.clips import RawClip

NONE = Augmentation(flip=0.0, colour=0.0, gain=0.0, noise=0.0, bands=0)


def augmented(clip: RawClip, how: Augmentation, rng: np.random.Generator, other: RawClip | None = None) -> RawClip:
    """``clip`` changed by chance, alike in all its frames; ``other``: whose sound may take the place of its own."""
    if rng.random() < how.crop:
        clip = _cropped(clip, rng)
    if how.short_sides is not None:
        clip = _resized(clip, int(rng.integers(how.short_sides[0], how.short_sides[1] + 1)), how.long_side)
    if rng.random() < how.flip:
        clip = _flipped(clip)
    if how.colour:
        clip = replace(clip, frames=_recoloured(clip.frames, how.colour, rng))
    chance = rng.random()
    if chance < how.mute:
        clip = _muted(clip, rng)
    elif chance < how.mute + how.swap and other is not None:
        clip = _swapped(clip, other)
    return replace(clip, patches=_reheard(clip.patches, how, rng), samples=_louder(clip.samples, how, rng))


def _flipped(clip: RawClip) -> RawClip:
    """Left and right change places, in the sound too."""
    return replace(
        clip,
        frames=clip.frames[:, :, ::-1],
        masks=clip.masks[..., ::-1],
        samples=None if clip.samples is None else clip.samples[:, ::-1],
        ignored=None if clip.ignored is None else clip.ignored[..., ::-1],
    )


def _recoloured(frames: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    contrast = 1.0 + rng.uniform(-strength, strength)
    channel = contrast * (1.0 + rng.uniform(-strength, strength, 3) / 2)
    brightness = 255.0 * rng.uniform(-strength, strength) / 2
    levels = (np.arange(256)[:, None] - 128.0) * channel + 128.0 + brightness
    table = np.clip(levels, 0, 255).astype(np.uint8)  # (256, 3)
    out = np.empty(frames.shape, dtype=np.uint8)
    for c in range(3):
        out[..., c] = table[:, c][frames[..., c]]
    return out


def _reheard(patches: NDArray[np.float32], how: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
    """Patches (T, 96, 64) louder or softer, noisier, with a band of frequencies missing."""
    if how.gain or how.noise:
        blank = ~patches.any(axis=(1, 2))  # no sound at all, which is not the same as silence
        loudness = np.float32(10.0 ** (rng.uniform(-how.gain, how.gain) / 20.0))
        magnitude = (np.exp(patches) - LOG_OFFSET).clip(min=0) * loudness
        if how.noise:
            level = np.float32(rng.uniform(0, how.noise))
            magnitude += level * rng.random(patches.shape, dtype=np.float32)
        changed = np.log(magnitude + np.float32(LOG_OFFSET))
        changed[blank] = 0.0
        patches = changed
    if how.bands:
        width = int(rng.integers(0, how.bands + 1))
        first = int(rng.integers(0, patches.shape[2] - width + 1))
        patches = patches.copy()
        patches[:, :, first : first + width] = np.float32(np.log(LOG_OFFSET))
    return patches


def _louder(
    samples: NDArray[np.float32] | None, how: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """Samples louder or softer; nothing is drawn where there are none."""
    if samples is None or not how.gain:
        return samples
    return samples * np.float32(10.0 ** (rng.uniform(-how.gain, how.gain) / 20.0))


def _muted(clip: RawClip, rng: np.random.Generator) -> RawClip:
    level = 0.0 if rng.random() < 0.3 else np.log(LOG_OFFSET)  # a missing sound, or digital silence
    return replace(
        clip,
        patches=np.full_like(clip.patches, level),
        sounding=np.zeros_like(clip.sounding),
        tags=np.zeros_like(clip.tags),
        annotated=None,
        samples=None if clip.samples is None else np.zeros_like(clip.samples),
    )


def _swapped(clip: RawClip, other: RawClip) -> RawClip:
    """``clip`` with the sound of ``other``, where none of the categories heard there is seen here."""
    seen = {int(category) for category in clip.categories}
    if len(other.patches) != len(clip.patches) or any(other.tags[:, category].any() for category in seen):
        return clip
    silent = np.zeros_like(clip.sounding)
    return replace(clip, patches=other.patches, samples=other.samples, tags=other.tags, sounding=silent, annotated=None)


def _cropped(clip: RawClip, rng: np.random.Generator) -> RawClip:
    height, width = clip.frames.shape[1:3]
    h, w = (max(round(side * rng.uniform(0.6, 1.0)), 1) for side in (height, width))
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    window = (slice(top, top + h), slice(left, left + w))
    masks = clip.masks[:, :, window[0], window[1]]
    return replace(
        clip,
        frames=clip.frames[:, window[0], window[1]],
        masks=masks,
        sounding=clip.sounding & masks.any(axis=(2, 3)),
        annotated=clip.counts,
        ignored=None if clip.ignored is None else clip.ignored[:, window[0], window[1]],
    )


def _resized(clip: RawClip, short: int, long: int) -> RawClip:
    height, width = clip.frames.shape[1:3]
    scale = min(short / min(height, width), long / max(height, width))
    size = (max(round(width * scale), 1), max(round(height * scale), 1))  # OpenCV's order
    if size == (width, height):
        return clip
    picture = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = [cv2.resize(np.ascontiguousarray(frame), size, interpolation=picture) for frame in clip.frames]
    frames = np.stack(scaled).astype(np.uint8, copy=False)
    masks = np.zeros((*clip.masks.shape[:2], size[1], size[0]), dtype=bool)
    for o, t in zip(*np.nonzero(clip.masks.any(axis=(2, 3))), strict=True):
        masks[o, t] = cv2.resize(clip.masks[o, t].astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    sounding = clip.sounding & masks.any(axis=(2, 3))
    ignored = None
    if clip.ignored is not None:
        marks = [cv2.resize(mark.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) for mark in clip.ignored]
        ignored = np.stack(marks).astype(bool)
    return replace(clip, frames=frames, masks=masks, sounding=sounding, annotated=clip.counts, ignored=ignored)
