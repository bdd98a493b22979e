"""Where clips are read from: the files of a split one by one, or a pack of them made beforehand.

Letters: T token frames, O objects, K categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco
from scipy.io import wavfile

from avis_cli.datasets.training_split import ClipEntry, SplitEntries
from avis_cli.errors import AnnotationError, MediaError
from avis_cli.nn import audio
from avis_cli.train.clips import RawClip


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

    def __init__(self, entries: SplitEntries, *, short_side: int | None = None, fps: int = 1) -> None:
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

    def _size(self, entry: ClipEntry) -> tuple[int, int]:
        """Height and width in pixels at which a clip is given out."""
        short = min(entry.height, entry.width)
        if self._short_side is None or short <= self._short_side:
            return entry.height, entry.width
        return round(entry.height * self._short_side / short), round(entry.width * self._short_side / short)

    def _picture(self, entry: ClipEntry, frame: int, size: tuple[int, int]) -> NDArray[np.uint8]:
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
def _waveform(path: str) -> tuple[int, NDArray[np.float32]]:
    """Rate in Hz and mono samples -1..1 of a WAV file."""
    try:
        rate, samples = wavfile.read(path)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise MediaError(f"the sound cannot be read: {reason}", hint="expected a WAV file", file=path) from None
    if samples.dtype.kind == "u":
        samples = samples.astype(np.float32) / 128.0 - 1.0
    elif samples.dtype.kind == "i":
        samples = samples.astype(np.float32) / np.float32(-float(np.iinfo(samples.dtype).min))
    mono = samples.astype(np.float32) if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)
    return int(rate), mono


def _patches(path: str, frames: tuple[int, ...], fps: int) -> NDArray[np.float32]:
    rate, samples = _waveform(path)
    whole = audio.pad_to_one_window(torch.from_numpy(samples), rate)
    windows = audio.token_windows(whole, rate, [Fraction(frame, fps) for frame in frames])
    return audio.log_mel_patches(windows, rate).numpy()
