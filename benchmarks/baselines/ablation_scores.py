"""Every row of the ablation table, scored on one split with intervals over clips -> a document to keep as JSON."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from avis_cli.datasets.aviseg import read_training_split
from avis_cli.evaluate.instances.scores import evaluate_dataset
from avis_cli.files.checksum import sha256_of
from avis_cli.inference.loading import load_model
from avis_cli.models.training import AudioAblation
from avis_cli.train.clips import ClipSource, FolderSource
from avis_cli.train.initial_weights import NAME
from avis_cli.train.validate import Validation, as_listed, share_suppressed
from avis_cli.version import __version__
from baselines.bootstrap import METRICS, Samples, interval, resampled
from baselines.linking import linked_by_appearance
from baselines.trained_rows import TRAINED_ROWS
from baselines.variants import VARIANTS, Found, Variant, find

DRAWS = 1000  # of the bootstrap
SEED = 0  # of its draws: the same clips for all rows
TOUCHED = 0.1  # share of a silent object from which a mask counts as on it, in the strict count

DEAF = AudioAblation(localizer=False, tracker=False)
TRACKER_ONLY = AudioAblation(localizer=False)


@dataclass(frozen=True)
class Row:
    """``group``: ``bundled`` weights, or those of the ``short`` budget; ``trained``: the folder of the latter;
    ``against``: name of the row of the same group that it is subtracted from, None for the one that others are."""

    name: str
    group: str
    variant: Variant
    trained: str | None = None
    against: str | None = None


def _heard(group: str, trained: str | None, full: str) -> Iterator[Row]:
    """The rows that need no training of their own."""
    yield Row(full, group, VARIANTS["full"], trained)
    yield Row("muted", group, VARIANTS["muted"], trained, full)
    yield Row("another clip's sound", group, VARIANTS["another clip's sound"], trained, full)
    yield Row("gate off", group, VARIANTS["gate off"], trained, full)
    yield Row("tracker off: frame level, tokens matched", group, VARIANTS["tracker off"], trained, full)
    yield Row("frame level + SORT", group, VARIANTS["SORT"], trained, full)


def _rows() -> Iterator[Row]:
    yield from _heard("bundled", None, "full model")
    yield from _heard("short", "full-0", "full model, seed 0")
    for seed in (1, 2):
        yield Row(f"full model, seed {seed}", "short", VARIANTS["full"], f"full-{seed}")
    fusion = "no cross-modal fusion: sound in the tracker only"
    yield Row(fusion, "short", Variant(TRACKER_ONLY), "no-fusion-0", "full model, seed 0")
    for seed in (0, 1, 2):
        yield Row(f"audio off, seed {seed}", "short", Variant(DEAF), f"no-audio-{seed}", f"full model, seed {seed}")
    vision = Variant(DEAF, linker=linked_by_appearance)
    yield Row("vision only, frame level, tokens matched", "short", vision, "no-audio-0", "full model, seed 0")


ROWS = tuple(_rows())


def score_rows(
    data: Path, split: str, runs: Path, full: Path, kept: Callable[[dict[str, Any]], None], draws: int = DRAWS
) -> None:
    """Score every row whose weights are there; ``kept`` is called with the whole document after each of them.

    ``runs``: folder of the trained rows; ``full``: the bundled weights.
    """
    source: ClipSource = FolderSource(read_training_split(data, split))
    document: dict[str, Any] = {
        "tool": f"avis-cli {__version__}, torch {torch.__version__}",
        "machine": f"{platform.machine()}, one thread",
        "clips": len(source),
        "bootstrap": f"{DRAWS} draws of as many clips, 95 % intervals",
        "rows": [],
    }
    samples: dict[str, Samples] = {}
    for row in ROWS:
        weights = full if row.trained is None else runs / row.trained / NAME
        if not weights.exists():
            print(f"{row.name}: no {weights}", file=sys.stderr)
            continue
        found = find(load_model(str(weights)), source, row.variant)
        evaluation = evaluate_dataset(as_listed(found.dataset))
        drawn = samples[f"{row.group} {row.name}"] = resampled(evaluation.videos, evaluation.categories, draws, SEED)
        entry: dict[str, Any] = {"name": row.name, "group": row.group, "weights": sha256_of(weights)}
        entry |= {} if row.trained is None else _training(runs / row.trained, row.trained)
        entry |= {"gate": found.gate, "scores": _numbers(found), "intervals": _intervals(drawn)}
        if row.against is not None:
            entry["against"] = row.against
            entry["differences"] = _intervals(drawn - samples[f"{row.group} {row.against}"])
        document["rows"].append(entry)
        kept(document)
        print(row.group, row.name, entry["scores"], file=sys.stderr, flush=True)


def _training(run: Path, name: str) -> dict[str, Any]:
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return {"steps": record["steps"], "minutes": record["minutes"], "seed": TRAINED_ROWS[name].seed}


def _intervals(samples: Samples) -> dict[str, tuple[float, float]]:
    return {metric: interval(samples[:, column]) for column, metric in enumerate(METRICS)}


def _numbers(found: Found) -> dict[str, float | None]:
    """The scores of a row, percent."""
    validation: Validation = found.validation()
    corrected = validation.scores["corrected"]
    untouched = share_suppressed(found.dataset, found.silent, of_object=TOUCHED)
    return {
        **{name: corrected[name] for name in ("FSLA", "FSLA_none", "FSLA_single", "FSLA_multi", "HOTA", "mAP")},
        "twins": validation.twins,
        "suppressed": validation.suppressed,
        "untouched": None if untouched is None else 100.0 * untouched,
        **{f"{name} released": validation.scores[name] for name in ("FSLA", "HOTA", "mAP")},
    }
