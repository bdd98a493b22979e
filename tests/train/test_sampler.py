"""Batches drawn from the clips of a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from train_examples import SMALL, small_dataset

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.train.clips import FolderSource
from avis_cli.train.sampler import LoaderTime, Sampler, batches


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_dataset(tmp_path_factory.mktemp("data"), videos=4, frames=4)


def test_a_step_draws_the_same_batch_whenever_it_is_asked_and_other_steps_others(data: Path) -> None:
    sampler = Sampler(FolderSource(read_training_split(data, "train")), SMALL, seed=1, divisor=32, stride=2)
    drawn = {step: sampler.batch(step) for step in (7, 8, 9)}
    again = sampler.batch(8)
    torch.testing.assert_close(again.frames, drawn[8].frames)
    torch.testing.assert_close(again.patches, drawn[8].patches)
    torch.testing.assert_close(again.targets.masks, drawn[8].targets.masks)
    assert drawn[7].frames.shape != drawn[8].frames.shape or not torch.equal(drawn[7].frames, drawn[8].frames)
    assert again.targets.masks.shape[-2:] == (16, 32)
    other = Sampler(sampler.source, SMALL, seed=1, divisor=32, stride=2, rank=1, processes=2).batch(8)
    assert other.frames.shape == again.frames.shape
    assert not torch.equal(other.frames, again.frames)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_from_the_first_step_on(data: Path, workers: int) -> None:
    sampler = Sampler(FolderSource(read_training_split(data, "train")), SMALL, seed=2, divisor=32, stride=2)
    time = LoaderTime()
    source = batches(sampler, 5, workers=workers, time=time)
    for step in (5, 6, 7):
        torch.testing.assert_close(next(source).frames, sampler.batch(step).frames)
    source.close()
    assert time.batches == 3
    assert time.waited > 0


def test_clips_shorter_than_a_batch_repeat_frames_in_order(data: Path) -> None:
    sampler = Sampler(FolderSource(read_training_split(data, "train")), SMALL, seed=0, divisor=32, stride=1)
    raw = sampler._draw(0, 9, np.random.default_rng(0))
    assert len(raw.frames) == 9
