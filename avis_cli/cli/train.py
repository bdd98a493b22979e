"""``avis train``: data in AVISeg's layout -> the weights of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avis_cli.batch.model_choice import place
from avis_cli.cli import console
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar

_PARTS = "audio, fusion"


def train(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder with SPLIT.json and SPLIT/, as avis synth writes it.")
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Folder of the run: weights, log, checkpoint.")],
    preset: Annotated[str, typer.Option(metavar="NAME", help="The network's preset.")] = "avism-tiny",
    init: Annotated[
        str | None,
        typer.Option(metavar="WEIGHTS", help="Start from a model's name or weights file, without pre-training."),
    ] = None,
    vggish: Annotated[
        Path | None, typer.Option(metavar="FILE", help="VGGish weights, for presets that hear through it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in RUN from its last checkpoint.")
    ] = False,
    steps: Annotated[int | None, typer.Option(metavar="N", help="How long to train: a number of steps.")] = None,
    minutes: Annotated[float | None, typer.Option(metavar="M", help="How long to train: minutes.")] = None,
    split: Annotated[str, typer.Option(help="Split to train on.")] = "train",
    val_split: Annotated[str, typer.Option(help="Split to validate on, if the data has it.")] = "val",
    without: Annotated[
        str | None, typer.Option(metavar="PART", help=f"Train an ablation that goes without a part: {_PARTS}.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Clips of five token frames in a step, per process.")] = None,
    rate: Annotated[float | None, typer.Option(help="Highest learning rate (default: the recipe's).")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto, fp32 or bf16; auto: bf16 on CUDA, in convolutions only on a CPU that has it.")
    ] = "auto",
    pack: Annotated[
        bool,
        typer.Option(
            "--pack/--no-pack", help="Pack the clips into RUN/cache first; without, files are read as needed."
        ),
    ] = True,
    workers: Annotated[int, typer.Option(min=0, help="Threads that make batches ahead; 0: none.")] = 0,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 20,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    validate_every: Annotated[
        int, typer.Option(min=0, help="Steps between validations on a few clips; 0: none.")
    ] = 500,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Train a network, from scratch or from given weights; RUN/model.safetensors is usable as --model.

    Several GPUs: torchrun --nproc-per-node N -m avis_cli train ...
    """
    from avis_cli.train.run import train
    from avis_cli.train.train_request import Budget, Pace, TrainRequest, chosen_recipe

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
        val_split=val_split,
        seed=seed,
        device=place(device, console.warn),
        precision=precision,
        pack=pack,
        workers=workers,
        pace=Pace(log_every, checkpoint_every, validate_every),
    )
    with progress_bar() as progress:
        weights = train(request, on_progress=progress, on_note=console.note)
    console.result(str(weights))
