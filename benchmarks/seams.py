"""What joining windows costs: identities of long clips tracked in one window, and in several.

    avis synth world --split test --videos 10 --frames 60 --seed 21
    python benchmarks/seams.py world [--model avism-tiny] [--windows 0 24 18 14 12] [--without audio]

``--without`` leaves out a term by which windows are joined: overlap or audio. For each window length in token frames
(0: the whole clip) the tracks found, those of the truth, identity switches and scores in corrected meaning.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

import avis_cli
from avis_cli.batch.dataset_run import DatasetOptions, category_ids, entries, run_clip
from avis_cli.datasets.aviseg import SplitPaths, find_clip, find_split
from avis_cli.datasets.tracks import Dataset
from avis_cli.datasets.truth import read_truth
from avis_cli.inference import associate
from avis_cli.inference.model import Model

TERMS = ("appearance", "overlap", "audio")  # of the affinity of two windows' tracks, in the order of their weights
SCORES = ("FSLA", "HOTA", "AssA", "IDF1")


def weights_without(term: str) -> tuple[float, float, float]:
    """The weights by which windows are joined, that of one term 0."""
    appearance, overlap, audio = (0.0 if name == term else w for name, w in zip(TERMS, associate.WEIGHTS, strict=True))
    return appearance, overlap, audio


def predictions(model: Model, paths: SplitPaths, dataset: Dataset, window: int) -> list[dict[str, Any]]:
    """The results list of a split, its clips tracked in windows of ``window`` token frames, 0 for one window."""
    ids = category_ids(model, dataset.categories, paths.truth)
    options = DatasetOptions(gate=model.config.gate)
    found: list[dict[str, Any]] = []
    for video in dataset.videos:
        clip = find_clip(paths, video, embedded=False, mute=False)
        found += entries(run_clip(model, clip, options, window or None), video, ids, False)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--model")
    parser.add_argument("--windows", type=int, nargs="+", default=[0, 24, 18, 14, 12])
    parser.add_argument("--without", choices=TERMS[1:])
    chosen = parser.parse_args()
    if chosen.without is not None:
        associate.WEIGHTS = weights_without(chosen.without)
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    model, paths = avis_cli.load_model(chosen.model), find_split(chosen.data, chosen.split)
    dataset = read_truth(paths.truth)
    known = sum(len(video.truths) for video in dataset.videos)
    joined = "" if chosen.without is None else f", joined without {chosen.without}"
    print(f"{model.name}{joined}, {len(dataset.videos)} clips, {known} tracks in the truth")
    print(f"| window | tracks | IDSW | {' | '.join(SCORES)} |\n|---|---|---|{'---|' * len(SCORES)}")
    with tempfile.TemporaryDirectory() as folder:
        for window in chosen.windows:
            found = predictions(model, paths, dataset, window)
            results = Path(folder, "results.json")
            results.write_text(json.dumps(found), encoding="utf-8")
            scores = avis_cli.evaluate(paths.truth, results)["corrected"]
            values = " | ".join(f"{scores[name]:.1f}" for name in SCORES)
            print(f"| {window or 'one'} | {len(found)} | {scores['IDSW']} | {values} |", flush=True)


if __name__ == "__main__":
    main()
