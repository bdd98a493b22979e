"""Clips with class maps to learn from, out of AVSBench's layouts and VPO's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from avis_cli.datasets.avsbench import MapClip, MapSplit
from avis_cli.datasets.label_images import IGNORED, read_label_image
from avis_cli.datasets.vpo import Sample, Vpo, read_labels
from avis_cli.datasets.vpo_sound import cut, render
from avis_cli.errors import MediaError, UsageError
from avis_cli.nn import audio
from avis_cli.train.clips import RawClip, SampleForm, patches_of, samples_of

_STILL = 1.0  # seconds of sound that a log-mel patch of a still picture is made of


def read_picture(path: Path) -> NDArray[np.uint8]:
    """RGB (H, W, 3). Raises MediaError for anything else."""
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise MediaError(f"not a picture that can be read ({error})", hint="copy it again", file=path) from None


def as_raw(
    pictures: Sequence[NDArray[np.uint8]],
    labels: Sequence[NDArray[np.int64] | None],
    categories: int,
    patches: NDArray[np.float32],
    samples: NDArray[np.float32] | None,
) -> RawClip:
    """Pictures (H, W, 3) of one size with their label maps (H, W), each class of them as an object that sounds."""
    known = np.array([one is not None for one in labels])
    maps = np.stack([np.zeros(pictures[0].shape[:2], np.int64) if one is None else one for one in labels])
    present = [number for number in np.unique(maps).tolist() if 0 < number <= categories]
    masks = np.stack([maps == number for number in present]) if present else np.zeros((0, *maps.shape), bool)
    sounding: NDArray[np.bool_] = np.asarray(masks.any((2, 3)))
    tags = np.zeros((len(maps), categories), bool)
    for number, heard in zip(present, sounding, strict=True):
        tags[:, number - 1] = heard
    ignored = maps == IGNORED
    return RawClip(
        frames=np.stack(pictures), patches=patches, categories=np.array(present, np.int64) - 1, masks=masks,
        sounding=sounding, tags=tags, complete=False, samples=samples, ignored=ignored if ignored.any() else None,
        labelled=None if known.all() else known,
    )  # fmt: skip


class AvsbenchSource:
    """The clips of a split, one frame a second. ``short_side``: pixels that larger frames are reduced to, None to keep
    their size; ``samples``: the form of those that are read with them, None for none; ``sound_step``: seconds from one
    log-mel patch of a clip to the next.

    The sound of a clip's picture is its second, wherever in it the picture was taken (AVSBench: late); a longer one has
    it in the middle.
    """

    def __init__(
        self,
        split: MapSplit,
        *,
        short_side: int | None = None,
        samples: SampleForm | None = None,
        sound_step: Fraction = Fraction(1),
    ) -> None:
        if samples is not None and samples.channels != 1:
            raise UsageError("two channels of sound, of AVSBench, whose sound is read as one", hint="train on VPO")
        self.categories, self._clips = split.categories, split.clips
        self._samples = None if samples is None else replace(samples, before=(samples.seconds - 1) / 2)
        self._short_side, self._step = short_side, sound_step

    def __len__(self) -> int:
        return len(self._clips)

    def length(self, clip: int) -> int:
        """Frames of a clip."""
        return len(self._clips[clip].pictures)

    def name(self, clip: int) -> str:
        """As the list has it."""
        return self._clips[clip].name

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The given frames of a clip. Raises MediaError and AnnotationError naming the file that is not as expected."""
        entry = self._clips[clip]
        pictures = [read_picture(entry.pictures[frame]) for frame in frames]
        labels = [self._labels(entry, frame, picture) for frame, picture in zip(frames, pictures, strict=True)]
        if len({picture.shape for picture in pictures}) > 1:
            raise MediaError("its pictures have several sizes", file=entry.pictures[frames[0]].parent)
        pairs = [reduced(*pair, self._short_side) for pair in zip(pictures, labels, strict=True)]
        sound, wanted, form = str(entry.sound), tuple(frames), self._samples
        return as_raw(
            [picture for picture, _ in pairs], [label for _, label in pairs], len(self.categories),
            patches_of(sound, wanted, 1 / self._step), None if form is None else samples_of(sound, wanted, 1, form),
        )  # fmt: skip

    def _labels(self, entry: MapClip, frame: int, picture: NDArray[np.uint8]) -> NDArray[np.int64] | None:
        path = entry.labels[frame]
        if path is None:
            return None
        return read_label_image(path, len(self.categories) + 1, (picture.shape[1], picture.shape[0]))


def reduced(
    picture: NDArray[np.uint8], label: NDArray[np.int64] | None, short_side: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.int64] | None]:
    """A picture and its labels with no more than ``short_side`` pixels along the shorter side."""
    height, width = picture.shape[:2]
    if short_side is None or min(height, width) <= short_side:
        return picture, label
    scale = short_side / min(height, width)
    size = round(width * scale), round(height * scale)
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    if label is not None:
        label = cv2.resize(label.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(np.int64)
    return small, label


class VpoSource:
    """The samples of a split, each a clip of one frame; ``samples``: the form of the sound, ``short_side``: as of an
    `AvsbenchSource`. Of a form of two channels each sound is at its object's place."""

    def __init__(self, vpo: Vpo, *, short_side: int | None = None, samples: SampleForm | None = None) -> None:
        self.categories, self._vpo, self._samples, self._short_side = vpo.names, vpo, samples, short_side

    def __len__(self) -> int:
        return len(self._vpo.samples)

    def length(self, clip: int) -> int:
        """One."""
        return 1

    def name(self, clip: int) -> str:
        """The number of the picture and its first sound: a picture of SS comes again with others."""
        first = self._vpo.samples[clip].rows[0]
        return f"{first.image}-{first.sound}"

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The sample, as often as frames are asked for. Raises as ``AvsbenchSource.read``."""
        sample = self._vpo.samples[clip]
        picture = read_picture(sample.picture)
        labels = read_labels(sample.mask, self._vpo.indices, (picture.shape[1], picture.shape[0]))
        picture, small = reduced(picture, labels, self._short_side)
        patch = audio.log_mel_patches([torch.from_numpy(self._sound(sample, 1, _STILL)[0])], audio.SAMPLE_RATE)
        form, sound = self._samples, None
        if form is not None:
            sound = np.stack([self._sound(sample, form.channels, form.seconds)] * len(frames))
        count = len(frames)
        return as_raw(
            [picture] * count, [small] * count, len(self.categories), np.repeat(patch.numpy(), count, 0), sound
        )

    def _sound(self, sample: Sample, channels: int, seconds: float) -> NDArray[np.float32]:
        length = round(seconds * audio.SAMPLE_RATE)
        sources = [cut(_whole(str(self._vpo.sounds / f"{row.sound}.wav")), length) for row in sample.rows]
        return render(sources, [row.position for row in sample.rows], channels)


@lru_cache(maxsize=64)
def _whole(path: str) -> NDArray[np.float32]:
    from avis_cli.media.waveform import read_sound

    sound = read_sound(path)
    whole: NDArray[np.float32] = audio.resample(torch.from_numpy(sound.samples)[None], sound.sample_rate)[0].numpy()
    return whole
