"""Seconds and peak memory of a whole evaluation, start-up and reading included.

    python benchmarks/evaluate_speed.py [--jobs 1 2] [--runs 3] [--keep FOLDER]

Makes a set of 120 videos of 60 frames at 1280x720 with 370 ground-truth tracks (polygons, silent at times) and 396
predicted tracks (run lengths, all-zero where nothing is shown), always the same, and evaluates it in a fresh process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

HEIGHT, WIDTH, FRAMES, VIDEOS, TRUTHS, PREDICTIONS, CATEGORIES = 720, 1280, 60, 120, 370, 396, 26
CORNERS, FINE = 14, 16
EMPTY = coco.encode(np.zeros((HEIGHT, WIDTH), np.uint8, order="F"))["counts"].decode()


def blob(random: np.random.Generator) -> NDArray[np.float64]:
    """(CORNERS, 2): an outline around the origin."""
    angle = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    radius = random.uniform(50, 180) * random.uniform(0.8, 1.2, CORNERS)
    return np.stack([radius * np.cos(angle) * random.uniform(0.6, 1.4), radius * np.sin(angle)], axis=1)


def outlines(random: np.random.Generator) -> NDArray[np.float64]:
    """(FRAMES, CORNERS, 2): a blob on a straight path."""
    start, end = random.uniform((200, 150), (WIDTH - 200, HEIGHT - 150), (2, 2))
    path = start + (end - start) * np.linspace(0, 1, FRAMES)[:, None]
    shape = blob(random) * (1 + 0.1 * np.sin(np.linspace(0, 6, FRAMES)))[:, None, None]
    return np.clip(path[:, None] + shape, 0, (WIDTH, HEIGHT))


def frayed(random: np.random.Generator, shapes: NDArray[np.float64]) -> NDArray[np.float64]:
    """(FRAMES, CORNERS * FINE, 2): displaced as a whole, and with the rough edge of a network's mask."""
    part = np.linspace(0, 1, FINE, endpoint=False)[:, None]
    fine = shapes[:, :, None] * (1 - part) + np.roll(shapes, -1, axis=1)[:, :, None] * part
    edge = random.normal(0, 2, fine.shape) + random.normal(0, random.uniform(1, 12), (FRAMES, 1, 1, 2))
    return (fine + edge).reshape(FRAMES, CORNERS * FINE, 2)


def sounding(random: np.random.Generator) -> NDArray[np.bool_]:
    """(FRAMES,): about two thirds of the frames, in stretches."""
    heard = np.ones(FRAMES, bool)
    for start in random.integers(0, FRAMES, 2):
        heard[start : start + int(random.integers(5, 18))] = False
    return heard


def run_length(outline: NDArray[np.float64]) -> str:
    return coco.frPyObjects([outline.ravel().tolist()], HEIGHT, WIDTH)[0]["counts"].decode()


def area(outline: NDArray[np.float64]) -> float:
    x, y = outline.T
    return round(float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2), 1)


def make(folder: Path, seed: int = 99) -> None:
    """Writes ``gt.json.gz`` and ``pred.json.gz``."""
    random = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(VIDEOS), random.integers(0, VIDEOS, TRUTHS - VIDEOS)])
    annotations: list[dict[str, Any]] = []
    predictions: list[dict[str, Any]] = []
    for identity, video in enumerate(owner.tolist(), start=1):
        shapes, heard, category = outlines(random), sounding(random), int(random.integers(1, CATEGORIES + 1))
        masks = [[shape.round(1).ravel().tolist()] if h else None for shape, h in zip(shapes, heard, strict=True)]
        areas = [area(shape) if h else None for shape, h in zip(shapes, heard, strict=True)]
        annotations.append(
            {"id": identity, "video_id": video, "category_id": category, "iscrowd": 0, "height": HEIGHT}
            | {"width": WIDTH, "length": FRAMES, "segmentations": masks, "areas": areas}
        )
        shown = heard ^ (random.random(FRAMES) < 0.04)
        predictions.append(prediction(random, video, category, frayed(random, shapes), shown))
    for _ in range(PREDICTIONS - TRUTHS):
        video, category = int(random.integers(0, VIDEOS)), int(random.integers(1, CATEGORIES + 1))
        predictions.append(prediction(random, video, category, frayed(random, outlines(random)), sounding(random)))
    predictions.sort(key=lambda entry: (entry["video_id"], -entry["score"]))
    videos = [
        {"id": v, "width": WIDTH, "height": HEIGHT, "length": FRAMES}
        | {"file_names": [f"video_{v:03d}/{t:05d}.jpg" for t in range(FRAMES)]}
        for v in range(VIDEOS)
    ]
    categories = [{"id": c, "name": f"category {c}"} for c in range(1, CATEGORIES + 1)]
    write(folder / "gt.json.gz", {"videos": videos, "categories": categories, "annotations": annotations})
    write(folder / "pred.json.gz", predictions)
    masks_in_truth = sum(area is not None for entry in annotations for area in entry["areas"])
    size = sum((folder / name).stat().st_size for name in ("gt.json.gz", "pred.json.gz")) / 1e6
    print(f"{VIDEOS} videos x {FRAMES} frames, {TRUTHS} ground-truth tracks with {masks_in_truth} masks, ", end="")
    print(f"{PREDICTIONS} predicted tracks with {PREDICTIONS * FRAMES} masks, {size:.1f} MB gzipped")


def prediction(
    random: np.random.Generator, video: int, category: int, shapes: NDArray[np.float64], shown: NDArray[np.bool_]
) -> dict[str, Any]:
    counts = [run_length(shape) if s else EMPTY for shape, s in zip(shapes, shown, strict=True)]
    if random.random() < 0.1:
        category = int(random.integers(1, CATEGORIES + 1))
    masks = [{"size": [HEIGHT, WIDTH], "counts": text} for text in counts]
    score = round(float(random.uniform(0.2, 1)), 4)
    return {"video_id": video, "category_id": category, "score": score, "segmentations": masks}


def write(path: Path, content: object) -> None:
    with gzip.GzipFile(path, "wb", mtime=0) as file:
        file.write(json.dumps(content, separators=(",", ":")).encode())


def measure(folder: Path, jobs: int) -> tuple[float, float, float]:
    """Seconds on the clock, seconds of processor time, and peak MB of the largest process."""
    program = "import sys, avis_cli; avis_cli.evaluate(sys.argv[1], sys.argv[2], jobs=int(sys.argv[3]))"
    files = [str(folder / name) for name in ("gt.json.gz", "pred.json.gz")]
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program, *files, str(jobs)])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit("the evaluation failed")
    kilo = 1 if sys.platform == "darwin" else 1024
    seconds = time.perf_counter() - start
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * kilo / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the set here and leave it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make(folder)
        for jobs in arguments.jobs:
            runs = [measure(folder, jobs) for _ in range(arguments.runs)]
            seconds, processor, memory = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"--jobs {jobs}: {seconds:.2f} s ({processor:.2f} s of processor time), {memory:.0f} MB")


if __name__ == "__main__":
    main()
