"""The networks of the ablation table: all trained from the same initial maps, with the same steps and batches.

The maps are what the bundled model sees with: its backbone and pixel decoder. Everything that hears, recognises, tracks
and draws starts from chance, drawn from the row's seed, so that what a row lacks it cannot have from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from avis_cli.files.atomic import output_file
from avis_cli.inference.loading import load_model
from avis_cli.models import find_preset
from avis_cli.progress import Progress, silent
from avis_cli.train.initial_weights import NAME, Start, save_model
from avis_cli.train.run import train
from avis_cli.train.run_state import CHECKPOINT
from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe

PRESET = "avism-tiny"
SEES = ("backbone.", "pixel_decoder.")
"""What the parameters of the initial maps are called."""


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


def initial_weights(runs: Path, seed: int) -> Path:
    """The file that the rows of a seed start from."""
    return runs / f"start-{seed}.safetensors"


def write_initial_weights(full: Path, runs: Path, seed: int) -> Path:
    """Make it, of the weights file ``full``, unless it is there."""
    path = initial_weights(runs, seed)
    if not path.exists():
        seeing = load_model(str(full))
        preset = find_preset(PRESET)
        preset = replace(preset, config=replace(preset.config, categories=seeing.config.categories))
        torch.manual_seed(seed)
        network = preset.system.build(preset.config)
        maps = {name: value for name, value in seeing.network.state_dict().items() if name.startswith(SEES)}
        preset.system.load(network, {**network.state_dict(), **maps})
        runs.mkdir(parents=True, exist_ok=True)
        with output_file(path, overwrite=True, remedy="choose another folder") as part:
            save_model(
                part, Start(preset, network, None), network, constants={}, source=f"maps of {full.name}", half=False
            )
    return path


def row_request(shared: Runs, name: str) -> TrainRequest:
    """The training of one row."""
    row, out = TRAINED_ROWS[name], shared.runs / name
    recipe = chosen_recipe(PRESET, without=row.without, given=True)
    return TrainRequest(
        shared.data, PRESET, out, recipe, Budget(shared.steps), init=str(initial_weights(shared.runs, row.seed)),
        seed=row.seed, device=shared.device, precision=shared.precision, pack=shared.pack, workers=shared.workers,
        resume=(out / CHECKPOINT).exists(), pace=Pace(checkpoint=50),
    )  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """What all rows share. ``data``: folder with the clips; ``runs``: where their folders lie; ``full``: the bundled
    weights; ``steps`` of each; ``device``, ``precision``, ``pack`` and ``workers`` as in a `TrainRequest`."""

    data: Path
    runs: Path
    full: Path
    steps: int
    device: str = "cpu"
    precision: str = "auto"
    pack: bool = True
    workers: int = 0

    def train(self, name: str, on_progress: Progress = silent, on_note: Callable[[str], None] = print) -> Path:
        """Train a row of ``TRAINED_ROWS`` unless its weights are there; a stopped training goes on where it was.

        Clips are packed once for all rows. Returns the weights file.
        """
        weights = self.runs / name / NAME
        if not weights.exists():
            write_initial_weights(self.full, self.runs, TRAINED_ROWS[name].seed)
            if self.pack:
                self._share_packed_clips(name)
            train(row_request(self, name), on_progress=on_progress, on_note=on_note)
        return weights

    def _share_packed_clips(self, name: str) -> None:
        cache, link = self.runs / "cache", self.runs / name / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(cache.resolve(), target_is_directory=True)
