"""How far clips look from what a bundled model was trained on, and the statistics by which that is told.

    avis synth world --split train --videos 6000 --frames 12 --seed 1
    avis synth test --split test --videos 300 --frames 10 --seed 11
    python benchmarks/in_world.py fit world [--model avism-tiny] [--frames 1500] [--limit 1.05]   # tpavi-tiny: 0.85
    python benchmarks/in_world.py measure test CLIP ... [--model avism-tiny]

``fit`` writes ``weights/MODEL.world.safetensors``: mean and covariance over one frame each of some training clips.
``measure`` prints the distances of the clips of a test split, their median and largest, and those of video files.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch

import avis_cli
from avis_cli.datasets.aviseg import read_training_split
from avis_cli.inference.clip_frames import network_size, shrink
from avis_cli.inference.in_world import Watched, World, channel_means, world_of
from avis_cli.inference.model import Model
from avis_cli.train.clips import FolderSource

WEIGHTS = Path(__file__).resolve().parents[1] / "weights"


def weights_of(name: str) -> Path:
    """The file of a bundled model."""
    return WEIGHTS / f"{name}.safetensors"


def means_of(model: Model, pictures: np.ndarray) -> torch.Tensor:
    """Channel means (N, C) of pictures uint8 (N, h, w, 3) of any size."""
    size = network_size(pictures.shape[1], pictures.shape[2], model.config.short_side, model.config.long_side)
    small = np.stack([shrink(picture, size) for picture in pictures])
    with torch.inference_mode():
        return channel_means(model.network, torch.from_numpy(small))


def fit(model: Model, source: FolderSource, count: int, limit: float) -> World:
    """Statistics of one frame each of ``count`` clips, drawn with seed 0, for the weights of ``model``."""
    random = np.random.default_rng(0)
    clips = random.choice(len(source), min(count, len(source)), replace=False)
    drawn = ((int(clip), int(random.integers(source.length(int(clip))))) for clip in clips)
    means = [means_of(model, source.read(clip, [frame]).frames) for clip, frame in drawn]
    return World.fitted(torch.cat(means), model.weights_sha256 or "", limit)


def _fit(chosen: argparse.Namespace) -> None:
    path = weights_of(chosen.model)
    model, source = avis_cli.load_model(path), FolderSource(read_training_split(chosen.data, "train"))
    out = chosen.out or path.with_suffix(".world.safetensors")
    fit(model, source, chosen.frames, chosen.limit).save(out)
    print(out)


def _measure(chosen: argparse.Namespace) -> None:
    model = avis_cli.load_model(weights_of(chosen.model))
    world = world_of(model)
    if world is None:
        raise SystemExit(f"no statistics beside the weights of {chosen.model}; make them with fit")
    source = FolderSource(read_training_split(chosen.data, chosen.split))
    found = [
        world.distance(means_of(model, source.read(clip, range(source.length(clip))).frames))
        for clip in range(len(source))
    ]
    over = sum(distance > world.limit for distance in found)
    print(
        f"| {len(found)} clips | median {statistics.median(found):.2f} | largest {max(found):.2f} | warned of {over} |"
    )
    for path in chosen.clips:
        seen = Watched(model, world)
        avis_cli.segment(path, seen)
        print(f"| {path.name} | {seen.distance():.2f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    fitting = commands.add_parser("fit", help="write the statistics")
    fitting.add_argument("--frames", type=int, default=1500)
    fitting.add_argument("--limit", type=float, default=1.05, help="from which a clip is another world")
    fitting.add_argument("--out", type=Path)
    fitting.set_defaults(run=_fit)
    measuring = commands.add_parser("measure", help="print distances")
    measuring.set_defaults(run=_measure)
    for command in (fitting, measuring):
        command.add_argument("data", type=Path)
        command.add_argument("--model", default="avism-tiny", help="a bundled one (%(default)s)")
    measuring.add_argument("clips", type=Path, nargs="*")
    measuring.add_argument("--split", default="test")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.run(chosen)


if __name__ == "__main__":
    main()
