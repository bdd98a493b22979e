"""How good a model of class maps is, beside what nothing and everything score, and what it draws of another sound.

    python benchmarks/avs.py score DATA... --model tpavi-tiny
    python benchmarks/avs.py table

DATA: folders in the layout of AVSBench, AVISeg or VPO (`avis synth --layout` makes some). Scores are corrected, in
percent. With another sound nothing that is seen sounds: "empty" is the share of frames in which nothing is drawn then,
"drawn" that of the pixels that are, "still drawn" those of the pixels that are drawn with the clip's own sound.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import avis_cli
from avis_cli.evaluate.semantic import binary, classes
from avis_cli.evaluate.semantic.binary import BinaryVideo
from avis_cli.evaluate.semantic.classes import ClassCounts
from avis_cli.inference.model import Model
from avis_cli.train.clips import ClipSource, RawClip
from avis_cli.train.replaced_sounds import SOUNDS, with_other_sounds
from avis_cli.train.sources import open_source
from avis_cli.train.validate_maps import likeliest, logits_of, sounding_logits, truth_maps

RESULTS = Path(__file__).parent / "results" / "avs.json"
SURE = 20.0  # logits of what is drawn for certain


def whole(source: ClipSource, number: int) -> RawClip:
    return source.read(number, range(source.length(number)))


class Row:
    """What is counted of one way to predict."""

    def __init__(self, outputs: int, *, is_binary: bool) -> None:
        self.outputs, self.is_binary = outputs, is_binary
        self.counts: list[ClassCounts] = []
        self.videos: list[BinaryVideo] = []

    def add(self, logits: NDArray[np.float64], maps: NDArray[np.int64], truth: NDArray[np.int64]) -> None:
        self.counts.append(ClassCounts.of(maps, truth, self.outputs))
        self.videos.append(BinaryVideo.of(logits, (truth > 0).astype(np.int64)))

    def scores(self) -> dict[str, float | None]:
        two, many = binary.scores(self.videos)["corrected"], classes.scores(self.counts)["corrected"]
        found = {"J": two["miou"], "F": two["fscore"]}
        # a truth without classes tells nothing of those that a model draws
        names = {"mIoU": "miou", "class F": "fscore", "mIoU of the set": "accumulated_miou"}
        found |= {name: None if self.is_binary else many[key] for name, key in names.items()}
        return {name: None if value is None else round(100 * value, 2) for name, value in found.items()}


def score(model: Model, source: ClipSource) -> dict[str, Any]:
    """The model, nothing and everything; then the model with other sounds."""
    config = model.config
    outputs = 2 if config.binary else config.outputs
    is_binary = len(source.categories) == 1
    rows = {name: Row(outputs, is_binary=is_binary) for name in ("own sound", "nothing", "everything")}
    for number in range(len(source)):
        clip, truth = whole(source, number), truth_maps(whole(source, number))
        logits = logits_of(model, clip)
        maps = likeliest(logits, binary=config.binary)
        known = np.ones(len(truth), bool) if clip.labelled is None else clip.labelled
        rows["own sound"].add(sounding_logits(logits, binary=config.binary)[known], maps[known], truth[known])
        flat = np.full(truth.shape, -SURE)
        rows["nothing"].add(flat[known], np.zeros_like(truth)[known], truth[known])
        rows["everything"].add(-flat[known], np.ones_like(truth)[known], truth[known])
        _show("own sound", number + 1, len(source))
    found: dict[str, Any] = {name: row.scores() for name, row in rows.items()}
    for name, robust in with_other_sounds(model, source, _show).items():
        found[name] = None if robust is None else asdict(robust)
    return found


def _show(phase: str, done: int, total: int | None) -> None:
    print(f"\r{phase}: {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def table(document: dict[str, Any]) -> str:
    """Markdown: scores of each set, then what is drawn of another sound."""
    heads = ["J", "F", "mIoU", "class F", "mIoU of the set"]
    lines = ["| model, data | predicted | " + " | ".join(heads) + " |", "|---|---|" + "---:|" * len(heads)]
    for name, rows in document["sets"].items():
        for way in ("own sound", "nothing", "everything"):
            cells = [_cell(rows["scores"][way][head]) for head in heads]
            lines.append("| " + " | ".join([name, way, *cells]) + " |")
    lines += ["", "| model, data | heard | frames | empty | drawn | still drawn |", "|---|---|" + "---:|" * 4]
    for name, rows in document["sets"].items():
        for way in SOUNDS:
            row = rows["scores"][way]
            if row is not None:
                shares = (row[key] for key in ("frames_empty", "pixels_drawn", "pixels_still_drawn"))
                cells = [f"{row['frames']}", *(_cell(None if share is None else 100 * share) for share in shares)]
                lines.append("| " + " | ".join([name, way, *cells]) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("score")
    scoring.add_argument("data", type=Path, nargs="+")
    scoring.add_argument("--model", default="tpavi-tiny")
    scoring.add_argument("--split", default="test")
    for command in (scoring, commands.add_parser("table")):
        command.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = parser.parse_args()
    document = json.loads(chosen.out.read_text(encoding="utf-8")) if chosen.out.exists() else {"sets": {}}
    if chosen.command == "table":
        sys.stdout.write(table(document))
        return
    torch.set_num_threads(1)
    model = avis_cli.load_model(chosen.model)
    for data in chosen.data:
        source = open_source(data, chosen.split, model.config)
        about = {"clips": len(source), "weights": model.weights_sha256, "scores": score(model, source)}
        document["sets"][f"{model.name}, {data.name}"] = about
        chosen.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
