"""Where the time of `avis segment` goes: shares of network, decoding, drawing and encoding; and the network's floor.

    python benchmarks/where_time_goes.py [--preset avism-r50-in] [--precision fp32] [--seconds 10] [--mask-fps 5]
                                         [--tracks 10] [--threads 2] [--clip FILE]

A clip of 1280x720 at 30 frames a second (a sample, scaled; or any FILE) through the pipeline, with a network of random
weights; the writers get what the bundled model finds in it, since masks of random weights are rags. Then one token
frame through the network again, operation by operation: what each computes and moves, and how long that would take at
the rates that a large product or convolution and a large copy reach on this machine in the same run. The longer of the
two is an operation's floor; the sum of the floors is what the network could take if nothing but these rates mattered.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from long_video import SAMPLE, make_video
from random_model import random_model
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

import avis_cli
from avis_cli.inference import segment_clip
from avis_cli.inference.clip_frames import VideoFrames
from avis_cli.inference.model import Model
from avis_cli.inference.tracked_window import TrackedWindow
from avis_cli.media import decode
from avis_cli.writers.mask_images import write_masks
from avis_cli.writers.overlay import overlay_clip
from avis_cli.writers.tracks_json import write_tracks

RUNS = 7


@dataclass
class Clock:
    """Seconds by what they were spent on, each second once: what runs inside something else is taken off it."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _inner: list[float] = field(default_factory=list)

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            self._inner.append(0.0)
            try:
                return work(*arguments, **options)
            finally:
                took = time.perf_counter() - start
                self.seconds[name] += took - self._inner.pop()
                if self._inner:
                    self._inner[-1] += took

        return run

    def timed_items(self, name: str, work: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def run(*arguments: Any, **options: Any) -> Iterator[Any]:
            items = work(*arguments, **options)
            following = self.timed(name, lambda: next(items, None))
            while (item := following()) is not None:
                yield item

        return run


def pipeline(model: Model, clip: Path, mask_fps: float) -> dict[str, float]:
    """Seconds of every part of a whole run."""
    clock = Clock()
    network = [
        (Model, "localize"), (Model, "track"), (Model, "mask_features"), (Model, "embed_audio"), (Model, "sounding"),
    ]  # fmt: skip
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        for owner, name in network:
            patched = clock.timed(f"network: {name}", getattr(owner, name))
            stack.enter_context(mock.patch.object(owner, name, patched))
        stack.enter_context(mock.patch.object(model, "track", clock.timed("network: track", model.track)))
        masks = clock.timed("network: masks", TrackedWindow.draw)
        stack.enter_context(mock.patch.object(TrackedWindow, "draw", masks))
        stack.enter_context(mock.patch.object(VideoFrames, "batches", clock.timed_items("decode", VideoFrames.batches)))
        encoded = clock.timed("run lengths", segment_clip.encoded)
        stack.enter_context(mock.patch.object(segment_clip, "encoded", encoded))
        segment = clock.timed("the rest of segment()", avis_cli.segment)
        result = segment(clip, model, mask_fps=mask_fps, gate=False)
        clock.timed("tracks.json", write_tracks)(Path(folder, "tracks.json"), result)
        clock.timed("mask images", write_masks)(Path(folder, "masks"), result)
        overlay = clock.timed("overlay: decode, draw, encode", overlay_clip)
        overlay(Path(folder, "overlay.mp4"), result, decode.probe(clip), warn=print)
    return dict(clock.seconds)


@dataclass
class Work:
    """What operations of one name do: calls, FLOPs, bytes moved, seconds at the machine's rates."""

    calls: int = 0
    flops: float = 0.0
    bytes: float = 0.0
    floor: float = 0.0


class Ledger(TorchDispatchMode):
    """Counts every operation's FLOPs and bytes. Views move nothing; what a table lookup reads is what it looks up."""

    def __init__(self, flop_rate: float, byte_rate: float) -> None:
        super().__init__()
        self.flop_rate, self.byte_rate = flop_rate, byte_rate
        self.work: dict[str, Work] = defaultdict(Work)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.is_view:
            return out
        packet = func._overloadpacket
        flops = flop_registry[packet](*args, **(kwargs or {}), out_val=out) if packet in flop_registry else 0
        moved = sum(_bytes(leaf) for leaf in tree_leaves((args, kwargs, out)))
        if "embedding_bag" in str(packet):
            table, index = args[0], args[1]
            moved += index.numel() * table.shape[1] * table.element_size() - _bytes(table)
        entry = self.work[str(packet).removeprefix("aten.")]
        entry.calls += 1
        entry.flops += flops
        entry.bytes += moved
        entry.floor += max(flops / self.flop_rate, moved / self.byte_rate)
        return out


def _bytes(value: object) -> int:
    # an expanded tensor has fewer bytes than elements
    return value.untyped_storage().nbytes() if isinstance(value, Tensor) and value._base is None else (
        value.numel() * value.element_size() if isinstance(value, Tensor) else 0
    )  # fmt: skip


def median_seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    work()
    return statistics.median(once() for _ in range(RUNS))


def rates(kind: torch.dtype) -> tuple[float, float]:
    """FLOPs a second in ``kind``, of a 2048^3 product or a 3x3 convolution, whichever is faster here; and bytes a
    second (read and written) of a 256 MB copy."""
    left, right = torch.randn(2048, 2048).to(kind), torch.randn(2048, 2048).to(kind)
    maps = torch.randn(1, 256, 96, 160).to(kind).contiguous(memory_format=torch.channels_last)
    weights = torch.randn(256, 256, 3, 3).to(kind).contiguous(memory_format=torch.channels_last)
    source = torch.zeros(64 << 20)
    target = torch.empty_like(source)
    with torch.inference_mode():
        product = 2 * 2048**3 / median_seconds(lambda: left @ right)
        convolution = 2 * 96 * 160 * 256 * 256 * 9 / median_seconds(lambda: F.conv2d(maps, weights, padding=1))
        copy = 2 * source.nbytes / median_seconds(lambda: target.copy_(source))
    return max(product, convolution), copy


def floor(model: Model) -> None:
    """Print what a token frame costs, operation by operation."""
    short = model.config.short_side
    frames = torch.randint(0, 256, (1, 3, short, short * 16 // 9), dtype=torch.uint8)
    audio = torch.rand(1, model.config.audio_width)
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(model.precision, torch.float32)
    flop_rate, byte_rate = rates(kind)
    seconds = median_seconds(lambda: model.localize(frames, audio))
    # not in inference mode, which shows composed operations whole
    autocast = torch.autocast("cpu", kind, enabled=kind != torch.float32)
    with Ledger(flop_rate, byte_rate) as ledger, torch.no_grad(), autocast:
        model.network.localize(frames, audio)
    total = sum(work.floor for work in ledger.work.values())
    flops = sum(work.flops for work in ledger.work.values())
    print(f"\n{flop_rate / 1e9:.0f} GFLOP/s in a large product or convolution, {byte_rate / 1e9:.1f} GB/s in a copy")
    print(f"a token frame: {flops / 1e9:.0f} GFLOP, {seconds:.3f} s measured, {total:.3f} s floor\n")
    print("| operation | calls | GFLOP | MB | floor, s | share |")
    print("|---|---|---|---|---|---|")
    for name, work in sorted(ledger.work.items(), key=lambda item: -item[1].floor)[:12]:
        print(
            f"| {name} | {work.calls} | {work.flops / 1e9:.1f} | {work.bytes / 1e6:.0f} | {work.floor:.3f} "
            f"| {100 * work.floor / total:.0f} % |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="avism-r50-in")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--mask-fps", type=float, default=5)
    parser.add_argument("--tracks", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clip", type=Path, help="a video of your own")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    model = random_model(chosen.preset, chosen.tracks, chosen.precision)
    with tempfile.TemporaryDirectory() as folder:
        clip = chosen.clip or Path(folder, "clip.mp4")
        if chosen.clip is None:
            make_video(SAMPLE, clip, chosen.seconds, (1280, 720), 30)
        parts = pipeline(model, clip, chosen.mask_fps)
    network = sum(seconds for name, seconds in parts.items() if name.startswith("network"))
    print(f"{chosen.preset} {chosen.precision}, {chosen.clip or f'{chosen.seconds} s'}, --mask-fps {chosen.mask_fps:g}")
    print("| part | seconds | of the network's time |")
    print("|---|---|---|")
    for name, seconds in sorted(parts.items(), key=lambda item: -item[1]):
        print(f"| {name} | {seconds:.2f} | {100 * seconds / network:.1f} % |")
    others = sum(parts.values()) - network
    print(f"| network together | {network:.2f} | 100 % |\n| all else together | {others:.2f} "
          f"| {100 * others / network:.1f} % |")  # fmt: skip
    floor(model)


if __name__ == "__main__":
    main()
