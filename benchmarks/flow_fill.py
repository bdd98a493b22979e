"""Masks carried by optical flow beside the network's own in every frame: what is lost, and what it takes.

    python benchmarks/flow_fill.py [--clips 20] [--seconds 10] [--seed 31] [--rates 1 2 5] [--model avism-tiny]

Clips of the synthetic world at 30 frames a second, whose truth is known in every frame. For each rate at which the
network draws masks itself: the mean IoU of truth and best track over the (object, frame) pairs that are seen and heard
and, apart, over those that are heard throughout the second (where the picture alone decides), and seconds a frame.

    python benchmarks/flow_fill.py --speed avism-r50-in [--seconds 4] [--size 640 360] [--threads 2]

Time alone, of a network of random weights that draws ten tracks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from random_model import make_clip as make_noise_clip
from random_model import random_model

import avis_cli
from avis_cli.datasets.synth.clips import SynthClip, clip_seed, make_clip
from avis_cli.datasets.wave_file import write_wave
from avis_cli.inference.model import Model
from avis_cli.media import encode
from avis_cli.media.clip_info import SAMPLE_RATE, AudioInfo, ClipInfo, Frame
from avis_cli.results import run_length
from avis_cli.results.clip import ClipResult

FPS = 30


def write_clip(path: Path, clip: SynthClip, fps: int = FPS) -> None:
    """``clip``, made at ``fps`` frames a second, as a movie."""
    height, width = int(clip.images.shape[1]), int(clip.images.shape[2])
    info = ClipInfo(
        file=str(path), width=width, height=height, rotation=0, duration=Fraction(len(clip.images), fps),
        frame_rate=Fraction(fps), audio=AudioInfo(0, SAMPLE_RATE, 1),
    )  # fmt: skip

    def frames() -> Iterator[Frame]:
        for index, image in enumerate(clip.images):
            yield Frame(image, Fraction(index, fps), index)

    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "sound.wav")
        write_wave(sound, clip.waveform)
        encode.write_video(path, frames(), info, source=sound)


def overlaps(result: ClipResult, clip: SynthClip) -> NDArray[np.float64]:
    """IoU of each object and frame with the best track of its category (K, T); nan where it is no ground truth."""
    out = np.full(clip.truth.shape, np.nan)
    for frame in range(len(clip.times)):
        drawn = [(track.category_id, track.masks[frame]) for track in result.tracks]
        masks = [(category, run_length.decode(mask)) for category, mask in drawn if mask is not None]
        for item in np.flatnonzero(clip.truth[:, frame]):
            truth = clip.masks[item, frame]
            ious = [
                (truth & mask).sum() / (truth | mask).sum() for category, mask in masks
                if category == clip.category_ids[item]
            ]  # fmt: skip
            out[item, frame] = max(ious, default=0.0)
    return out


def heard_throughout(clip: SynthClip) -> NDArray[np.bool_]:
    """Where an object sounds in the frame's second and in both seconds beside it (K, T)."""
    out = clip.sounding.copy()
    for shift in (-FPS, FPS):
        moved = np.roll(clip.sounding, shift, axis=1)
        edge = slice(shift, None) if shift < 0 else slice(0, shift)
        moved[:, edge] = clip.sounding[:, edge]
        out &= moved
    return out


def measured(model: Model, path: Path, rate: float | None) -> tuple[ClipResult, float]:
    """A clip with network masks at ``rate`` frames a second and flow between them, None for every frame's own."""
    start = time.perf_counter()
    more = {"mask_fps": "video"} if rate is None else {"mask_fps": rate, "fill": "flow"}
    result = avis_cli.segment(path, model, **more)
    assert isinstance(result, ClipResult)
    return result, time.perf_counter() - start


def print_speed(chosen: argparse.Namespace) -> None:
    """Seconds of a clip with the network's masks in every frame and with flow between some, and their ratio."""
    torch.set_num_threads(chosen.threads)
    model = random_model(chosen.speed, 10)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "clip.mp4")
        make_noise_clip(path, chosen.seconds, tuple(chosen.size), FPS)
        measured(model, path, 1.0)  # what is made once
        width, height = chosen.size
        print(
            f"{chosen.speed}, {chosen.seconds} s of {width}x{height} at {FPS} frames a second, {chosen.threads} threads"
        )
        print("| network masks a second | seconds | every frame's by this |\n|---|---:|---:|")
        own: float | None = None
        for rate in (None, *chosen.rates):
            _, seconds = measured(model, path, rate)
            own = own or seconds
            name = "every frame" if rate is None else f"{rate:g}, flow between"
            print(f"| {name} | {seconds:.1f} | {own / seconds:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--rates", type=float, nargs="+", default=[1.0, 2.0, 5.0])
    parser.add_argument("--size", type=int, nargs=2, default=[320, 192])
    parser.add_argument("--model")
    parser.add_argument("--speed", metavar="PRESET")
    parser.add_argument("--threads", type=int, default=2, help="with --speed (%(default)s)")
    chosen = parser.parse_args()
    if chosen.speed is not None:
        print_speed(chosen)
        return
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    model = avis_cli.load_model(chosen.model)
    rates: list[float | None] = [None, *chosen.rates]
    found: dict[float | None, list[NDArray[np.float64]]] = {rate: [] for rate in rates}
    steady: list[NDArray[np.bool_]] = []
    taken = dict.fromkeys(rates, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        for index in range(chosen.clips):
            seed = clip_seed("test", chosen.seed, index)
            clip = make_clip(seed, frames=chosen.seconds * FPS, size=tuple(chosen.size), fps=FPS)
            path = Path(folder, "clip.mp4")
            write_clip(path, clip)
            steady.append(heard_throughout(clip).ravel())
            for rate in rates:
                result, seconds = measured(model, path, rate)
                found[rate].append(overlaps(result, clip).ravel())
                taken[rate] += seconds
            path.unlink()
    frames = chosen.clips * chosen.seconds * FPS
    throughout = np.concatenate(steady)
    print(f"{model.name}, {chosen.clips} clips of {chosen.seconds} s at {FPS} frames a second, seed {chosen.seed}")
    print("| network masks a second | mean IoU, % | lost | heard throughout, % | lost | seconds a frame |")
    print("|---|---:|---:|---:|---:|---:|")
    own: tuple[float, float] | None = None
    for rate in rates:
        values = np.concatenate(found[rate])
        both = 100 * float(np.nanmean(values)), 100 * float(np.nanmean(values[throughout]))
        own = own or both
        name = "every frame" if rate is None else f"{rate:g}, flow between"
        cells = [f"{both[0]:.2f}", f"{own[0] - both[0]:.2f}", f"{both[1]:.2f}", f"{own[1] - both[1]:.2f}"]
        print(f"| {name} | {' | '.join(cells)} | {taken[rate] / frames:.4f} |", flush=True)


if __name__ == "__main__":
    main()
