"""One clip of the synthetic world in memory: pictures, sound and truth, from one seed."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from avis_cli.datasets.synth import schedule
from avis_cli.datasets.synth.mix import soundtrack
from avis_cli.datasets.synth.render_frames import SceneRenderer
from avis_cli.datasets.synth.scenes import Scene, plan_scene, unaligned
from avis_cli.errors import UsageError

Split = Literal["train", "val", "test", "sample"]
SPLITS: tuple[Split, ...] = get_args(Split)

SMALLEST_VISIBLE = 0.002  # share of the frame's pixels below which an object counts as not visible
_LONGEST, _LARGEST = 3600, 4096  # seconds; pixels along one side
_SMALLEST = 32  # pixels along one side: smaller objects cannot be distinguished


def clip_seed(split: Split, seed: int, index: int) -> int:
    """The 63-bit seed of clip ``index`` of a split. The top bits are the split's: no two splits share a clip."""
    digest = hashlib.blake2b(f"{seed}/{index}".encode(), digest_size=8).digest()
    return SPLITS.index(split) << 61 | int.from_bytes(digest, "big") >> 3


@dataclass(frozen=True, eq=False)
class OffScreenTruth:
    """A category that is heard but never shown; ``sounding`` (T,)."""

    category_id: int
    sounding: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SynthClip:
    """T frames of K objects, from back to front.

    ``images`` uint8 (T, H, W, 3) RGB; ``waveform`` float32 (N,), 16 kHz mono, from time 0; ``times`` (T,) seconds.
    ``masks`` bool (K, T, H, W): the visible part of every object, sounding or not; ``category_ids`` (K,), 1..10.
    ``sounding`` bool (K, T): heard in the whole second the frame lies in, seen or not.
    ``visible`` bool (K, T): at least ``SMALLEST_VISIBLE`` of the frame.
    ``showing`` bool (K, T): shakes and glows in the frame, which most sounding objects do not.
    """

    seed: int
    scene: Scene
    times: NDArray[np.float64]
    images: NDArray[np.uint8]
    waveform: NDArray[np.float32]
    category_ids: NDArray[np.int64]
    masks: NDArray[np.bool_]
    sounding: NDArray[np.bool_]
    visible: NDArray[np.bool_]
    showing: NDArray[np.bool_]
    off_screen: tuple[OffScreenTruth, ...]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """(K, T): where an object is ground truth, that is, sounding and visible."""
        return self.sounding & self.visible


def check_request(frames: int, size: tuple[int, int], fps: float) -> None:
    """Raises UsageError for clips that cannot be made."""
    if frames < 1:
        raise UsageError(f"clips of {frames} frames were asked for, a clip has at least 1")
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"a frame rate of {fps} was asked for, expected a number above 0")
    if frames / fps > _LONGEST:
        raise UsageError(f"clips of {frames / fps:g} seconds were asked for, at most {_LONGEST} are made")
    if min(size) < _SMALLEST or max(size) > _LARGEST:
        raise UsageError(f"frame size {size[0]}x{size[1]}, expected {_SMALLEST} to {_LARGEST} pixels a side")


def sounding_at(
    intervals: tuple[schedule.ActiveInterval, ...], times: NDArray[np.float64], seconds: int
) -> NDArray[np.bool_]:
    """Whether the whole second each time lies in is a sounding one; same shape as ``times``."""
    return schedule.sounding_seconds(intervals, seconds)[np.floor(times).astype(np.int64)]


def large_enough(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(..., H, W) -> (...): whether a mask counts as visible."""
    height, width = masks.shape[-2:]
    return np.asarray(masks.sum(axis=(-2, -1)) >= SMALLEST_VISIBLE * height * width)


def frame_times(frames: int, fps: float) -> NDArray[np.float64]:
    return np.arange(frames, dtype=np.float64) / fps


def make_clip(
    seed: int, *, frames: int = 10, size: tuple[int, int] = (160, 96), fps: float = 1, aligned: bool = True
) -> SynthClip:
    """The clip of ``seed``: ``frames`` frames of ``size`` (width, height) at ``fps`` frames per second.

    The same seed gives the same scene at any size of the same aspect and at any frame rate, if the length in
    seconds is the same. Sound is made for whole seconds. ``aligned``: whether sounds begin and end at about whole
    seconds, or anywhere. Raises UsageError for impossible sizes and lengths.
    """
    check_request(frames, size, fps)
    width, height = size
    seconds = math.ceil(frames / fps - 1e-9)
    scene = plan_scene(seed, seconds, width / height)
    if not aligned:
        scene = unaligned(scene)
    renderer = SceneRenderer(scene, width, height)
    times = frame_times(frames, fps)
    drawn = [renderer.at(float(time)) for time in times]
    masks = np.stack([frame.masks for frame in drawn], axis=1)
    return SynthClip(
        seed=seed,
        scene=scene,
        times=times,
        images=np.stack([frame.image for frame in drawn]),
        waveform=soundtrack(scene),
        category_ids=np.array([item.category_id for item in scene.objects], np.int64),
        masks=masks,
        sounding=np.stack([sounding_at(item.sounds, times, seconds) for item in scene.objects]),
        visible=large_enough(masks),
        showing=np.array([[schedule.level(a.shows, float(t)) > 0.5 for t in times] for a in scene.objects], bool),
        off_screen=tuple(
            OffScreenTruth(s.category_id, sounding_at(s.sounds, times, seconds)) for s in scene.off_screen
        ),
    )
