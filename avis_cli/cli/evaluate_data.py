"""``avis evaluate --data``: the options that say what to run over a dataset, and the run itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.batch import model_choice
from avis_cli.cli import console
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.options import SegmentOptions

if TYPE_CHECKING:
    from avis_cli.hub import ResolvedWeights

Data = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Run a model over a dataset first: DIR/SPLIT.json, DIR/SPLIT/JPEGImages/VIDEO/*.jpg and "
        "DIR/SPLIT/WAVAudios/VIDEO.wav (or FEATAudios/VIDEO.npy). Its results list goes to --pred "
        "[default: avis_out/DATASET-SPLIT-MODEL/results.json].",
    ),
]
Split = Annotated[str, typer.Option(metavar="NAME", help="Which split of --data.")]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="For --data: a model's name, a weights file or hf://OWNER/REPO[@REVISION]/FILE.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
NullEmpty = Annotated[
    bool,
    typer.Option(
        "--null-empty",
        help="Where a track has no mask, write null; without, an all-zero mask as the released program does, "
        "which the released meaning of the scores takes for a detection.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the network for weights.")]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Make the results of --data anew, whatever is there already.")
]


@dataclass(frozen=True)
class DataRun:
    """A model over a split of a dataset: the options of the same names."""

    data: Path
    split: str
    model: str | None
    device: str
    options: SegmentOptions
    null_empty: bool
    offline: bool
    overwrite: bool
    max_bytes: int | None

    def truth(self) -> Path:
        """The annotations. Raises UsageError if there can be none."""
        from avis_cli.datasets.aviseg import find_split

        return find_split(self.data, self.split).truth

    def results(self, wanted: Path | None) -> Path:
        """Where the results list goes. Raises WeightsError if there is no such model."""
        if wanted is not None:
            return wanted
        parts = (self.data.resolve().name, self.split, Path(self._weights.name).stem)
        return Path("avis_out") / "-".join(re.sub(r"[^\w.-]+", "_", part) for part in parts) / "results.json"

    def predict(self, results: Path) -> None:
        """Run the model, or what is left of an earlier run."""
        from avis_cli.batch.dataset_run import DatasetOptions, run_dataset
        from avis_cli.files.json_file import DEFAULT_MAX_BYTES

        given = self.options
        model = model_choice.load(self._weights, self.device, given.precision, console.warn)
        options = DatasetOptions(
            given.threshold, given.gate, given.mute, self.null_empty, self.overwrite,
            self.max_bytes or DEFAULT_MAX_BYTES,
        )  # fmt: skip
        with progress_bar() as progress:
            run_dataset(model, self.data, self.split, results, options, progress, console.note)
        console.note(f"predictions in {results}")

    @cached_property
    def _weights(self) -> ResolvedWeights:
        with progress_bar() as progress:
            return model_choice.find_weights(self.model, offline=self.offline, note=console.note, progress=progress)
