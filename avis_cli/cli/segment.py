"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.cli import console
from avis_cli.cli.batch import Batch
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.parameters import takes_options
from avis_cli.cli.stoppable import stoppable
from avis_cli.options import SegmentOptions

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Found, Job
    from avis_cli.cli.run_record import RunRecord

SOME_FAILED = 3  # exit code where some inputs of several failed

ModelName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH",
        help="A model that `avis weights list` names, a weights file, or hf://OWNER/REPO[@REVISION]/FILE "
        "[default: the model named by AVIS_MODEL, else the bundled one].",
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option("--skip-existing", help="Skip inputs whose results are complete, with these settings and weights."),
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
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one line of JSON for each input in place of its results' folder.")
]


@takes_options()
def segment(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Video files, and folders whose videos to take.")
    ],
    *,
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
    options: SegmentOptions,
    recursive: Recursive = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that are there already.")] = False,
    skip_existing: SkipExisting = False,
    jobs: Jobs = None,
    shard: ShardOption = None,
    dry_run: DryRun = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network, not even to get weights.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the objects that sound in each video; write overlay, masks, tracks and report to DIR/<file name>/."""
    from avis_cli.cli.devices import parse_devices, require_devices
    from avis_cli.cli.inputs import collect
    from avis_cli.cli.shard import Shard

    devices = parse_devices(device)
    part = None if shard is None else Shard.parse(shard)
    batch = Batch(options, model, devices, offline=offline, overwrite=overwrite, skip_existing=skip_existing)
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

        record = RunRecord(output, work, options.understood(), part) if work else None
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
