"""What the gate and AURORA do to the scores of a model on a split: neither, either, both.

    avis synth test --split test --videos 300 --frames 10 --seed 11
    python benchmarks/refinements.py score test
    python benchmarks/refinements.py table

Each row is what `avis evaluate --data test --model avism-tiny` finds with ``--no-gate`` or ``--gate``, and with
``--refine none`` or ``aurora``. ``score`` writes ``results/refinements.json`` after each row, from which ``table``
prints Markdown: corrected scores in percent, FSLA with its interval over clips and, of the rows with AURORA, with the
interval of its difference to the same without.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from baselines.bootstrap import Samples, interval, resampled

from avis_cli.batch.dataset_run import DatasetOptions, category_ids, entries, run_clip
from avis_cli.datasets.aviseg import find_clip, find_split
from avis_cli.datasets.tracks import Dataset
from avis_cli.datasets.truth import read_truth
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.evaluate.predictions import read_predictions
from avis_cli.inference.loading import load_model
from avis_cli.inference.model import Model
from avis_cli.version import __version__

RESULTS = Path(__file__).parent / "results" / "refinements.json"
COLUMNS = {
    "FSLA": "FSLA",
    "FSLA_none": "silent frames",
    "FSLA_single": "one source",
    "FSLA_multi": "several",
    "HOTA": "HOTA",
    "mAP": "mAP",
}
"""Score -> heading."""
DRAWS, SEED = 1000, 0  # of the bootstrap


@dataclass(frozen=True)
class Row:
    """``without``: the name of the row that lacks only AURORA."""

    name: str
    gate: bool
    refine: str
    without: str | None = None


ROWS = (
    Row("neither", False, "none"),
    Row("gate", True, "none"),
    Row("AURORA", False, "aurora", "neither"),
    Row("gate and AURORA", True, "aurora", "gate"),
)


def score_rows(
    model: Model, data: Path, split: str, clips: int | None, kept: Callable[[dict[str, Any]], None], draws: int = DRAWS
) -> None:
    """Every row on the first ``clips`` of a split, None for all; ``kept`` is called with the document after each."""
    paths = find_split(data, split)
    truth = read_truth(paths.truth, allow_empty=True)
    truth = replace(truth, videos=truth.videos[:clips])
    document: dict[str, Any] = {
        "tool": f"avis-cli {__version__}, torch {torch.__version__}",
        "machine": f"{platform.machine()}, one thread",
        "model": model.name,
        "weights": model.weights_sha256,
        "clips": len(truth.videos),
        "bootstrap": f"{draws} draws of as many clips, 95 % intervals",
        "rows": [],
    }
    samples: dict[str, Samples] = {}
    for row in ROWS:
        options = DatasetOptions(gate=row.gate, refine=row.refine)
        evaluation = evaluate_dataset(_found(model, data, split, truth, options))
        drawn = samples[row.name] = resampled(evaluation.videos, evaluation.categories, draws, SEED)
        values = vars(evaluation.corrected.metric_values())
        entry: dict[str, Any] = {"name": row.name, "gate": row.gate, "refine": row.refine}
        entry |= {"scores": {name: values[name] for name in COLUMNS}, "interval": interval(drawn[:, 0])}
        if row.without is not None:
            entry |= {"without": row.without, "difference": interval(drawn[:, 0] - samples[row.without][:, 0])}
        document["rows"].append(entry)
        kept(document)
        print(row.name, entry["scores"], file=sys.stderr, flush=True)


def _found(model: Model, data: Path, split: str, truth: Dataset, options: DatasetOptions) -> Dataset:
    """The truth with what the model finds, by way of a results list."""
    paths = find_split(data, split)
    ids = category_ids(model, truth.categories, paths.truth)
    found: list[dict[str, Any]] = []
    for video in truth.videos:
        clip = find_clip(paths, video, embedded=model.config.audio == "vggish", mute=False)
        found += entries(run_clip(model, clip, options), video, ids, null_empty=True)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "results.json"
        path.write_text(json.dumps(found), encoding="utf-8")
        return read_predictions(path, truth)


def table(document: dict[str, Any]) -> str:
    """The kept scores as Markdown."""
    first, *rest = COLUMNS.values()
    heads = ["", first, "95 % interval", "AURORA's difference", *rest]
    rule = "|---|" + "---:|" * (len(heads) - 1)
    return "\n".join([_line(heads), rule, *(_line(list(_cells(row))) for row in document["rows"])]) + "\n"


def _cells(row: dict[str, Any]) -> Iterator[str]:
    first, *rest = (row["scores"][name] for name in COLUMNS)
    yield from (row["name"], _number(first), _interval(row["interval"]))
    yield _interval(row["difference"], "+") if "difference" in row else ""
    yield from map(_number, rest)


def _interval(ends: list[float], sign: str = "") -> str:
    return f"{ends[0]:{sign}.1f} to {ends[1]:{sign}.1f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _score(chosen: argparse.Namespace) -> None:
    def kept(document: dict[str, Any]) -> None:
        chosen.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")

    score_rows(load_model(chosen.model), chosen.data, chosen.split, chosen.clips, kept)


def _table(chosen: argparse.Namespace) -> None:
    sys.stdout.write(table(json.loads(chosen.out.read_text(encoding="utf-8"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    scoring = commands.add_parser("score", help="score all rows")
    scoring.add_argument("data", type=Path)
    scoring.add_argument("--split", default="test")
    scoring.add_argument("--model", default="avism-tiny", metavar="NAME|PATH")
    scoring.add_argument("--clips", type=int, help="the first of the split only")
    scoring.set_defaults(run=_score)
    printing = commands.add_parser("table", help="print the table")
    printing.set_defaults(run=_table)
    for command in (scoring, printing):
        command.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    chosen.run(chosen)


if __name__ == "__main__":
    main()
