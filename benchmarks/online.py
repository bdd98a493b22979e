"""The online network: what each part is worth, what is lost against the offline one, and by how long the clips are.

    avis synth world --split train --videos 6000 --frames 12 --seed 1
    avis synth world --split val --videos 200 --frames 10 --seed 1
    avis synth test --split test --videos 300 --frames 10 --seed 11
    python benchmarks/online.py train world runs [ROW...] [--steps 850]
    python benchmarks/online.py score test --model seavis-tiny [--runs runs]
    python benchmarks/online.py lengths DATA... --model seavis-tiny --offline avism-tiny
    python benchmarks/online.py table

``train`` trains every row from the offline network's frame stage with the same steps; a killed one goes on where it
was. ``score`` writes ``results/online.json``: the bundled weights in every use, then each trained row. ``lengths``
scores both networks on splits of other lengths. ``table`` prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import Any

import torch
from baselines.online_rows import ONLINE_ROWS, OnlineRuns, register
from baselines.online_scores import USES, first_frame_counted, intervals, numbers, offline_tracks, score, weights_of

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.files.checksum import sha256_of
from avis_cli.inference.loading import load_model
from avis_cli.train.clips import FolderSource
from avis_cli.version import __version__

RESULTS = Path(__file__).parent / "results" / "online.json"
COLUMNS = ("FSLA", "HOTA", "mAP", "twins", "suppressed", "untouched")


def _train(chosen: argparse.Namespace) -> None:
    runs = OnlineRuns(
        chosen.data, chosen.runs, chosen.steps, chosen.seed, device=chosen.device, precision=chosen.precision,
        pack=chosen.pack, workers=chosen.workers,
    )  # fmt: skip
    for name in chosen.rows or ONLINE_ROWS:
        print(f"{name}: {runs.train(name)}", flush=True)


def _kept(out: Path) -> dict[str, Any]:
    """What is there already, to be added to."""
    try:
        document: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    except FileNotFoundError:
        document = {"rows": [], "lengths": []}
    return {
        **document,
        "tool": f"avis-cli {__version__}, torch {torch.__version__}",
        "machine": f"{platform.machine()}, one thread",
    }


def _keep(out: Path, document: dict[str, Any], part: str, row: dict[str, Any]) -> None:
    """``row`` in the place of the one of its name and group, or at the end."""
    key = {"name": row["name"], "group": row["group"]}
    others = [one for one in document[part] if {name: one[name] for name in key} != key]
    document[part] = [*others, row]
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(row["group"], row["name"], row["scores"], file=sys.stderr, flush=True)


def _score(chosen: argparse.Namespace) -> None:
    register()
    source = FolderSource(read_training_split(chosen.data, chosen.split))
    document = _kept(chosen.out) | {"clips": len(source)}
    model = load_model(chosen.model)

    for name, found in score(model, source, list(USES)).items():
        entry = {"name": name, "group": "bundled", "weights": model.weights_sha256, **found.row}
        _keep(chosen.out, document, "rows", entry)
    usual = {"name": "first frame counted", "group": "bundled", "weights": model.weights_sha256}
    _keep(chosen.out, document, "rows", usual | {"scores": first_frame_counted(model, source)})
    full = None
    for name in ONLINE_ROWS if chosen.runs is not None else ():
        weights = weights_of(chosen.runs, name)
        if not weights.exists():
            print(f"{name}: no {weights}", file=sys.stderr)
            continue
        scored = score(load_model(str(weights)), source, list(USES) if name == "full" else ["full"])
        record = json.loads((weights.parent / "run.json").read_text(encoding="utf-8"))
        about = {"group": "short", "weights": sha256_of(weights)} | {key: record[key] for key in ("steps", "minutes")}
        if name == "full":
            full = scored["full"].draws
        elif full is not None:
            scored["full"].row["differences"] = intervals(scored["full"].draws - full)
        for use, found in scored.items():
            _keep(chosen.out, document, "rows", {"name": name if use == "full" else use, **about, **found.row})


def _lengths(chosen: argparse.Namespace) -> None:
    document = _kept(chosen.out)
    online, offline = load_model(chosen.model), load_model(chosen.offline)
    for data in chosen.data:
        source = FolderSource(read_training_split(data, chosen.split))
        frames = source.length(0)
        about = {"clips": len(source), "frames": frames}
        row = score(online, source, ["full"])["full"].row
        _keep(chosen.out, document, "lengths", {"name": f"{frames} frames", "group": online.name, **about, **row})
        for window in (None, *(w for w in chosen.windows if w < frames)):
            scores = numbers(*offline_tracks(offline, source, window))
            name = f"{frames} frames" if window is None else f"{frames} frames, windows of {window}"
            _keep(chosen.out, document, "lengths", {"name": name, "group": offline.name, **about, "scores": scores})


def table(document: dict[str, Any]) -> str:
    """Markdown: a table for each group of rows, and one of lengths."""
    parts = []
    for part in ("rows", "lengths"):
        for group in dict.fromkeys(row["group"] for row in document[part]):
            heads = [group, "FSLA", "95 % interval", "difference", *COLUMNS[1:]]
            lines = ["| " + " | ".join(heads) + " |", "|---|" + "---:|" * (len(heads) - 1)]
            lines += [_line(row) for row in document[part] if row["group"] == group]
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _line(row: dict[str, Any]) -> str:
    def ends(values: list[float] | None, sign: str = "") -> str:
        return "" if values is None else f"{values[0]:{sign}.1f} to {values[1]:{sign}.1f}"

    scores = row["scores"]
    rest = ["-" if scores[name] is None else f"{scores[name]:.1f}" for name in COLUMNS]
    cells = [
        row["name"], rest[0], ends(row.get("intervals", {}).get("FSLA")),
        ends(row.get("differences", {}).get("FSLA"), "+"), *rest[1:],
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _table(chosen: argparse.Namespace) -> None:
    sys.stdout.write(table(json.loads(chosen.out.read_text(encoding="utf-8"))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    training = commands.add_parser("train", help="train the rows")
    training.add_argument("data", type=Path)
    training.add_argument("runs", type=Path)
    training.add_argument("rows", nargs="*", choices=[*ONLINE_ROWS, []], metavar="ROW", help=", ".join(ONLINE_ROWS))
    training.add_argument("--steps", type=int, default=850, help="of each row, 8 clips each (%(default)s)")
    training.add_argument("--seed", type=int, default=0)
    training.add_argument("--device", default="cpu", help="cpu or cuda (%(default)s)")
    training.add_argument("--precision", default="auto", help="auto, fp32 or bf16 (%(default)s)")
    training.add_argument("--no-pack", dest="pack", action="store_false", help="read the clips' files at every step")
    training.add_argument("--workers", type=int, default=0, help="threads that make batches ahead (%(default)s)")
    training.set_defaults(run=_train)
    scoring = commands.add_parser("score", help="score the bundled weights in every use, and the trained rows")
    scoring.add_argument("data", type=Path)
    scoring.add_argument("--runs", type=Path)
    scoring.set_defaults(run=_score)
    lengths = commands.add_parser("lengths", help="score both networks on splits of other lengths")
    lengths.add_argument("data", type=Path, nargs="+")
    lengths.add_argument("--offline", default="avism-tiny")
    lengths.add_argument(
        "--windows", type=int, nargs="*", default=[30], metavar="N", help="also of the offline network (%(default)s)"
    )
    lengths.set_defaults(run=_lengths)
    printing = commands.add_parser("table", help="print the tables")
    printing.set_defaults(run=_table)
    for command in (scoring, lengths):
        command.add_argument("--model", default="seavis-tiny")
        command.add_argument("--split", default="test")
    for command in (scoring, lengths, printing):
        command.add_argument("--out", type=Path, default=RESULTS, metavar="JSON")
    chosen = parser.parse_args()
    torch.set_num_threads(1)  # the network is small: more threads only wait for each other
    chosen.run(chosen)


if __name__ == "__main__":
    main()
