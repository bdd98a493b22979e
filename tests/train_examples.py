"""A tiny dataset of the synthetic world, a clip made by hand, and a recipe small enough for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.models.avism.recipe import AvismRecipe
from avis_cli.models.training import BatchShape
from avis_cli.nn.set_losses import LossWeights
from avis_cli.train.clips import RawClip

SMALL = AvismRecipe(
    shapes=(BatchShape(2, 2, 0.5), BatchShape(1, 4, 0.5)),
    reach=3,
    contiguous=0.5,
    points=None,
    token_layers=1,
    judged="seen",
    frame=LossWeights(rival=1.0),
    video=LossWeights(rival=1.0),
    similarity=1.0,
    gate=0.5,
    category_map=1.0,
    fine_map=1.0,
    cue=1.0,
    tagging=0.5,
    pretraining=0.25,
    learning_rate=5e-4,
    backbone_factor=1.0,
    clip_norm=5.0,
    ema=0.9,
    saved_half=True,
)


def small_dataset(
    folder: Path, *, videos: int = 4, frames: int = 4, val: int = 0, size: tuple[int, int] = (64, 32)
) -> Path:
    """``folder`` with a train split and, if asked for, a val split."""
    write_split(folder, SplitRequest("train", videos, seed=5, frames=frames, size=size))
    if val:
        write_split(folder, SplitRequest("val", val, seed=5, frames=frames, size=size))
    return folder


def bright_clip(seed: int = 0, category: int = 0) -> RawClip:
    """Two dark frames of noise with one bright object under its mask, heard in the first."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((1, 2, 20, 30), dtype=bool)
    masks[0, :, 4:10, 2:8] = True
    frames = rng.integers(0, 60, (2, 20, 30, 3), dtype=np.uint8)
    frames[:, 4:10, 2:8] = 250
    tags = np.zeros((2, 3), dtype=bool)
    tags[:, category] = True
    return RawClip(
        frames=frames,
        patches=np.log(rng.random((2, 96, 64), dtype=np.float32) + np.float32(0.01)),
        categories=np.array([category]),
        masks=masks,
        sounding=np.array([[True, False]]),
        tags=tags,
        complete=True,
    )
