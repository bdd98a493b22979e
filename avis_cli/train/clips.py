"""Clips to learn from as numbers: read from the files of a split, and put together to batches of tensors.

Letters: B clips, T token frames, O objects, K categories, H, W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pycocotools import mask as coco
from torch import Tensor

from avis_cli.datasets.aviseg import TrainingClip, TrainingSplit
from avis_cli.errors import AnnotationError, MediaError, UsageError
from avis_cli.media.clip_info import Waveform
from avis_cli.media.waveform import read_sound
from avis_cli.nn import audio
from avis_cli.nn.clip_batch import NO_OBJECT, ClipBatch, ClipTargets


@dataclass(frozen=True, eq=False, kw_only=True)
class RawClip:
    """T token frames of a clip with their sound and truth.

    ``frames`` uint8 RGB (T, H, W, 3); ``patches`` float32 (T, 96, 64), log-mel; ``categories`` (O,), 0..K-1;
    ``masks`` bool (O, T, H, W), visible pixels; ``sounding`` bool (O, T), heard and seen; ``tags`` bool (T, K), the
    categories that are heard, on screen or not; ``complete``: whether silent objects are marked too; ``annotated``
    (T,): how many objects sounded and were seen before the clip was cropped, None where it was not.

    For networks of class maps: ``samples`` float32 (T, channels, N), the sound itself at 16 kHz, None where only
    ``patches`` are wanted; ``ignored`` bool (T, H, W): pixels whose truth is not known; ``labelled`` (T,): which frames
    have a truth; None for none and for all.
    """

    frames: NDArray[np.uint8]
    patches: NDArray[np.float32]
    categories: NDArray[np.int64]
    masks: NDArray[np.bool_]
    sounding: NDArray[np.bool_]
    tags: NDArray[np.bool_]
    complete: bool
    annotated: NDArray[np.int64] | None = None
    samples: NDArray[np.float32] | None = None
    ignored: NDArray[np.bool_] | None = None
    labelled: NDArray[np.bool_] | None = None

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many objects are heard and seen in each frame, before any crop: (T,)."""
        return self.sounding.sum(axis=0, dtype=np.int64) if self.annotated is None else self.annotated

    def at(self, frame: int) -> RawClip:
        """The clip that one frame is by itself, with all objects of the clip."""
        one = slice(frame, frame + 1)
        return replace(
            self,
            frames=self.frames[one],
            patches=self.patches[one],
            masks=self.masks[:, one],
            sounding=self.sounding[:, one],
            tags=self.tags[one],
            annotated=None if self.annotated is None else self.annotated[one],
            samples=None if self.samples is None else self.samples[one],
            ignored=None if self.ignored is None else self.ignored[one],
            labelled=None if self.labelled is None else self.labelled[one],
        )


