"""The table of what each part of the network is worth.

    avis synth world --split test --videos 200 --frames 10 --seed 7
    python benchmarks/ablations.py world --full weights/avism-tiny.safetensors --twin runs/twin/model.safetensors \
        --no-audio runs/no_audio/model.safetensors --no-fusion runs/no_fusion/model.safetensors > table.md

``--twin`` is the full network trained on the budget that the ablations had; ``--no-audio`` and ``--no-fusion`` were
trained with ``avis train --without audio`` and ``--without fusion``. Rows whose weights are not given are left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from baselines.linking import linked_by_appearance
from baselines.variants import VARIANTS, Variant, score

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.inference.loading import load_model
from avis_cli.models.training import AudioAblation
from avis_cli.train.clips import ClipSource, FolderSource
from avis_cli.train.validate import Validation

DEAF = AudioAblation(localizer=False, tracker=False)
TRACKER_ONLY = AudioAblation(localizer=False)
HEADINGS = "| network | FSLA | HOTA | mAP | twins | silent suppressed | FSLA released | HOTA released | mAP released |"


def rows(arguments: argparse.Namespace) -> Iterator[tuple[str, Path, Variant]]:
    """Name, weights and variant of each row of the table."""
    yield "full model, bundled weights", arguments.full, VARIANTS["full"]
    yield "the same, muted", arguments.full, VARIANTS["muted"]
    yield "the same, gate off", arguments.full, VARIANTS["gate off"]
    yield "the same, tracker off: frame level, tokens matched", arguments.full, VARIANTS["tracker off"]
    yield "the same, frame level + SORT", arguments.full, VARIANTS["SORT"]
    if arguments.twin is not None:
        yield "full model, short budget", arguments.twin, VARIANTS["full"]
        yield "gate off", arguments.twin, VARIANTS["gate off"]
        yield "tracker off: frame level, tokens matched", arguments.twin, VARIANTS["tracker off"]
        yield "frame level + SORT", arguments.twin, VARIANTS["SORT"]
    if arguments.no_fusion is not None:
        yield "no cross-modal fusion: sound in the tracker only", arguments.no_fusion, Variant(TRACKER_ONLY)
    if arguments.no_audio is not None:
        yield "audio off", arguments.no_audio, Variant(DEAF)
        yield "vision only, frame level, tokens matched", arguments.no_audio, Variant(DEAF, linker=linked_by_appearance)


def line(name: str, found: Validation) -> str:
    """One row of the table, in Markdown."""
    released = [found.scores[key] for key in ("FSLA", "HOTA", "mAP")]
    values = [found.fsla, found.hota, found.precision, found.twins, found.suppressed, *released]
    return "| " + " | ".join([name, *("-" if value is None else f"{value:.1f}" for value in values)]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--full", type=Path, required=True)
    for name in ("--twin", "--no-audio", "--no-fusion"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    source: ClipSource = FolderSource(read_training_split(arguments.data, arguments.split))
    print(f"{len(source)} clips\n\n{HEADINGS}\n|---|" + "---:|" * 8)
    for name, weights, variant in rows(arguments):
        found = score(load_model(weights), source, variant, lambda *_: None)
        print(line(name, found), flush=True)
        print(name, found.summary(), file=sys.stderr)


if __name__ == "__main__":
    main()
