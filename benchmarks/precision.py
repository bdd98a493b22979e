"""How far masks in half precision, or from a GPU, are from those in float32 on the CPU.

    python benchmarks/precision.py [--precision bf16] [--device cpu] [--model avism-tiny] [--threshold 0.3] [CLIP ...]
    python benchmarks/precision.py --filled
    python benchmarks/precision.py --train avism-r50-in --steps 100 --out RUN

Of each clip (the samples if none is named) every track in float32 on the CPU is compared with the track of the same
category in ``--precision`` on ``--device`` that overlaps it most. Prints the mean IoU over the frames in which either
has a mask.

``--filled``: the released networks on weights and frames of the parity data (`tests/parity_fill.py`). These are harsh:
frames of 100x70 pixels, whose coarsest map has 12 cells, two of which a query may look at.

``--train``: a preset, a little, from random weights on six token frames each of three clips of the synthetic world,
64 pixels high, with a VGGish of random weights; then on the first clip all candidates, whatever their scores. RUN keeps
the data and the weights, and training is left out where they are there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco

import avis_cli
from avis_cli.datasets.aviseg import read_training_split
from avis_cli.datasets.synth.layout import SplitRequest, write_split
from avis_cli.inference.model import Model
from avis_cli.models import find_preset
from avis_cli.models.avism.recipe import RELEASED
from avis_cli.models.training import Augmentation, BatchShape
from avis_cli.nn.vggish import Vggish
from avis_cli.results.clip import ClipResult, Track
from avis_cli.train.clips import FolderSource
from avis_cli.train.run import train
from avis_cli.train.train_request import Budget, TrainRequest

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
FILLED = (
    ("avism-r50-in", "avism_R50_IN", "r50_in_frames"),
    ("avism-r50-coco", "avism_R50_COCO", "r50_coco_clip"),
    ("avism-swinl-coco", "avism_SwinL_COCO", "swinl_coco_frames"),
)
"""Preset, the released checkpoint whose names it has, and frames."""
SIDE = 64  # pixels of the shorter side of the frames that a little training sees
VIDEOS, FRAMES = 3, 6


def overlaps(track: Track, other: Track) -> list[float]:
    """IoU of each frame in which either has a mask."""
    values = []
    for one, two in zip(track.masks, other.masks, strict=True):
        if one is not None and two is not None:
            values.append(float(coco.iou([dict(one)], [dict(two)], [0])[0][0]))
        elif one is not None or two is not None:
            values.append(0.0)
    return values


def compare(exact: ClipResult, half: ClipResult) -> list[float]:
    """IoU of every frame of every track with its best partner; zeros for a track that has none."""
    values: list[float] = []
    for track in exact.tracks:
        alike = [overlaps(track, other) for other in half.tracks if other.category_id == track.category_id]
        lost = [0.0] * sum(mask is not None for mask in track.masks)
        values += max(alike, key=lambda found: statistics.fmean(found or [0.0]), default=lost)
    return values


def of_files(chosen: argparse.Namespace) -> list[float]:
    """Of the clips named, or the samples."""
    models = [
        avis_cli.load_model(chosen.model, precision=kind, device=device)
        for kind, device in (("fp32", "cpu"), (chosen.precision, chosen.device))
    ]
    everything: list[float] = []
    for clip in chosen.clips:
        segment = partial(avis_cli.segment, clip, mask_fps=5, threshold=chosen.threshold)
        everything += shown(clip.name, models, cast("Callable[[Model], ClipResult]", segment))
    return everything


def of_filled(chosen: argparse.Namespace) -> list[float]:
    """Of the released networks on filled weights."""
    sys.path.insert(0, str(ROOT / "tests"))
    parity_fill = import_module("parity_fill")

    everything: list[float] = []
    for preset, names, frames in FILLED:
        about = json.loads((parity_fill.DATA / f"{frames}.json").read_text())
        given = np.load(parity_fill.DATA / f"{frames}.npz")
        model = avis_cli.load_model(preset, weights=parity_fill.weights(names, about["salt"]))
        size = about["output_size"][0], about["output_size"][1]
        everything += of_frames(f"{preset}, {frames}", model, given["frames"], given["audio"], size, chosen)
    return everything


def of_trained(chosen: argparse.Namespace) -> list[float]:
    """Of a network trained a little."""
    data, run = chosen.out / "data", chosen.out / "run"
    if not (run / "model.safetensors").exists():
        train_a_little(chosen.train, data, run, chosen.steps)
    clip = FolderSource(read_training_split(data, "train"), short_side=SIDE).read(0, range(FRAMES))
    model = avis_cli.load_model(run / "model.safetensors")
    frames = clip.frames.transpose(0, 3, 1, 2)
    size = (clip.frames.shape[1], clip.frames.shape[2])
    chosen.threshold = 0.0
    audio = model.embed_log_mel(clip.patches).numpy()
    return of_frames(f"{chosen.train}, {chosen.steps} steps", model, frames, audio, size, chosen)


def train_a_little(preset: str, data: Path, run: Path, steps: int) -> None:
    """Weights in ``run`` after ``steps`` of one clip of two frames each."""
    write_split(data, SplitRequest("train", VIDEOS, seed=3, frames=FRAMES))
    vggish = None
    if find_preset(preset).config.audio == "vggish":
        torch.manual_seed(0)
        vggish = data / "vggish.pth"
        torch.save(Vggish().state_dict(), vggish)
    still = Augmentation(colour=0.0, gain=0.0, noise=0.0, bands=0, short_sides=(SIDE, SIDE))
    recipe = replace(
        RELEASED, shapes=(BatchShape(1, 2),), points=1000, token_layers=1, reach=3, augmentation=still,
        learning_rate=3e-4, backbone_factor=1.0, warmup_steps=10,
    )  # fmt: skip
    train(
        TrainRequest(data=data, preset=preset, out=run, recipe=recipe, budget=Budget(steps), vggish=vggish),
        on_note=lambda line: print(line, file=sys.stderr, flush=True),
    )


def of_frames(
    name: str,
    model: Model,
    frames: NDArray[np.uint8],
    audio: NDArray[np.float32],
    size: tuple[int, int],
    chosen: argparse.Namespace,
) -> list[float]:
    """Of frames (T, 3, h, w) and embeddings (T, 128); ``size``: of the masks in pixels."""
    models = [
        Model(deepcopy(model.network), vggish=deepcopy(model.vggish), name=name, precision=kind, device=device)
        for kind, device in (("fp32", "cpu"), (chosen.precision, chosen.device))
    ]  # a copy each: moving one to a GPU would move the other

    def segment(model: Model) -> ClipResult:
        return avis_cli.segment_frames(model, frames, audio, size, threshold=chosen.threshold, gate=False)

    return shown(name, models, segment)


def shown(name: str, models: Sequence[Model], segment: Callable[[Model], ClipResult]) -> list[float]:
    """One line of the table: ``models`` as the reference and as the other."""
    exact, half = (segment(model) for model in models)
    values = compare(exact, half)
    print(f"| {name} | {len(exact.tracks)}, {len(half.tracks)} | {summary(values)} |", flush=True)
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*", default=sorted(SAMPLES.glob("*.mp4")))
    parser.add_argument("--precision", default="bf16", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model")
    parser.add_argument("--threshold", type=float, default=0.3)
    parser.add_argument("--filled", action="store_true")
    parser.add_argument("--train", metavar="PRESET")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    if chosen.train and chosen.out is None:
        parser.error("--train needs --out, a folder outside the repository")
    print("| clip | tracks (fp32, half) | mean IoU | worst frame |\n|---|---|---|---|")
    measure = of_filled if chosen.filled else of_trained if chosen.train else of_files
    print(f"| all | | {summary(measure(chosen))} |")


def summary(values: list[float]) -> str:
    """Mean and worst, as two cells of the table."""
    return f"{statistics.fmean(values or [1.0]):.4f} | {min(values, default=1.0):.3f}"


if __name__ == "__main__":
    main()
