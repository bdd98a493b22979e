"""The pipeline: a video file -> the objects that sound in it, as a ``ClipResult``.

Two passes over the picture (the tracker needs the tokens of the whole clip, which are small; the masks need the mask
features of every frame, which are large): token frames window by window to tokens, one call of the tracker, then mask
frames window by window to masks. Memory is bounded by the window, not by the clip.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from avis_cli.callable_module import make_callable
from avis_cli.errors import AvisError, MediaError, UsageError
from avis_cli.media import decode
from avis_cli.media.clip import ClipInfo, Frame, Waveform
from avis_cli.model.audio import pad_to_one_window, token_windows
from avis_cli.model.inference import Model, load_model
from avis_cli.model.mask_pass import FeatureStore, MaskPass
from avis_cli.model.tokens import FrameTokens, TrackQueries
from avis_cli.progress import Progress, silent
from avis_cli.results import ClipResult, ModelInfo, Source, Track

__all__ = ["Sampling", "load_model", "network_size", "segment", "segment_frames"]

WINDOW = 4  # frames in the network at once: enough to keep the cores busy, little enough for small machines
THRESHOLD = 0.3  # score a track must exceed, as released
MAX_RATE = 1000  # frames per second anybody may ask for


@dataclass(frozen=True)
class Sampling:
    """Which frames are looked at. ``fps``: token frames per second; ``mask_fps``: mask frames per second, None for
    every frame of the video; ``start``, ``end``: seconds on the clip's clock."""

    fps: Fraction
    mask_fps: Fraction | None
    start: Fraction = Fraction(0)
    end: Fraction | None = None

    def __post_init__(self) -> None:
        for name, rate in (("--fps", self.fps), ("--mask-fps", self.mask_fps)):
            if rate is not None and not 0 < rate <= MAX_RATE:
                raise UsageError(f"{name} {float(rate):g}, expected more than 0 and at most {MAX_RATE} frames per second")
        if self.start < 0 or (self.end is not None and self.end <= self.start):
            span = f"--start {float(self.start):g} --end {'' if self.end is None else f'{float(self.end):g}'}"
            raise UsageError(f"{span}, expected a start of 0 or more and an end after it")

    @property
    def one_grid(self) -> bool:
        """Whether the mask frames are the token frames."""
        return self.mask_fps == self.fps


def segment(
    path: str | os.PathLike[str],
    model: Model | None = None,
    *,
    fps: float | Fraction | None = None,
    mask_fps: float | Fraction | str | None = None,
    start: float | Fraction = 0,
    end: float | Fraction | None = None,
    threshold: float = THRESHOLD,
    max_tracks: int | None = None,
    audio_track: int | str | None = None,
    allow_silent: bool = False,
    mute: bool = False,
    gate: bool | None = None,
    max_pixels: int = decode.DEFAULT_MAX_PIXELS,
    progress: Progress = silent,
) -> ClipResult:
    """Which objects of a video file sound, where and when.

    ``fps``: token frames per second, the network's own by default; ``mask_fps``: mask frames per second, ``"video"`` for
    every frame, the network's own habit by default; ``start``, ``end``: seconds. ``threshold``: score a track must
    exceed. ``allow_silent``: run a clip without sound as if it were silent; ``mute``: silence in place of the sound.
    ``gate``: whether a track has no mask in the frames where the network does not hear it (default: the preset's own).
    Raises MediaError for a file that cannot be used, UsageError for settings that cannot be.
    """
    model = load_model() if model is None else model
    sampling = choose_sampling(model, fps, mask_fps, start, end)
    clip = decode.probe(path, audio_track=audio_track, max_pixels=max_pixels)
    sound = hear(path, clip, sampling, allow_silent=allow_silent, mute=mute)
    tokens, features, failures = localize(model, path, clip, sampling, sound, max_pixels, progress)
    tracks = model.track(tokens)
    masks = MaskPass(model, tokens, tracks, (clip.height, clip.width), threshold, gate)
    ...
