"""CAVP in small: what its contrastive loss is worth, and what two channels of sound are, on sets in VPO's layout.

    avis synth msmi --layout vpo-msmi --videos 5000 --seed 1
    avis synth ms --layout vpo-ms --videos 700 --seed 2
    python benchmarks/cavp.py train msmi runs
    python benchmarks/cavp.py score msmi runs
    python benchmarks/cavp.py score ms runs --split train
    python benchmarks/cavp.py table

The set "ms" has other scenes than "msmi" and nobody is trained on it, so that any split of it can be scored; sets of
one seed share scenes. All rows start from the same weights and have the same batches, clips and seed, and the same
steps unless told otherwise (``--steps``). Scores are corrected, over the set, in percent; differences are those to the
row "mono", with 95 % intervals over pictures. "told apart": of pairs of one category of which one sounds, those in
which the class is likelier on the one that does; a guess has 50. "strictly": the class is also drawn on more than half
of it, and on less than half of the silent one.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from avis_cli.datasets.synth.vpo_layout import still
from avis_cli.datasets.vpo import DESCRIPTION, read_vpo
from avis_cli.evaluate.semantic.evaluation import MapVideo, evaluate_videos
from avis_cli.evaluate.semantic.resample import draw_weights, interval, resampled
from avis_cli.inference.loading import load_model
from avis_cli.inference.model import Model
from avis_cli.train.clips import ClipSource
from avis_cli.train.initial_weights import NAME
from avis_cli.train.run import train
from avis_cli.train.run_state import CHECKPOINT
from avis_cli.train.sources import open_source
from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe
from avis_cli.train.validate_maps import logits_of, truth_maps
from avis_cli.version import __version__

RESULTS = Path(__file__).parent / "results" / "cavp.json"
INITIAL = "avism-tiny"
MEASURES = {"miou": "mIoU", "f03": "F", "fdr": "FDR"}
_SCENE = "avis synth, scene "  # before the seed, where vpo.json says what a picture comes from


@dataclass(frozen=True)
class Row:
    """``preset``: the network; ``without``: the part of its recipe that is left out."""

    preset: str = "cavp-tiny"
    without: str | None = None


ROWS = {"mono": Row(), "no-contrast": Row(without="contrast"), "stereo": Row("cavp-tiny-stereo")}
BASE = "mono"


@dataclass(frozen=True)
class Runs:
    """What all rows share: the ``data``, where their folders lie, and the budget of each."""

    data: Path
    folder: Path
    steps: int
    seed: int = 0

    def request(self, name: str) -> TrainRequest:
        """The training of one row."""
        row, out = ROWS[name], self.folder / name
        return TrainRequest(
            self.data, row.preset, out, chosen_recipe(row.preset, without=row.without, given=True),
            Budget(self.steps), init=INITIAL, seed=self.seed, device="cpu", resume=(out / CHECKPOINT).exists(),
            pace=Pace(checkpoint=100),
        )  # fmt: skip

    def train(self, name: str, note: Callable[[str], None] = print) -> Path:
        """The weights of a row, trained unless they are there; a stopped training goes on where it was."""
        weights = self.folder / name / NAME
        if not weights.exists():
            train(self.request(name), on_note=note)
        return weights


@dataclass(frozen=True)
class Pair:
    """Two objects of category ``number`` (from 1) in one picture, of which one sounds: their pixels (H, W)."""

    number: int
    sounds: NDArray[np.bool_]
    silent: NDArray[np.bool_]


def scenes_of(data: Path, split: str) -> list[int]:
    """Of each sample of a split the seed of the scene that its picture shows."""
    about = json.loads((data / DESCRIPTION).read_text(encoding="utf-8"))
    seeds = {entry["id"]: int(entry["source"].removeprefix(_SCENE)) for entry in about["pictures"]}
    return [seeds[sample.rows[0].image] for sample in read_vpo(data, about["setting"], split).samples]


def pairs_of(seed: int, truth: NDArray[np.int64]) -> Iterator[Pair]:
    """The pairs in the scene of a seed, of which ``truth`` (H, W) says what sounds. Objects are seen where they are
    drawn; of categories with more than two nothing is asked."""
    height, width = truth.shape
    _, masks, categories = still(seed, (width, height))
    for number in sorted(set(categories)):
        seen = [mask for mask, category in zip(masks, categories, strict=True) if category == number and mask.any()]
        if len(seen) != 2:
            continue
        sounding = [bool((truth[mask] == number).mean() > 0.5) for mask in seen]
        if sounding[0] != sounding[1]:
            first = 0 if sounding[0] else 1
            yield Pair(number, seen[first], seen[1 - first])


@dataclass(eq=False)
class Told:
    """How pairs were told apart."""

    pairs: int = 0
    apart: float = 0
    strictly: int = 0

    def add(self, pair: Pair, probabilities: NDArray[np.float64], drawn: NDArray[np.int64]) -> None:
        """``probabilities`` (K, H, W) of the classes, 0 none; ``drawn`` (H, W): the likeliest. A tie is half right."""
        on, off = (probabilities[pair.number][one].mean() for one in (pair.sounds, pair.silent))
        self.pairs += 1
        self.apart += 0.5 if np.isclose(on, off, rtol=1e-9, atol=0) else float(on > off)
        is_class = drawn == pair.number
        self.strictly += int(is_class[pair.sounds].mean() > 0.5 > is_class[pair.silent].mean())

    def shares(self) -> dict[str, float | None]:
        """In percent."""
        if not self.pairs:
            return {"pairs": 0.0, "told apart": None, "strictly": None}
        rate = 100 / self.pairs
        return {"pairs": float(self.pairs), "told apart": rate * self.apart, "strictly": rate * self.strictly}


def score(model: Model, source: ClipSource, scenes: list[int]) -> dict[str, Any]:
    """``scores`` over the set, how pairs were ``told``, and what is counted of each picture. ``scenes``: of each."""
    told = Told()

    def videos() -> Iterator[MapVideo]:
        for number, seed in enumerate(scenes):
            clip = source.read(number, [0])
            truth = truth_maps(clip)
            logits = logits_of(model, clip)
            drawn = logits.argmax(1).numpy()
            for pair in pairs_of(seed, truth[0]):
                told.add(pair, logits[0].double().softmax(0).numpy(), drawn[0])
            yield MapVideo(str(number), drawn, truth)
            print(f"\r{number + 1} of {len(scenes)}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    evaluation = evaluate_videos(videos(), "cavp", None, len(source.categories) + 1)
    scores = {name: 100 * evaluation.scores()["corrected"][name] for name in MEASURES}
    return {"scores": scores, "told": told.shares(), "pictures": list(evaluation.video_scores().values())}


def differences(row: dict[str, Any], base: dict[str, Any]) -> dict[str, tuple[float, float] | None]:
    """95 % intervals of what ``row`` has more than ``base`` on the same pictures, drawn for both alike."""
    weights = draw_weights(len(row["pictures"]))
    mine, theirs = (resampled("cavp", one["pictures"], weights) for one in (row, base))
    found = {name: interval(mine[name] - theirs[name]) for name in MEASURES}
    return {name: None if ends is None else (100 * ends[0], 100 * ends[1]) for name, ends in found.items()}


def table(document: dict[str, Any]) -> str:
    """Markdown."""
    heads = ["data, row", *MEASURES.values(), "mIoU against mono", "pairs", "told apart", "strictly"]
    lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
    for data, rows in document["sets"].items():
        for name, row in rows.items():
            ends = row.get("differences", {}).get("miou")
            told = row["told"]
            cells = [
                f"{data}, {name}", *(f"{row['scores'][measure]:.1f}" for measure in MEASURES),
                "" if ends is None else f"{ends[0]:+.1f} to {ends[1]:+.1f}", f"{told['pairs']:.0f}",
                *("-" if told[key] is None else f"{told[key]:.1f}" for key in ("told apart", "strictly")),
            ]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _score(chosen: argparse.Namespace, document: dict[str, Any]) -> None:
    scenes, rows = scenes_of(chosen.data, chosen.split), dict[str, Any]()
    for name, row in ROWS.items():
        weights = chosen.runs / name / NAME
        if not weights.exists():
            print(f"{name}: no {weights}", file=sys.stderr)
            continue
        model = load_model(str(weights))
        source = open_source(chosen.data, chosen.split, model.config)
        record = json.loads((weights.parent / "run.json").read_text(encoding="utf-8"))
        about = {"preset": row.preset, "weights": model.weights_sha256, "pictures": len(source)}
        found = score(model, source, scenes)
        if name != BASE and BASE in rows:
            found["differences"] = differences(found, rows[BASE])
        rows[name] = found
        kept = {key: value for key, value in found.items() if key != "pictures"}
        entry = about | {key: record[key] for key in ("steps", "minutes", "seed")} | kept
        document["sets"].setdefault(chosen.data.name, {})[name] = entry
        chosen.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train", help="train the rows")
    training.add_argument("data", type=Path)
    training.add_argument("runs", type=Path)
    training.add_argument("rows", nargs="*", choices=[*ROWS, []], metavar="ROW", help=", ".join(ROWS))
    training.add_argument("--steps", type=int, default=1000, help="of each row (%(default)s)")
    training.add_argument("--seed", type=int, default=0)
    scoring = commands.add_parser("score", help="score the rows that are trained")
    scoring.add_argument("data", type=Path)
    scoring.add_argument("runs", type=Path)
    scoring.add_argument("--split", default="test")
    for command in (scoring, commands.add_parser("table", help="print the table")):
        command.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.command == "train":
        for name in chosen.rows or ROWS:
            print(Runs(chosen.data, chosen.runs, chosen.steps, chosen.seed).train(name), flush=True)
        return
    document = json.loads(chosen.out.read_text(encoding="utf-8")) if chosen.out.exists() else {"sets": {}}
    if chosen.command == "table":
        sys.stdout.write(table(document))
        return
    document |= {
        "tool": f"avis-cli {__version__}, torch {torch.__version__}",
        "machine": f"{platform.machine()}, one thread",
    }
    _score(chosen, document)


if __name__ == "__main__":
    main()
