"""How far masks in half precision are from those in float32.

    python benchmarks/precision.py [--precision bf16] [--model avism-tiny] [CLIP ...]

Of each clip (the samples if none is named) every track in float32 is compared with the track of the same category in
half precision that overlaps it most. Prints the mean IoU over the frames in which either has a mask.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from pycocotools import mask as coco

import avis_cli
from avis_cli.results.clip import ClipResult, Track

SAMPLES = Path(__file__).resolve().parents[1] / "samples"


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="*", default=sorted(SAMPLES.glob("*.mp4")))
    parser.add_argument("--precision", default="bf16", choices=["bf16", "fp16"])
    parser.add_argument("--model")
    chosen = parser.parse_args()
    models = [avis_cli.load_model(chosen.model, precision=name) for name in ("fp32", chosen.precision)]
    print("| clip | tracks (fp32, half) | mean IoU | worst frame |\n|---|---|---|---|")
    everything: list[float] = []
    for clip in chosen.clips:
        exact, half = (avis_cli.segment(clip, model, mask_fps=5) for model in models)
        values = compare(exact, half)
        everything += values
        tracks = f"{len(exact.tracks)}, {len(half.tracks)}"
        print(f"| {clip.name} | {tracks} | {summary(values)} |", flush=True)
    print(f"| all | | {summary(everything)} |")


def summary(values: list[float]) -> str:
    """Mean and worst, as two cells of the table."""
    return f"{statistics.fmean(values or [1.0]):.4f} | {min(values, default=1.0):.3f}"


if __name__ == "__main__":
    main()
