"""The table of what each part of the network is worth: the trainings, the scores, the table.

    avis synth world --split train --videos 6000 --frames 12 --seed 1
    avis synth world --split val --videos 200 --frames 10 --seed 1
    avis synth test --split test --videos 300 --frames 10 --seed 11
    python benchmarks/ablations.py train world runs --full weights/avism-tiny.safetensors
    python benchmarks/ablations.py score test runs --full weights/avism-tiny.safetensors
    python benchmarks/ablations.py table

``train`` trains every row from the same initial maps with the same steps; a killed one goes on where it was, rows that
are done are left. Name rows to train only these, in several processes at once. ``score`` writes
``results/ablations.json``, from which ``table`` prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from baselines.ablation_scores import score_rows
from baselines.ablation_table import table
from baselines.trained_rows import TRAINED_ROWS, Runs

RESULTS = Path(__file__).parent / "results" / "ablations.json"


def _train(chosen: argparse.Namespace) -> None:
    runs = Runs(
        chosen.data, chosen.runs, chosen.full, chosen.steps,
        device=chosen.device, precision=chosen.precision, pack=chosen.pack, workers=chosen.workers,
    )  # fmt: skip
    for name in chosen.rows or TRAINED_ROWS:
        print(f"{name}: {runs.train(name)}", flush=True)


def _score(chosen: argparse.Namespace) -> None:
    def kept(document: dict[str, object]) -> None:
        chosen.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    score_rows(chosen.data, chosen.split, chosen.runs, chosen.full, kept)


def _table(chosen: argparse.Namespace) -> None:
    sys.stdout.write(table(json.loads(chosen.out.read_text(encoding="utf-8"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", help="train the rows")
    training.add_argument("data", type=Path)
    training.add_argument("runs", type=Path)
    training.add_argument("rows", nargs="*", choices=[*TRAINED_ROWS, []], metavar="ROW", help=", ".join(TRAINED_ROWS))
    training.add_argument("--steps", type=int, default=850, help="of each row, 8 clips each (%(default)s)")
    training.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    training.add_argument("--precision", default="auto", help="auto, fp32 or bf16 (%(default)s)")
    training.add_argument("--no-pack", dest="pack", action="store_false", help="read the clips' files at every step")
    training.add_argument("--workers", type=int, default=0, help="threads that make batches ahead (%(default)s)")
    training.set_defaults(run=_train)
    scoring = commands.add_parser("score", help="score all rows that are trained")
    scoring.add_argument("data", type=Path)
    scoring.add_argument("runs", type=Path)
    scoring.add_argument("--split", default="test")
    scoring.set_defaults(run=_score)
    printing = commands.add_parser("table", help="print the table")
    printing.set_defaults(run=_table)
    for command in (training, scoring):
        command.add_argument("--full", type=Path, required=True, help="the bundled weights")
    for command in (scoring, printing):
        command.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    chosen.run(chosen)


if __name__ == "__main__":
    main()
