"""``avis evaluate --data``: the options that say what to run over a dataset, and the run itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.batch import model_choice
from avis_cli.cli import completion, console
from avis_cli.cli.cluster import ClusterChoice
from avis_cli.cli.parameters import flag, flag_given
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import UsageError
from avis_cli.options import SegmentOptions, declarations

if TYPE_CHECKING:
    from avis_cli.batch.dataset_run import DatasetOptions, Elsewhere
    from avis_cli.batch.worker import Worker
    from avis_cli.cli.evaluate_maps import MapPresentation, MapTask
    from avis_cli.hub import ResolvedWeights

# headings of the help
FILES, MODEL, OUTCOME = "What is scored", "A model over a dataset", "The scores"

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Run a model over a dataset first: DIR/SPLIT.json, DIR/SPLIT/JPEGImages/VIDEO/*.jpg and "
        "DIR/SPLIT/WAVAudios/VIDEO.wav (or FEATAudios/VIDEO.npy). Its results list goes to --pred "
        "[default: avis_out/DATASET-SPLIT-MODEL/results.json].",
        rich_help_panel=MODEL,
    ),
]
Split = Annotated[str, typer.Option("--split", metavar="NAME", help="Which split of --data.", rich_help_panel=MODEL)]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="For --data: a model's name, a weights file or hf://OWNER/REPO[@REVISION]/FILE.",
        rich_help_panel=MODEL,
        autocompletion=completion.models,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps.",
        rich_help_panel=MODEL,
        autocompletion=completion.words("auto", "cpu", "cuda", "mps"),
    ),
]
NullEmpty = Annotated[
    bool,
    typer.Option(
        "--null-empty",
        help="Where a track has no mask, write null; without, an all-zero mask as the released program does, "
        "which the released meaning of the scores takes for a detection.",
        rich_help_panel=MODEL,
    ),
]
OtherSounds = Annotated[
    bool,
    typer.Option(
        "--other-sounds",
        help="Also tell what a model of class maps draws with silence, with noise and with the sound of another clip "
        "in the place of a clip's own.",
        rich_help_panel=MODEL,
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Never ask the network for weights.", rich_help_panel=MODEL)]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite", help="Make the results of --data anew, whatever is there already.", rich_help_panel=MODEL
    ),
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
    other_sounds: bool = False
    cluster: ClusterChoice = field(default_factory=lambda: ClusterChoice(None))

    def given(self) -> Iterator[str]:
        """The flags of the options that differ from their defaults, but for the data itself."""
        usual = DataRun(self.data, "test", None, "auto", SegmentOptions(), False, False, False, self.max_bytes)
        for name, _, _ in declarations():
            if getattr(self.options, name) != getattr(usual.options, name):
                yield flag_given(name, getattr(self.options, name))
        for name in ("split", "model", "device", "null_empty", "offline", "overwrite", "other_sounds"):
            if getattr(self, name) != getattr(usual, name):
                yield flag(name)
        yield from self.cluster.given()

    def check(self) -> None:
        """Raise UsageError if the device is not on this machine, or a cluster cannot be what it is asked for."""
        self.cluster.check(self.device, None)
        if not self.cluster:
            model_choice.require_devices((self.device,))

    def is_semantic(self) -> bool:
        """Whether the model makes class maps; False where there is nothing to run it on."""
        from avis_cli.train.sources import annotations_of

        # AVISeg's layout is one that any model can be run on
        any_model = len(annotations_of(self.data, self.split)) > 1
        if any_model and not self.truth().is_file():
            return False  # said by who reads it, before weights are looked for, which may be a download
        return model_choice.is_semantic(self._weights)

    def score_maps(self, presentation: MapPresentation, task: MapTask | None, batch_size: int | None) -> None:
        """Run a model of class maps and score it, as its data is if ``task`` is None. Raises UsageError for settings
        that it has no use for."""
        from avis_cli.cli.evaluate_maps import MapRun, score_model

        given = self.options
        if self.other_sounds and given.mute:
            raise UsageError("--mute and --other-sounds", hint="with --other-sounds it is one of them")
        for name in ("threshold", "gate", "refine"):
            if getattr(given, name) != getattr(SegmentOptions, name):
                raise UsageError(
                    f"{flag_given(name, getattr(given, name))} with {self._weights.name}, which makes class maps",
                    hint="leave it out, or take a model that tells objects apart",
                )
        for given_flag in self.cluster.given():
            raise UsageError(f"{given_flag} with {self._weights.name}, which makes class maps", hint="leave it out")
        for name in ("null_empty", "overwrite"):
            if getattr(self, name):
                raise UsageError(f"{flag(name)} with {self._weights.name}, which makes class maps", hint="leave it out")
        model = model_choice.load(self._weights, self.device, given.precision, console.warn)
        run = MapRun(self.data, self.split, task, batch_size, given.mute, self.other_sounds)
        score_model(model, run, presentation)

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
        device = "cpu" if self.cluster else self.device  # with a cluster only what the model is has to be known here
        model = model_choice.load(self._weights, device, given.precision, console.warn)
        options = DatasetOptions(
            given.threshold, given.gate, given.mute, self.null_empty, self.overwrite,
            self.max_bytes or DEFAULT_MAX_BYTES, given.refine,
        )  # fmt: skip
        elsewhere = self._elsewhere(options) if self.cluster else None
        with progress_bar() as progress:
            run_dataset(model, self.data, self.split, results, options, progress, console.note, elsewhere)
        console.note(f"predictions in {results}")

    def _elsewhere(self, options: DatasetOptions) -> Elsewhere:
        from avis_cli.batch.dataset_run import DatasetWorker, Elsewhere

        sha256, precision, data = self._weights.sha256, self.options.precision, (self.data, self.split)

        def make(device: str) -> Callable[[], Worker]:
            return partial(DatasetWorker, (self.model, sha256), device, precision, data, options, self.offline)

        device = "cuda" if self.device == "cuda" or self.cluster.gpus_per_worker else "cpu"
        return Elsewhere(self.cluster.clips(device, make), device)

    @cached_property
    def _weights(self) -> ResolvedWeights:
        with progress_bar() as progress:
            return model_choice.find_weights(self.model, offline=self.offline, note=console.note, progress=progress)
