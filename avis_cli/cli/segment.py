"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.cli import console
from avis_cli.cli.batch import Batch
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.draw_options import Alpha, Labels, NoStrip, PaletteName, Style, draw_style
from avis_cli.cli.settings import RESULTS, Settings
from avis_cli.cli.stoppable import stoppable
from avis_cli.errors import UsageError
from avis_cli.writers.style import DEFAULT_PALETTE, StyleName

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Found, Job
    from avis_cli.cli.run_record import RunRecord

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
Window = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N",
        help="Token frames tracked together; longer videos are tracked in overlapping windows "
        "[default: 240, fewer if memory is short].",
    ),
]  # fmt: skip
MaxGap = Annotated[
    float,
    typer.Option(
        min=0, metavar="SECONDS", help="What sounds again after longer than this, in another window, is a new object."
    ),
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
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=1, metavar="N",
        help="Inputs in the making at once: results are written while the network has the next input; "
        "1: one after another [default: 1 more than devices].",
    ),
]  # fmt: skip
ShardOption = Annotated[
    str | None, typer.Option("--shard", metavar="I/N", help="Do part I of N of the inputs, as one job of an array.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done with each input, and do nothing.")]
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
        str,
        typer.Option(
            metavar="DEVICE",
            help="auto, cpu, cuda, cuda:N or mps; auto: a GPU if there is one. "
            "A list (cuda:0,cuda:1) spreads the inputs over several.",
        ),
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
    window: Window = None,
    max_gap: MaxGap = 60.0,
    strict: Strict = False,
    only: Annotated[str, typer.Option(metavar="LIST", help="Which results to write, separated by commas.")] = ",".join(
        RESULTS
    ),
    style: Style = StyleName.fill,
    alpha: Alpha = None,
    labels: Labels = True,
    no_strip: NoStrip = False,
    palette: PaletteName = DEFAULT_PALETTE,
    recursive: Recursive = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")] = False,
    skip_existing: SkipExisting = False,
    jobs: Jobs = None,
    shard: ShardOption = None,
    dry_run: DryRun = False,
    max_pixels: MaxPixels = None,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network, not even to get weights.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the objects that sound in each video; write overlay, masks, tracks and report to DIR/<file name>/."""
    from avis_cli.cli.devices import parse_devices, require_devices
    from avis_cli.cli.inputs import collect
    from avis_cli.cli.shard import Shard

    settings = Settings(
        fps, mask_fps, start, end, threshold, max_tracks, audio_track, allow_silent, mute, gate, window,
        max_gap, strict, max_pixels, precision.value, _results(only),
        draw_style(style, alpha, labels, no_strip, palette),
    )  # fmt: skip
    devices = parse_devices(device)
    part = None if shard is None else Shard.parse(shard)
    batch = Batch(settings, model, devices, offline=offline, overwrite=overwrite, skip_existing=skip_existing)
    if not dry_run:
        require_devices(devices)
    found = collect(inputs, output, recursive=recursive, note=console.note)
    work = found.jobs if part is None else part.of(found.jobs)
    if len(work) + len(found.refused) == 1 and found.refused:
        raise found.refused[0]
    if dry_run:
        _end(_dry_run(batch, found, work, as_json), len(work) + len(found.refused))
    elif part is None and len(found.jobs) + len(found.refused) == 1 and not any(map(os.path.isdir, inputs)):
        stoppable(lambda: _one(batch, work[0], as_json))
    else:
        from avis_cli.cli.run_record import RunRecord

        record = RunRecord(output, work, settings.understood(), part) if work else None
        _several(batch, found, work, output, record, jobs or len(devices) + 1, as_json)


def _one(batch: Batch, job: Job, as_json: bool) -> None:
    """A file by itself: a bar for each phase, and its failure ends the command as it is."""
    from avis_cli.cli.tally import Tally

    tally = Tally(batch, as_json=as_json)
    with console.progress_bar() as progress:
        plan = batch.plan(job, progress)
    if plan.done:
        tally.skipped(plan)
        return
    folder = batch.folder(plan)
    with folder as part, console.progress_bar() as progress:
        result = batch.compute(plan, 0, progress)
        batch.write(plan, folder, part, result, progress)
    tally.done(plan, result)


def _several(
    batch: Batch, found: Found, work: list[Job], output: Path, record: RunRecord | None, jobs: int, as_json: bool
) -> None:
    """Every job, whatever becomes of the others; what concerns them all is raised."""
    from avis_cli.cli.crew import Crew
    from avis_cli.cli.run_bar import run_bar
    from avis_cli.cli.tally import Tally
    from avis_cli.files import partial

    tally = Tally(batch, as_json=as_json, record=record)
    made = {
        folder for parent in {job.target.parent for job in work} for folder in partial.missing_parents(parent / "x")
    }
    for refusal in found.refused:
        tally.refused(refusal)
    try:
        with run_bar(len(work)) as tally.bar:
            crew = Crew(batch, tally, jobs)
            stoppable(lambda: crew.run(work))
    finally:
        if record is not None and tally.total:
            record.write()
        # of two inputs at once neither knows whether the other still needs the folder
        partial.remove_empty(sorted(made, key=lambda folder: len(folder.parts), reverse=True))
    if "report" in batch.results:
        from avis_cli.cli.run_index import write_run_index

        write_run_index(output, found.jobs)
    for line in tally.summary():
        console.note(line)
    _end(tally.failures, tally.total)


def _dry_run(batch: Batch, found: Found, work: list[Job], as_json: bool) -> int:
    from avis_cli.cli.dry_run import dry_run

    for refusal in found.refused:
        console.report(refusal)
    return len(found.refused) + dry_run(batch, work, as_json=as_json)


def _end(failures: int, total: int) -> None:
    if failures:
        raise typer.Exit(SOME_FAILED if failures < total else 1)


def _results(only: str) -> tuple[str, ...]:
    wanted = [name.strip() for name in only.split(",")]
    for name in wanted:
        if name not in RESULTS:
            raise UsageError(f"--only {name!r}, expected a list of {', '.join(RESULTS)}")
    return tuple(name for name in RESULTS if name in wanted)
