"""Which clips a step sees: everything drawn from the seed, the step and the process, so that a run resumes exactly."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from avis_cli.models.training import BatchShape, Recipe
from avis_cli.nn.clip_batch import ClipBatch
from avis_cli.train.augment import augmented
from avis_cli.train.clips import ClipSource, RawClip, collate


@dataclass(frozen=True)
class Sampler:
    """Draws batches: ``source``'s clips by the ``recipe``. ``divisor``, ``stride``: as in `clips.collate`. ``rank`` of
    ``processes``: each draws clips of its own, batches of one shape."""

    source: ClipSource
    recipe: Recipe
    seed: int
    divisor: int
    stride: int
    rank: int = 0
    processes: int = 1

    def batch(self, step: int) -> ClipBatch:
        """The batch of a step; the same whenever it is asked for."""
        shape = self._shape(step)
        rng = np.random.default_rng([self.seed, step, 1 + self.rank])
        clips = self._order(step, shape.clips)
        raw = [self._draw(int(clip), shape.frames, rng) for clip in clips]
        others = raw[1:] + raw[:1]
        changed = [
            augmented(clip, self.recipe.augmentation, rng, other) for clip, other in zip(raw, others, strict=True)
        ]
        return collate(changed, divisor=self.divisor, stride=self.stride)

    def _shape(self, step: int) -> BatchShape:
        shapes = self.recipe.shapes
        shares = np.array([shape.share for shape in shapes])
        return shapes[int(np.random.default_rng([self.seed, step, 0]).choice(len(shapes), p=shares / shares.sum()))]

    def _order(self, step: int, count: int) -> np.ndarray:
        # independent draws: no epoch whose position would have to be kept
        rng = np.random.default_rng([self.seed, step, 0, self.rank])
        return rng.choice(len(self.source), size=count, replace=count > len(self.source))

    def _draw(self, clip: int, frames: int, rng: np.random.Generator) -> RawClip:
        """``frames`` token frames around a drawn one, in order: neighbours in half of the cases, else with gaps."""
        length = self.source.length(clip)
        if length <= frames:
            chosen = np.sort(np.concatenate([np.arange(length), rng.integers(0, length, frames - length)]))
        elif rng.random() < self.recipe.contiguous:
            chosen = int(rng.integers(0, length - frames + 1)) + np.arange(frames)
        else:
            middle = int(rng.integers(length))
            near = np.arange(max(0, middle - self.recipe.reach), min(length, middle + self.recipe.reach + 1))
            near = near if len(near) >= frames else np.arange(length)
            chosen = np.sort(rng.choice(near, frames, replace=False))
        return self.source.read(clip, chosen.tolist())


@dataclass
class LoaderTime:
    """Seconds that training waited for batches, and how many it got."""

    waited: float = 0.0
    batches: int = 0

    def mean(self) -> float:
        """Seconds a batch."""
        return self.waited / max(self.batches, 1)


def batches(sampler: Sampler, first_step: int, *, workers: int, time: LoaderTime) -> Generator[ClipBatch, None, None]:
    """The batches from ``first_step`` on without end, made ahead by ``workers`` threads, or here with none.

    ``time`` is kept up to date: how long the consumer waited.
    """
    step = first_step
    if workers == 0:
        while True:
            begun = perf_counter()
            batch = sampler.batch(step)
            time.waited += perf_counter() - begun
            time.batches += 1
            yield batch
            step += 1
    pool = ThreadPoolExecutor(workers, thread_name_prefix="clips")
    try:
        ahead: list[Future[ClipBatch]] = []
        while True:
            while len(ahead) < workers + 1:
                ahead.append(pool.submit(sampler.batch, step))
                step += 1
            begun = perf_counter()
            batch = ahead.pop(0).result()
            time.waited += perf_counter() - begun
            time.batches += 1
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