class ClipSource(Protocol):
    """A split that clips can be read from by number."""

    categories: tuple[str, ...]

    def __len__(self) -> int: ...

    def length(self, clip: int) -> int:
        """Token frames of a clip."""
        ...

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The given frames of a clip, in the order given."""
        ...


class NamedSource(ClipSource, Protocol):
    """A split whose clips have names."""

    def name(self, clip: int) -> str:
        """What the data set calls a clip."""
        ...


@dataclass(frozen=True)
class SampleForm:
    """Samples at 16 kHz as a network of class maps hears them: ``channels``; ``seconds`` from ``before`` seconds before
    the frame on."""

    channels: int
    seconds: float
    before: float

    @classmethod
    def of(cls, config: Any) -> SampleForm | None:
        """What the network of a configuration hears, None if it does not hear samples."""
        if getattr(config, "hears", None) != "samples":
            return None
        return cls(config.sound_channels, config.sound_seconds, config.sound_before)


class FolderSource:
    """The JPEG and WAV files of a split. ``short_side``: pixels that larger frames are reduced to, None to keep their
    size; ``fps``: annotated frames per second of sound; ``samples``: the form of those that are read with them, None
    for none. Raises UsageError for two channels, which these files do not have."""

    def __init__(
        self, entries: TrainingSplit, *, short_side: int | None = None, fps: int = 1, samples: SampleForm | None = None
    ) -> None:
        if samples is not None and samples.channels != 1:
            raise UsageError(
                f"{samples.channels} channels of sound, of data whose sound has one",
                hint="train on a VPO layout, whose sounds have a position",
            )
        self.categories = entries.categories
        self._clips = entries.clips
        self._short_side = short_side
        self._fps = fps
        self._samples = samples

    def __len__(self) -> int:
        return len(self._clips)

    def length(self, clip: int) -> int:
        """Token frames of a clip."""
        return len(self._clips[clip].frames)

    def name(self, clip: int) -> str:
        """Of its folder."""
        return self._clips[clip].name

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The given frames of a clip. Raises MediaError for a picture or sound that cannot be read."""
        entry = self._clips[clip]
        size = self._size(entry)
        heard = np.zeros((len(frames), len(self.categories)), dtype=bool)
        for category, flags in entry.heard.items():
            heard[:, category] = [flags[frame] for frame in frames]
        shown = [item for item in entry.objects if any(item.masks[frame] is not None for frame in frames)]
        masks = np.zeros((len(shown), len(frames), *size), dtype=bool)
        for o, item in enumerate(shown):
            for t, frame in enumerate(frames):
                mask = item.masks[frame]
                if mask is not None:
                    masks[o, t] = _resized_mask(coco.decode(mask), size)
        return RawClip(
            frames=np.stack([self._picture(entry, frame, size) for frame in frames]),
            patches=patches_of(str(entry.sound), tuple(frames), self._fps),
            categories=np.array([item.category for item in shown], dtype=np.int64),
            masks=masks,
            sounding=np.array([[item.sounding[frame] for frame in frames] for item in shown], dtype=bool).reshape(
                len(shown), len(frames)
            ),
            tags=heard,
            complete=entry.complete,
            samples=None if self._samples is None else samples_of(str(entry.sound), frames, self._fps, self._samples),
        )

    def _size(self, entry: TrainingClip) -> tuple[int, int]:
        """Height and width in pixels at which a clip is given out."""
        short = min(entry.height, entry.width)
        if self._short_side is None or short <= self._short_side:
            return entry.height, entry.width
        return round(entry.height * self._short_side / short), round(entry.width * self._short_side / short)

    def _picture(self, entry: TrainingClip, frame: int, size: tuple[int, int]) -> NDArray[np.uint8]:
        path = entry.frames[frame]
        try:
            packed = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror or error}", file=path) from None
        decoded = cv2.imdecode(packed, cv2.IMREAD_COLOR) if packed.size else None
        if decoded is None:
            raise MediaError("not a picture, expected a JPEG", file=path)
        image = np.asarray(decoded, dtype=np.uint8)
        if image.shape[:2] != (entry.height, entry.width):
            raise AnnotationError(
                f"{image.shape[1]}x{image.shape[0]} pixels, the annotations say {entry.width}x{entry.height}", file=path
            )
        if image.shape[:2] != size:
            image = np.asarray(cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA), dtype=np.uint8)
        return np.ascontiguousarray(image[..., ::-1])


class DelayedSound:
    """``source`` as an online network meets it: each frame with the sound of ``frames`` token frames before. What is to
    be told stays what sounds from the frame on, of which the end of that sound gives notice; nothing is to be told
    where the sound would lie before the clip, which is silence."""

    def __init__(self, source: ClipSource, frames: int) -> None:
        self.categories = source.categories
        self._source, self._frames = source, frames

    def __len__(self) -> int:
        return len(self._source)

    def length(self, clip: int) -> int:
        """Token frames of a clip."""
        return self._source.length(clip)

    def read(self, clip: int, frames: Sequence[int]) -> RawClip:
        """The given frames of a clip."""
        before = [frame - self._frames for frame in frames]
        clip_now = self._source.read(clip, frames)
        heard = self._source.read(clip, [max(frame, 0) for frame in before]).patches
        begun = np.array([frame >= 0 for frame in before])
        silence = np.float32(math.log(audio.LOG_OFFSET))
        return replace(
            clip_now,
            patches=np.where(begun[:, None, None], heard, silence),
            sounding=clip_now.sounding & begun,
            tags=clip_now.tags & begun[:, None],
        )


def hearing(source: ClipSource, lookahead: float, fps: int) -> ClipSource:
    """``source`` for a network whose frame at t hears the second [t - 1 + ``lookahead``, t + ``lookahead``), of data
    that has the second from t on with it. Raises UsageError for a lookahead that is between two token frames."""
    # as the decimals say: 0.7 is no binary fraction
    frames = (1 - Fraction(str(lookahead))) * fps
    if frames.denominator != 1:
        raise UsageError(
            f"a sound_lookahead of {lookahead:g} s at {fps} token frames a second",
            hint="take one that is a whole number of token frames less than a second",
        )
    return DelayedSound(source, int(frames)) if frames else source


def _resized_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape == size:
        return mask.astype(bool)
    return np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA), dtype=bool)


@lru_cache(maxsize=4)
def _waveform(path: str) -> Waveform:
    return read_sound(path)


def patches_of(path: str, frames: Sequence[int], fps: int | Fraction) -> NDArray[np.float32]:
    """Log-mel of the second of a WAV that each frame begins, (T, 96, 64); ``fps``: frames in a second of it."""
    sound = _waveform(path)
    rate = sound.sample_rate
    whole = audio.pad_to_one_window(torch.from_numpy(sound.samples), rate)
    windows = audio.token_windows(whole, rate, [frame / Fraction(fps) for frame in frames])
    return audio.log_mel_patches(windows, rate).numpy()


