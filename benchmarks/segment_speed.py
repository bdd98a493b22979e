"""Seconds per token frame of a whole clip through a network, beside a matrix product of the same run.

    python benchmarks/segment_speed.py [--preset avism-r50-in] [--frames 12] [--tracks 10] [--runs 3] [--threads 2]
                                      [--precision fp32 bf16] [--device cpu]

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


def product_seconds(device: str = "cpu") -> float:
    """Median seconds of one 1024^3 float32 matrix product."""
    left, right = torch.randn(1024, 1024, device=device), torch.randn(1024, 1024, device=device)
    return statistics.median(_seconds(lambda: left @ right, device) for _ in range(PRODUCTS))


def _seconds(work: Callable[[], object], device: str) -> float:
    start = now(device)
    work()
    return now(device) - start


def now(device: str) -> float:
    """Seconds on a clock, when all that was asked of the device is done."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def clip_seconds(
    model: Model, frames: torch.Tensor, audio: torch.Tensor, tracks: int, device: str = "cpu"
) -> list[float]:
    """Seconds of each step for the whole clip: localize, track, masks."""
    start = now(device)
    parts = [model.localize(frames[n : n + 4], audio[n : n + 4]) for n in range(0, len(frames), 4)]
    tokens = FrameTokens.join(parts)
    localized = now(device)
    queries = model.track(tokens)
    tracked = now(device)
    threshold = float(queries.class_logits.softmax(-1)[:, :-1].flatten().topk(tracks).values[-1]) - 1e-9
    sampling = Sampling(Fraction(1), Fraction(1))
    settings = WindowSettings(OUTPUT, threshold, gated=False)
    window = TrackedWindow(model, TokenWindow(0, tokens, True), sampling, settings, None)
    ready = now(device)
    for number, features in enumerate(tokens.mask_features):
        window.draw(MaskFrame(Fraction(number), lambda _, features=features: features))  # type: ignore[misc]
    return [localized - start, tracked - localized, now(device) - ready]


def _called(device: str) -> str:
    return torch.cuda.get_device_name(device) if torch.device(device).type == "cuda" else device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="avism-r50-in", choices=list(PRESETS))
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--tracks", type=int, default=10)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", nargs="+", default=["fp32"], choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    device = arguments.device
    models = {name: random_model(arguments.preset, arguments.tracks, name, device) for name in arguments.precision}
    config = next(iter(models.values())).config
    short = config.short_side
    frames = torch.randint(0, 256, (arguments.frames, 3, short, short * 16 // 9), dtype=torch.uint8)
    audio = torch.rand(arguments.frames, config.audio_width)
    work = f"{arguments.preset}, {tuple(frames.shape)}, {arguments.tracks} candidates"
    print(f"{work}, {arguments.threads} threads, {_called(device)}")
    print("| run | precision | localize | track | masks | seconds a frame | product, ms | in products |")
    print("|---|---|---|---|---|---|---|---|")
    for run in range(arguments.runs):
        for name, model in models.items():
            model.localize(frames[:1], audio[:1])
            before = product_seconds(device)
            whole = clip_seconds(model, frames, audio, arguments.tracks, device)
            steps = [seconds / arguments.frames for seconds in whole]
            product, total = (before + product_seconds(device)) / 2, sum(steps)
            shares = " | ".join(f"{seconds:.4f}" for seconds in steps)
            print(f"| {run} | {name} | {shares} | {total:.4f} | {product * 1000:.3f} | {total / product:.0f} |")


if __name__ == "__main__":
    main()
