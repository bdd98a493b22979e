"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.executors.threads import ThreadExecutor
from avis_cli.batch.inputs import Found, Shard, collect
from avis_cli.batch.job import Job, RunSettings, concerns_all
from avis_cli.batch.model_choice import parse_devices, require_devices
from avis_cli.batch.record import write_run_index
from avis_cli.batch.report import BatchReport
from avis_cli.batch.runner import BatchRunner
from avis_cli.batch.steps import JobSteps
from avis_cli.cli import console
from avis_cli.cli.batch_console import ConsoleEvents
from avis_cli.cli.cancellable import cancellable
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.parameters import takes_options
from avis_cli.errors import AvisError
from avis_cli.options import SegmentOptions

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
    devices = parse_devices(device)
    part = None if shard is None else Shard.parse(shard)
    settings = RunSettings(options, model, devices, offline, overwrite, skip_existing)
    if not dry_run:
        require_devices(devices)
    found = collect(inputs, output, recursive=recursive, note=console.note)
    work = found if part is None else Found(part.of(found.jobs), found.refused)
    if work.refused and len(work.jobs) + len(work.refused) == 1:
        raise work.refused[0]
    if dry_run:
        refusals = _dry_run(settings, work, as_json)
        _end(refusals, len(work.jobs) + len(work.refused))
    elif part is None and len(found.jobs) + len(found.refused) == 1 and not any(map(os.path.isdir, inputs)):
        _one(BatchRunner(settings, output), work.jobs[0], as_json)
    else:
        runner = BatchRunner(settings, output, executor=ThreadExecutor(jobs), shard=part)
        report = _several(runner, work, as_json)
        if "report" in options.only:
            write_run_index(output, found.jobs, console.warn)
        for line in report.summary():
            console.note(line)
        _end(report.failed, report.total)


def _one(runner: BatchRunner, job: Job, as_json: bool) -> None:
    """A file by itself: a bar for each phase, and its failure ends the command as it is."""
    with ConsoleEvents(as_json=as_json, many=False) as events:
        cancellable(lambda token: runner.run_one(job, events, token))


def _several(runner: BatchRunner, work: Found, as_json: bool) -> BatchReport:
    """Every job, whatever becomes of the others; what concerns them all is raised."""
    for refusal in work.refused:
        console.report(refusal)
    with ConsoleEvents(as_json=as_json, many=True) as events:
        return cancellable(lambda token: runner.run(work.jobs, events, token, refused=len(work.refused)))


def _dry_run(settings: RunSettings, work: Found, as_json: bool) -> int:
    """What a run would do, one line for each input, without leaving a trace; how many inputs would be refused."""
    for refusal in work.refused:
        console.report(refusal)
    refusals = len(work.refused)
    with ConsoleEvents(as_json=as_json, many=False) as events:
        events.started(len(work.jobs))
        steps = JobSteps(settings, events, CancelToken())
        for job in work.jobs:
            reason = None
            try:
                verb = "segment" if steps.would_segment(job) else "skip"
            except AvisError as error:
                if concerns_all(error):
                    raise
                refusals += 1
                verb, reason = "refuse", str(error)
            if as_json:
                line = {"would": verb, "input": str(job.source), "output": str(job.target), "reason": reason}
                console.result(json.dumps(line))
            else:
                console.result(f"would {verb} {job.source} -> {job.target}{'' if reason is None else f' ({reason})'}")
    return refusals


def _end(failures: int, total: int) -> None:
    if failures:
        raise typer.Exit(SOME_FAILED if failures < total else 1)
