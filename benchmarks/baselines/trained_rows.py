"""The networks of the ablation table: all trained from the same pre-trained maps, with the same steps and batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from avis_cli.progress import Progress, silent
from avis_cli.train.initial_weights import NAME, PRETRAINED
from avis_cli.train.run import train
from avis_cli.train.run_state import CHECKPOINT
from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe

PRESET = "avism-tiny"
MAPS = "maps"  # the folder of the pre-training
MAPS_STEPS = 1210  # as many as the bundled model had


@dataclass(frozen=True)
class TrainedRow:
    """``without``: the part that is left out, None for the full network."""

    without: str | None = None
    seed: int = 0


TRAINED_ROWS: dict[str, TrainedRow] = {
    "full-0": TrainedRow(),
    "no-audio-0": TrainedRow("audio"),
    "no-fusion-0": TrainedRow("fusion"),
    "full-1": TrainedRow(seed=1),
    "no-audio-1": TrainedRow("audio", 1),
    "full-2": TrainedRow(seed=2),
    "no-audio-2": TrainedRow("audio", 2),
}
"""By the name of their folder; the first ones matter most."""


def maps_request(data: Path, runs: Path, steps: int = MAPS_STEPS) -> TrainRequest:
    """The pre-training that all rows start from."""
    recipe = replace(chosen_recipe(PRESET), pretraining=1.0)
    return TrainRequest(
        data, PRESET, runs / MAPS, recipe, Budget(steps), seed=0, device="cpu",
        resume=(runs / MAPS / CHECKPOINT).exists(), pace=Pace(checkpoint=100),
    )  # fmt: skip


def row_request(data: Path, runs: Path, name: str, steps: int) -> TrainRequest:
    """The training of one row."""
    row, out = TRAINED_ROWS[name], runs / name
    recipe = chosen_recipe(PRESET, without=row.without, given=True)
    return TrainRequest(
        data, PRESET, out, recipe, Budget(steps), init=str(runs / MAPS / PRETRAINED), seed=row.seed, device="cpu",
        resume=(out / CHECKPOINT).exists(), pace=Pace(checkpoint=100),
    )  # fmt: skip


def train_row(
    data: Path,
    runs: Path,
    name: str,
    steps: int,
    on_progress: Progress = silent,
    on_note: Callable[[str], None] = print,
) -> Path:
    """Train ``name`` (``MAPS`` or one of ``TRAINED_ROWS``) unless its weights are there; a stopped training goes on.

    ``runs``: folder of all of them, whose packed clips they share. Returns the weights file.
    """
    weights = runs / name / (PRETRAINED if name == MAPS else NAME)
    if not weights.exists():
        _share_packed_clips(runs, name)
        request = maps_request(data, runs) if name == MAPS else row_request(data, runs, name, steps)
        train(request, on_progress=on_progress, on_note=on_note)
    return weights


def _share_packed_clips(runs: Path, name: str) -> None:
    cache, link = runs / MAPS / "cache", runs / name / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    if name != MAPS and not link.is_symlink():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(cache.resolve(), target_is_directory=True)