def samples_of(path: str, frames: Sequence[int], fps: int, form: SampleForm) -> NDArray[np.float32]:
    """(T, 1, N): silent before the sound begins and after its end."""
    whole, length = _whole_samples(path), round(form.seconds * audio.SAMPLE_RATE)
    pieces = np.zeros((len(frames), 1, length), np.float32)
    for piece, frame in zip(pieces, frames, strict=True):
        first = round((frame / fps - form.before) * audio.SAMPLE_RATE)
        here = whole[max(first, 0) : max(first + length, 0)]
        piece[0, max(-first, 0) : max(-first, 0) + len(here)] = here
    return pieces


@lru_cache(maxsize=4)
def _whole_samples(path: str) -> NDArray[np.float32]:
    sound = _waveform(path)
    resampled: NDArray[np.float32] = audio.resample(torch.from_numpy(sound.samples)[None], sound.sample_rate)[0].numpy()
    return resampled


def collate(clips: Sequence[RawClip], *, divisor: int, stride: int = 1) -> ClipBatch:
    """Clips of equal length -> a batch, its pictures padded to a common size that ``divisor`` divides.

    ``stride``: pixels of a frame along one side of a target mask's cell; a cell holds the share that is covered.
    """
    height, width = (-(-max(clip.frames.shape[axis] for clip in clips) // divisor) * divisor for axis in (1, 2))
    B, T = len(clips), len(clips[0].frames)
    slots = max(1, max(len(clip.categories) for clip in clips))
    frames = np.zeros((B, T, 3, height, width), dtype=np.uint8)
    masks = np.zeros((B, T, slots, height, width), dtype=np.uint8)
    categories = torch.full((B, slots), NO_OBJECT, dtype=torch.int64)
    sounding = torch.zeros(B, T, slots, dtype=torch.bool)
    for b, clip in enumerate(clips):
        h, w = clip.frames.shape[1:3]
        n = len(clip.categories)
        frames[b, :, :, :h, :w] = clip.frames.transpose(0, 3, 1, 2)
        masks[b, :, :n, :h, :w] = clip.masks.transpose(1, 0, 2, 3)
        categories[b, :n] = torch.from_numpy(clip.categories)
        sounding[b, :, :n] = torch.from_numpy(np.ascontiguousarray(clip.sounding.T))
    targets = ClipTargets(
        categories=categories,
        masks=_covered(torch.from_numpy(masks), stride),
        sounding=sounding,
        tags=torch.from_numpy(np.stack([clip.tags for clip in clips])),
        complete=torch.tensor([clip.complete for clip in clips]),
        annotated=torch.from_numpy(np.stack([clip.counts for clip in clips])),
    )
    patches = torch.from_numpy(np.stack([clip.patches for clip in clips]))
    return ClipBatch(
        torch.from_numpy(frames), patches, targets, samples=_stacked([clip.samples for clip in clips]),
        ignored=_ignored(clips, height, width), labelled=_labelled(clips),
    )  # fmt: skip


def _stacked(arrays: Sequence[NDArray[Any] | None]) -> Tensor | None:
    held = [array for array in arrays if array is not None]
    return torch.from_numpy(np.stack(held)) if len(held) == len(arrays) else None


def _labelled(clips: Sequence[RawClip]) -> Tensor | None:
    """Which frames have a truth (B, T), None if all have."""
    if all(clip.labelled is None for clip in clips):
        return None
    known = [np.ones(len(clip.frames), bool) if clip.labelled is None else clip.labelled for clip in clips]
    return torch.from_numpy(np.stack(known))


def _ignored(clips: Sequence[RawClip], height: int, width: int) -> Tensor | None:
    """Pixels without a truth (B, T, H, W), the padding of smaller clips among them; None if there are none."""
    if all(clip.ignored is None and clip.frames.shape[1:3] == (height, width) for clip in clips):
        return None
    ignored = np.ones((len(clips), len(clips[0].frames), height, width), bool)
    for b, clip in enumerate(clips):
        h, w = clip.frames.shape[1:3]
        ignored[b, :, :h, :w] = False if clip.ignored is None else clip.ignored
    return torch.from_numpy(ignored)


def _covered(masks: Tensor, stride: int) -> Tensor:
    """Masks uint8 (B, T, O, H, W) -> shares (B, T, O, H / stride, W / stride)."""
    if stride == 1:
        return masks.float()
    return F.avg_pool2d(masks.flatten(0, 2).unsqueeze(1).float(), stride).squeeze(1).unflatten(0, masks.shape[:3])
