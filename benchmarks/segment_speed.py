"""Seconds per token frame of a whole clip through a network, beside a matrix product of the same run.

    python benchmarks/segment_speed.py [--preset avism-r50-in] [--frames 12] [--tracks 10] [--runs 3] [--threads 2]
                                      [--precision fp32 bf16]

Random weights and random frames of 640x360 in, masks of 1280x720 out. Every step counts: backbone, pixel decoder,
localizer, tracker, and the masks of ``--tracks`` candidates (the released program draws 100, whatever their scores:
``--tracks 100``). Machines differ and are shared: the product of two 1024 x 1024 float32 matrices, timed between the
runs, tells how fast this one is right now.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from fractions import Fraction

import torch
from random_model import random_model

from avis_cli.inference.clip_frames import Sampling
from avis_cli.inference.mask_frames import MaskFrame
from avis_cli.inference.model import Model
from avis_cli.inference.tracked_window import TrackedWindow, WindowSettings
from avis_cli.inference.windows import TokenWindow
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.tokens import FrameTokens

OUTPUT = (720, 1280)
PRODUCTS = 20


def product_seconds() -> float:
    """Median seconds of one 1024^3 float32 matrix product."""
    left, right = torch.randn(1024, 1024), torch.randn(1024, 1024)
    return statistics.median(_seconds(lambda: left @ right) for _ in range(PRODUCTS))


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def clip_seconds(model: Model, frames: torch.Tensor, audio: torch.Tensor, tracks: int) -> list[float]:
    """Seconds of each step for the whole clip: localize, track, masks."""
    start = time.perf_counter()
    parts = [model.localize(frames[n : n + 4], audio[n : n + 4]) for n in range(0, len(frames), 4)]
    tokens = FrameTokens.join(parts)
    localized = time.perf_counter()
    queries = model.track(tokens)
    tracked = time.perf_counter()
    threshold = float(queries.class_logits.softmax(-1)[:, :-1].flatten().topk(tracks).values[-1]) - 1e-9
    sampling = Sampling(Fraction(1), Fraction(1))
    settings = WindowSettings(OUTPUT, threshold, gated=False)
    window = TrackedWindow(model, TokenWindow(0, tokens, True), sampling, settings, None)
    ready = time.perf_counter()
    for number, features in enumerate(tokens.mask_features):
        window.draw(MaskFrame(Fraction(number), lambda _, features=features: features))  # type: ignore[misc]
    return [localized - start, tracked - localized, time.perf_counter() - ready]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="avism-r50-in", choices=list(PRESETS))
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--tracks", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16", "fp16"])
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    models = {name: random_model(arguments.preset, arguments.tracks, name) for name in arguments.precision}
    config = next(iter(models.values())).config
    short = config.short_side
    frames = torch.randint(0, 256, (arguments.frames, 3, short, short * 16 // 9), dtype=torch.uint8)
    audio = torch.rand(arguments.frames, config.audio_width)
    print(f"{arguments.preset}, {tuple(frames.shape)}, {arguments.tracks} candidates, {arguments.threads} threads")
    print("| run | precision | localize | track | masks | seconds a frame | product, ms | in products |")
    print("|---|---|---|---|---|---|---|---|")
    for run in range(arguments.runs):
        for name, model in models.items():
            model.localize(frames[:1], audio[:1])
            before = product_seconds()
            steps = [seconds / arguments.frames for seconds in clip_seconds(model, frames, audio, arguments.tracks)]
            product, total = (before + product_seconds()) / 2, sum(steps)
            shares = " | ".join(f"{seconds:.3f}" for seconds in steps)
            print(f"| {run} | {name} | {shares} | {total:.3f} | {product * 1000:.1f} | {total / product:.0f} |")


if __name__ == "__main__":
    main()
