"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.cli import console
from avis_cli.cli.batch import RESULTS, Batch, Settings
from avis_cli.cli.console import Debug, Quiet
from avis_cli.errors import AvisError, UsageError, WeightsError

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Found

SOME_FAILED = 3  # exit code where some inputs of several failed


class Precision(str, Enum):
    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


ModelName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="A model that `avis weights list` names, a weights file, or hf://OWNER/REPO[@REVISION]/FILE "
        "[default: the model named by AVIS_MODEL, else the bundled one].",
    ),
]
TokenRate = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        help="Frames per second to listen and look at, such as 1 or 30000/1001 [default: the model's].",
    ),
]
MaskRate = Annotated[
    str | None,
    typer.Option(metavar="RATE|video", help="Masks per second; video: one for every frame [default: the model's]."),
]
Start = Annotated[
    str | None, typer.Option(metavar="TIME", help="Begin there: seconds (12.5) or HH:MM:SS.s (0:00:12.5).")
]
Threshold = Annotated[
    float, typer.Option(min=0, max=1, help="Keep tracks that score above this; lower finds more, wrong ones too.")
]
MaxTracks = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Keep the N best tracks at most [default: all].")
]
AudioTrack = Annotated[
    str | None,
    typer.Option(
        metavar="N|LANG",
        help="Which sound track to hear, counted from 0, or its language (eng) [default: the file's own choice].",
    ),
]
AllowSilent = Annotated[
    bool, typer.Option("--allow-silent", help="Take videos that have no sound, as if they were silent.")
]
Mute = Annotated[
    bool, typer.Option("--mute", help="Put silence in place of the sound: shows what the picture alone gives.")
]
Gate = Annotated[
    bool | None,
    typer.Option("--gate/--no-gate", help="No masks while an object is not heard [default: the model's]."),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Skip inputs whose results are complete, with these settings and weights."),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Refuse pictures of more than N pixels [default: 67108864, 8192x8192]."),
]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Take videos from all folders below a folder too.")]
Strict = Annotated[bool, typer.Option("--strict", help="Fail where a frame cannot be decoded, instead of skipping it.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON for each input in place of its results' folder.")
]


def segment(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Video files, and folders whose videos to take.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Results of each input go to DIR/<file name>/.")
    ] = Path("avis_out"),
    model: ModelName = None,
    device: Annotated[
        str, typer.Option(metavar="DEVICE", help="auto, cpu, cuda, cuda:N or mps; auto: a GPU if there is one.")
    ] = "auto",
    precision: Annotated[
        Precision, typer.Option(help="Numbers to compute with; auto: fp32, as published.")
    ] = Precision.auto,
    fps: TokenRate = None,
    mask_fps: MaskRate = None,
    start: Start = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Stop there, written as for --start.")] = None,
    threshold: Threshold = 0.3,
    max_tracks: MaxTracks = None,
    audio_track: AudioTrack = None,
    allow_silent: AllowSilent = False,
    mute: Mute = False,
    gate: Gate = None,
    strict: Strict = False,
    only: Annotated[str, typer.Option(metavar="LIST", help="Which results to write, separated by commas.")] = ",".join(
        RESULTS
    ),
    recursive: Recursive = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")] = False,
    skip_existing: SkipExisting = False,
    max_pixels: MaxPixels = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network, not even to get weights.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the objects that sound in each video; write an overlay, masks and tracks to DIR/<file name>/."""
    from avis_cli.cli.inputs import collect

    settings = Settings(
        fps, mask_fps, start, end, threshold, max_tracks, audio_track, allow_silent, mute, gate, strict,
        max_pixels, precision.value, _results(only),
    )  # fmt: skip
    batch = Batch(settings, model, device, offline=offline, overwrite=overwrite, skip_existing=skip_existing)
    _run(batch, collect(inputs, output, recursive=recursive, note=console.note), as_json)


def _run(batch: Batch, found: Found, as_json: bool) -> None:
    """Every job, whatever becomes of the others; what concerns them all, or a single one, is raised."""
    total = len(found.jobs) + len(found.refused)
    failures = 0
    for refusal in found.refused:
        if total == 1:
            raise refusal
        failures += 1
        console.report(refusal)
    for job in found.jobs:
        try:
            summary = batch.run(job)
        except BrokenPipeError:
            raise
        except Exception as error:
            if isinstance(error, AvisError) and (total == 1 or _concerns_all(error)):
                raise
            failures += 1
            console.report(error, job.source)
            continue
        console.result(summary if as_json else str(job.target))
    if failures:
        raise typer.Exit(SOME_FAILED if failures < total else 1)


def _concerns_all(error: AvisError) -> bool:
    """Whether every other input would meet the same: the model, or a setting, is at fault."""
    return isinstance(error, WeightsError) or (isinstance(error, UsageError) and error.file is None)


def _results(only: str) -> tuple[str, ...]:
    wanted = [name.strip() for name in only.split(",")]
    for name in wanted:
        if name not in RESULTS:
            raise UsageError(f"--only {name!r}, expected a list of {', '.join(RESULTS)}")
    return tuple(name for name in RESULTS if name in wanted)
