"""The frames of a clip through a network of kind ``map``: which pixels sound, and as what.

Letters: F frames, K logits of a pixel, h, w pixels at network size, H, W pixels of the clip.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from avis_cli.errors import UsageError
from avis_cli.inference.clean_masks import clean_mask
from avis_cli.inference.clip_frames import ClipFrames, FrameBatch
from avis_cli.inference.model import Model
from avis_cli.inference.protocols import MapModel
from avis_cli.inference.track_accumulator import Masks, TrackAccumulator, encoded
from avis_cli.models.system import MapConfig
from avis_cli.progress import Progress, silent

Hear = Callable[[Sequence[Fraction]], Tensor | NDArray[np.float32]]
"""When the sound of each frame begins, in seconds of the clip's clock -> what ``segment`` takes as their sound."""


@dataclass(frozen=True)
class ClipMaps:
    """``times``: seconds of the mask frames; of each class that has pixels, rising: ``classes`` its number, from 1,
    ``masks`` one per mask frame or None, ``scores`` the mean probability of its pixels."""

    times: list[Fraction]
    classes: list[int]
    masks: list[Masks]
    scores: list[float]


@dataclass(frozen=True, eq=False)
class MapFrame:
    """One frame. ``time`` in seconds; ``labels`` (H, W): the class of each pixel, 0 for none; ``probability`` (H, W)
    of it."""

    time: Fraction
    labels: NDArray[np.uint8]
    probability: NDArray[np.float32]


def segment_maps(
    model: Model,
    frames: Tensor | NDArray[np.uint8],
    audio: Tensor | NDArray[np.float32],
    valid: Tensor | NDArray[np.bool_] | None = None,
) -> Tensor:
    """Logits of the pixels of frames that are at network size already, no media touched.

    ``frames``: uint8 RGB (F, 3, h, w), clip after clip; ``audio``: of each frame, embeddings (F, audio width) or
    samples (F, channels, N) at 16 kHz, as the model hears; ``valid``: (B, F / B), False for frames that only pad their
    clip. Returns float32 (F, K, h, w) on the CPU; K is 1 where a pixel sounds or not. Raises UsageError for a model of
    instances and for arrays of other shapes.
    """
    pictures, sound = torch.as_tensor(frames), torch.as_tensor(audio)
    if pictures.ndim != 4 or pictures.shape[1] != 3 or pictures.dtype != torch.uint8 or 0 in pictures.shape:
        raise UsageError(
            f"frames of shape {tuple(pictures.shape)} and type {pictures.dtype}, expected (F, 3, h, w) of uint8",
            hint="give RGB frames at network size",
        )
    if model.is_semantic:
        _require_sound(model.config, tuple(sound.shape), len(pictures))
    return model.segment(pictures, sound, None if valid is None else torch.as_tensor(valid))


def _require_sound(config: MapConfig, shape: tuple[int, ...], count: int) -> None:
    if config.hears == "embedding":
        fits, expected = len(shape) == 2, "(F, audio width)"
    else:
        fits = len(shape) == 3 and shape[1] == config.sound_channels
        expected = f"(F, {config.sound_channels}, samples at 16 kHz)"
    if not fits or shape[0] != count:
        raise UsageError(f"sound of shape {shape} for {count} frames, expected {expected}")


def sound_starts(config: MapConfig, times: Sequence[Fraction]) -> list[Fraction]:
    """When the sound begins that each of the frames of a clip at ``times`` hears."""
    before = Fraction(str(config.sound_before))  # as the decimals say: 0.9 is no binary fraction
    if config.sound_step is None:
        return [time - before for time in times]
    return [times[0] - before + number * Fraction(str(config.sound_step)) for number in range(len(times))]


def class_map(logits: Tensor, size: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Logits (K, h, w) of one frame -> the class of each pixel (H, W), 0 for none, and its probability (H, W).

    Logits are resized (bilinear), then decided: K = 1 by a probability above one half, more by the largest.
    """
    full = logits[None] if logits.shape[1:] == size else F.interpolate(logits[None], size, mode="bilinear")
    if len(logits) == 1:
        probability = full[0, 0].sigmoid()
        return (full[0, 0] > 0).to(torch.uint8).numpy(), probability.numpy()
    best, classes = full[0].max(dim=0)
    probability = (best - full[0].logsumexp(dim=0)).exp()
    return classes.to(torch.uint8).numpy(), probability.numpy()


def map_frames(
    model: MapModel, frames: ClipFrames, hear: Hear, output_size: tuple[int, int], progress: Progress = silent
) -> Iterator[MapFrame]:
    """The mask frames of a clip, as many in the network together as it was trained with."""
    rate, done = frames.sampling.mask_fps, 0
    total = frames.expected(rate)
    progress("segmenting", 0, total)
    for times, images in _clips(frames.batches(rate), model.config.clip_frames):
        logits = _logits(model, times, images, hear)
        for time, one in zip(times, logits, strict=True):
            yield MapFrame(time, *class_map(one, output_size))
        done += len(times)
        progress("segmenting", done, total)


def class_maps(frames: Iterable[MapFrame], categories: int, *, clean: bool = False) -> ClipMaps:
    """Frames one after another -> a mask of each of the classes 1 to ``categories``; ``clean``: without specks and
    pinholes."""
    found, certainty, pixels = TrackAccumulator(), np.zeros(categories + 1), np.zeros(categories + 1)
    for frame in frames:
        labels = frame.labels
        certainty += np.bincount(labels.ravel(), frame.probability.ravel(), len(certainty))
        pixels += np.bincount(labels.ravel(), minlength=len(pixels))
        present = [int(number) for number in np.unique(labels) if number]
        masks = [labels == number for number in present]
        found.add(frame.time, present, encoded(_cleaned(masks, labels == 0) if clean else masks))
    ids = found.ids
    found.close(ids, ids, [certainty[id] / pixels[id] for id in ids], [1.0] * len(ids))
    classes = found.finished()
    return ClipMaps(found.times, ids, [one.masks for one in classes], [min(one.score, 1.0) for one in classes])


def _cleaned(masks: Sequence[NDArray[np.bool_]], free: NDArray[np.bool_]) -> list[NDArray[np.bool_] | None]:
    """A hole is filled only with pixels that are ``free``: classes stay apart."""
    kept: list[NDArray[np.bool_] | None] = []
    for mask in masks:
        cleaned = clean_mask(mask) & (mask | free)
        free = free & ~cleaned
        kept.append(cleaned if cleaned.any() else None)
    return kept


def _clips(batches: Iterator[FrameBatch], length: int) -> Iterator[FrameBatch]:
    """Frames in groups of ``length``, fewer in the last."""
    times: list[Fraction] = []
    images: list[NDArray[np.uint8]] = []
    for some, frames in batches:
        times += some
        images += list(frames)
        while len(times) >= length:
            yield times[:length], np.stack(images[:length])
            times, images = times[length:], images[length:]
    if times:
        yield times, np.stack(images)


def _logits(model: MapModel, times: list[Fraction], images: NDArray[np.uint8], hear: Hear) -> Tensor:
    """Logits (F, K, h, w) of the frames of one clip; where it is too short its last frame and sound are repeated."""
    sound = np.asarray(hear(sound_starts(model.config, times)))
    missing = model.config.clip_frames - len(times) if model.config.whole_clips else 0
    if missing:
        images = np.concatenate([images, np.repeat(images[-1:], missing, axis=0)])
        sound = np.concatenate([sound, np.repeat(sound[-1:], missing, axis=0)])
    return model.segment(images, sound)[: len(times)]
