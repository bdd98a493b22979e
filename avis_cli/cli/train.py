"""``avis train``: data in AVISeg's layout -> the weights of a network."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from avis_cli.batch.model_choice import place, require_devices
from avis_cli.cli import completion, console
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import AnnotationError
from avis_cli.options import NETWORK, WRITTEN

_PARTS = ("audio", "fusion")
DATA, LENGTH, RECIPE = "The data", "How long", "The recipe"  # headings of the help


class TrainPrecision(str, Enum):
    """What a step is computed in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


@examples(
    ("A small network, from scratch", "avis train --data clips --preset avism-tiny --out run --minutes 30"),
    ("Go on after a stop", "avis train --data clips --out run --minutes 30 --resume"),
    ("Adapt a released network to data of your own", "avis train --data mine --out run --steps 2000 \\"),
    ("", "  --preset avism-r50-coco --init avism-r50-coco"),
)
def train(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="DIR",
            help="Folder with SPLIT.json and SPLIT/, as avis synth writes it.",
            rich_help_panel=DATA,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="RUN", help="Folder of the run: weights, log, checkpoint.", rich_help_panel=WRITTEN
        ),
    ],
    preset: Annotated[
        str,
        typer.Option(
            "--preset",
            metavar="NAME",
            help="The network's preset.",
            rich_help_panel=NETWORK,
            autocompletion=completion.presets,
        ),
    ] = "avism-tiny",
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="WEIGHTS",
            help="Start from a model's name or weights file, without pre-training.",
            rich_help_panel=NETWORK,
            autocompletion=completion.models,
        ),
    ] = None,
    vggish: Annotated[
        Path | None,
        typer.Option(
            "--vggish",
            metavar="FILE",
            help="VGGish weights, for presets that hear through it.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the run in RUN from its last checkpoint.", rich_help_panel=LENGTH),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, metavar="N", help="How long to train: a number of steps.", rich_help_panel=LENGTH
        ),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", metavar="M", help="How long to train: minutes.", rich_help_panel=LENGTH)
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Split to train on.", rich_help_panel=DATA)
    ] = "train",
    val_split: Annotated[
        str | None,
        typer.Option(
            "--val-split",
            metavar="NAME",
            help="Split to validate on [default: val, if the data has it].",
            rich_help_panel=DATA,
        ),
    ] = None,
    without: Annotated[
        str | None,
        typer.Option(
            "--without",
            metavar="PART",
            help=f"Train an ablation that goes without a part: {', '.join(_PARTS)}.",
            rich_help_panel=NETWORK,
            autocompletion=completion.words(*_PARTS),
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            metavar="N",
            help="Clips of five token frames in a step, per process [default: the recipe's].",
            rich_help_panel=RECIPE,
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", metavar="NUMBER", help="Highest learning rate [default: the recipe's].", rich_help_panel=RECIPE
        ),
    ] = None,
    seed: Annotated[
        int,
        typer.Option(
            "--seed",
            min=0,
            max=(1 << 63) - 1,
            metavar="N",
            help="The same seed gives the same run.",
            rich_help_panel=RECIPE,
        ),
    ] = 0,
    device: Annotated[
        str,
        typer.Option(
            "--device",
            metavar="DEVICE",
            help="auto, cpu, cuda, cuda:N or mps.",
            autocompletion=completion.words("auto", "cpu", "cuda", "mps"),
        ),
    ] = "auto",
    precision: Annotated[
        TrainPrecision,
        typer.Option(
            "--precision", help="auto, fp32 or bf16; auto: bf16 on CUDA, in convolutions only on a CPU that has it."
        ),
    ] = TrainPrecision.auto,
    pack: Annotated[
        bool,
        typer.Option(
            "--pack/--no-pack",
            help="Pack the clips into RUN/cache first; without, files are read as needed.",
            rich_help_panel=DATA,
        ),
    ] = True,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Threads that make batches ahead; 0: none.")] = 0,
    log_every: Annotated[
        int, typer.Option("--log-every", min=1, help="Steps between lines of the log.", rich_help_panel=WRITTEN)
    ] = 20,
    checkpoint_every: Annotated[
        int, typer.Option("--checkpoint-every", min=1, help="Steps between checkpoints.", rich_help_panel=WRITTEN)
    ] = 200,
    validate_every: Annotated[
        int,
        typer.Option(
            "--validate-every",
            min=0,
            help="Steps between validations on a few clips; 0: none.",
            rich_help_panel=WRITTEN,
        ),
    ] = 500,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a network, from scratch or from given weights; RUN/model.safetensors is usable as --model.

    Several GPUs: torchrun --nproc-per-node N -m avis_cli train ...
    """
    from avis_cli.train.run import train
    from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe

    require_devices((device,))
    if val_split is not None:
        _require_split(data, val_split)
    request = TrainRequest(
        data=data,
        preset=preset,
        out=out,
        recipe=chosen_recipe(preset, without=without, clips=batch, rate=rate, given=init is not None),
        budget=Budget(steps, minutes),
        init=init,
        vggish=vggish,
        resume=resume,
        split=split,
        val_split=val_split or "val",
        seed=seed,
        device=place(device, console.warn),
        precision=precision.value,
        pack=pack,
        workers=workers,
        pace=Pace(log_every, checkpoint_every, validate_every),
    )
    with progress_bar() as progress:
        weights = train(request, on_progress=progress, on_note=console.note)
    console.result(str(weights))


def _require_split(data: Path, split: str) -> None:
    """Raise AnnotationError if a split that was asked for is not there."""
    from avis_cli.datasets.aviseg import find_split
    from avis_cli.train.sources import annotations_of, has_split

    if len(annotations_of(data, split)) == 1:  # one list for all splits
        if not has_split(data, split):
            raise AnnotationError(
                f"no clip of the split {split!r}", hint="--val-split names a split of --data", file=data
            )
        return
    truth = find_split(data, split, "--val-split").truth
    if not truth.exists():
        raise AnnotationError("no such annotations", hint="--val-split names a split of --data", file=truth)
