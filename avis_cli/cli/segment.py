"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from avis_cli.cli import console
from avis_cli.cli.batch import RESULTS, Batch, Settings
from avis_cli.cli.console import Debug, Quiet
from avis_cli.errors import AvisError, UsageError

SOME_FAILED = 3  # exit code where some inputs of several failed


def segment(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Video files, and folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results go.")] = Path("avis_out"),
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|PATH", help="A model's name, a weights file or hf://OWNER/REPO[@REVISION]/FILE."),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto (fp32), fp32, bf16 or fp16.")] = "auto",
    fps: Annotated[
        str | None, typer.Option(metavar="RATE", help="Token frames per second [default: the model's own].")
    ] = None,
    mask_fps: Annotated[
        str | None,
        typer.Option(metavar="RATE|video", help="Mask frames per second, video: every frame [default: the model's]."),
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Begin here: seconds or HH:MM:SS.s.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Stop here: seconds or HH:MM:SS.s.")] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Score that a track must exceed.")] = 0.3,
    max_tracks: Annotated[int | None, typer.Option(min=1, help="Keep the best N tracks.")] = None,
    audio_track: Annotated[
        str | None, typer.Option(metavar="N|LANG", help="Which sound track, from 0, or its language.")
    ] = None,
    allow_silent: Annotated[
        bool, typer.Option("--allow-silent", help="Run a video without sound as if it were silent.")
    ] = False,
    mute: Annotated[
        bool, typer.Option("--mute", help="Silence in place of the sound: what the picture alone gives.")
    ] = False,
    gate: Annotated[
        bool | None,
        typer.Option("--gate/--no-gate", help="No mask where the object is not heard [default: the model's own]."),
    ] = None,
    only: Annotated[str, typer.Option(metavar="LIST", help="Which results to write.")] = ",".join(RESULTS),
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders below a folder too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Keep results made with the same settings, weights and input.")
    ] = False,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="Refuse pictures with more pixels.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network for weights.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per input on stdout, not a path.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the objects that sound in each video; write an overlay, masks and tracks to DIR/<file name>/."""
    from avis_cli.cli.inputs import collect

    settings = Settings(
        fps, mask_fps, start, end, threshold, max_tracks, audio_track, allow_silent, mute, gate, max_pixels, precision,
        _results(only),
    )  # fmt: skip
    batch = Batch(settings, model, device, offline=offline, overwrite=overwrite, skip_existing=skip_existing)
    jobs = collect(inputs, output, recursive=recursive)
    failures = 0
    for job in jobs:
        try:
            summary = batch.run(job)
        except AvisError as error:
            if len(jobs) == 1:
                raise
            failures += 1
            console.error(str(error))
            continue
        console.result(summary if as_json else str(job.target))
    if failures:
        raise typer.Exit(SOME_FAILED if failures < len(jobs) else 1)


def _results(only: str) -> tuple[str, ...]:
    wanted = [name.strip() for name in only.split(",")]
    for name in wanted:
        if name not in RESULTS:
            raise UsageError(f"--only {name!r}, expected a list of {', '.join(RESULTS)}")
    return tuple(name for name in RESULTS if name in wanted)
