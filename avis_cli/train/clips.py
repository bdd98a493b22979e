"""Clips to learn from as numbers: read from the files of a split, and put together to batches of tensors.

Letters: B clips, T token frames, O objects, K categories, H, W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pycocotools import mask as coco
from torch import Tensor

from avis_cli.datasets.aviseg import TrainingClip, TrainingSplit
from avis_cli.errors import AnnotationError, MediaError
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
    """

    frames: NDArray[np.uint8]
    patches: NDArray[np.float32]
    categories: NDArray[np.int64]
    masks: NDArray[np.bool_]
    sounding: NDArray[np.bool_]
    tags: NDArray[np.bool_]
    complete: bool
    annotated: NDArray[np.int64] | None = None

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


class FolderSource:
    """The JPEG and WAV files of a split. ``short_side``: pixels that larger frames are reduced to, None to keep their
    size; ``fps``: annotated frames per second of sound."""

    def __init__(self, entries: TrainingSplit, *, short_side: int | None = None, fps: int = 1) -> None:
        self.categories = entries.categories
        self._clips = entries.clips
        self._short_side = short_side
        self._fps = fps

    def __len__(self) -> int:
        return len(self._clips)

    def length(self, clip: int) -> int:
        """Token frames of a clip."""
        return len(self._clips[clip].frames)

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
            patches=_patches(str(entry.sound), tuple(frames), self._fps),
            categories=np.array([item.category for item in shown], dtype=np.int64),
            masks=masks,
            sounding=np.array([[item.sounding[frame] for frame in frames] for item in shown], dtype=bool).reshape(
                len(shown), len(frames)
            ),
            tags=heard,
            complete=entry.complete,
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


def _resized_mask(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.bool_]:
    if mask.shape == size:
        return mask.astype(bool)
    return np.asarray(cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA), dtype=bool)


@lru_cache(maxsize=4)
def _waveform(path: str) -> Waveform:
    return read_sound(path)


def _patches(path: str, frames: tuple[int, ...], fps: int) -> NDArray[np.float32]:
    sound = _waveform(path)
    rate = sound.sample_rate
    whole = audio.pad_to_one_window(torch.from_numpy(sound.samples), rate)
    windows = audio.token_windows(whole, rate, [Fraction(frame, fps) for frame in frames])
    return audio.log_mel_patches(windows, rate).numpy()


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
    return ClipBatch(torch.from_numpy(frames), patches, targets)


def _covered(masks: Tensor, stride: int) -> Tensor:
    """Masks uint8 (B, T, O, H, W) -> shares (B, T, O, H / stride, W / stride)."""
    if stride == 1:
        return masks.float()
    return F.avg_pool2d(masks.flatten(0, 2).unsqueeze(1).float(), stride).squeeze(1).unflatten(0, masks.shape[:3])
