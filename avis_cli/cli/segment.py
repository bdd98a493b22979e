"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from avis_cli.batch.cancel import CancelToken
from avis_cli.batch.executors.base import Executor
from avis_cli.batch.executors.threads import ThreadExecutor
from avis_cli.batch.inputs import Found, Shard, collect, listed
from avis_cli.batch.job import Job, RunSettings, concerns_all
from avis_cli.batch.journal import Journal
from avis_cli.batch.model_choice import parse_devices, require_devices
from avis_cli.batch.record import write_run_index
from avis_cli.batch.report import BatchReport
from avis_cli.batch.runner import BatchRunner
from avis_cli.batch.steps import JobSteps
from avis_cli.cli import completion, console
from avis_cli.cli.batch_console import ConsoleEvents
from avis_cli.cli.cancellable import PATIENCE, cancellable
from avis_cli.cli.cluster import (
    CLUSTER_PATIENCE,
    Cluster,
    ClusterChoice,
    CpusPerWorker,
    GpusPerWorker,
    Retries,
    Timeout,
    Workers,
)
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.parameters import flag, flag_given, takes_options
from avis_cli.cli.standard_input import DASH, NAME, spooled
from avis_cli.errors import AvisError, UsageError
from avis_cli.files import stores
from avis_cli.files.stores import Location, StorePath, location
from avis_cli.options import FOLDERS, NETWORK, WRITTEN, SegmentOptions, declarations

SOME_FAILED = 3  # exit code where some inputs of several failed

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        metavar="NAME|PATH",
        help="A model that `avis weights list` names, a weights file, or hf://OWNER/REPO[@REVISION]/FILE "
        "[default: AVIS_MODEL, else that of `avis weights default`, else the bundled one].",
        rich_help_panel=NETWORK,
        autocompletion=completion.models,
    ),
]
SkipExisting = Annotated[
    bool,
    typer.Option(
        "--skip-existing",
        help="Skip inputs whose results are complete, with these settings and weights.",
        rich_help_panel=WRITTEN,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace results that are there already.", rich_help_panel=WRITTEN)
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="auto, cpu, cuda, cuda:N or mps; auto: a GPU if there is one. "
        "A list (cuda:0,cuda:1) spreads the inputs over several.",
        rich_help_panel=NETWORK,
        autocompletion=completion.words("auto", "cpu", "cuda", "mps"),
    ),
]
Offline = Annotated[
    bool,
    typer.Option("--offline", help="Use no network, not even to get weights.", rich_help_panel=NETWORK),
]
Recursive = Annotated[
    bool,
    typer.Option("--recursive", "-r", help="Take videos from all folders below a folder too.", rich_help_panel=FOLDERS),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", min=1, metavar="N",
        help="Inputs in the making at once: results are written while the network has the next input; "
        "1: one after another [default: 1 more than devices].",
        rich_help_panel=FOLDERS,
    ),
]  # fmt: skip
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Do part I of N of the inputs, as one job of an array [default: that of a SLURM array's job, else all].",
        rich_help_panel=FOLDERS,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done with each input, and do nothing.")]
AsJson = Annotated[
    bool,
    typer.Option(
        "--json",
        help="Print one line of JSON for each input in place of its results' folder.",
        rich_help_panel=WRITTEN,
    ),
]


@examples(
    ("A video: overlay, masks, tracks.json and a report in avis_out/clip.mp4/", "avis segment clip.mp4"),
    ("Real footage, with one of the released networks", "avis segment clip.mp4 --model avism-r50-coco"),
    ("A part of it, with a mask for every frame", "avis segment clip.mp4 --start 1:30 --end 2:00 --mask-fps video"),
    ("More objects; none while it is silent", "avis segment clip.mp4 --threshold 0.1 --gate"),
    ("Only the overlay, in another look", "avis segment clip.mp4 --only overlay --style spotlight"),
    ("A folder of videos, to be continued after a stop", "avis segment videos -r -o results --skip-existing"),
    ("Pictures of 25 a second, and their sound", "avis segment frames --frame-rate 25 --audio sound.wav"),
    ("Videos and results in a bucket", "avis segment 's3://bucket/videos/*.mp4' -o s3://bucket/results"),
    ("A video that another program sends", "cat clip.mp4 | avis segment - -o out"),
    ("On a GPU, in bfloat16", "avis segment clip.mp4 --device cuda --precision bf16"),
)
@takes_options()
def segment(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT...",
            help="Video files, and folders whose videos to take; URLs of both (s3://, gs://, hf://; wildcards too); "
            "@FILE for a list of them, a line each (@-: on standard input); - for a video on standard input; with "
            "--frame-rate folders of pictures.",
        ),
    ],
    *,
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Results of each input go to DIR/<file name>/; DIR may be a URL too.",
            rich_help_panel=WRITTEN,
        ),
    ] = "avis_out",
    model: ModelName = None,
    device: Device = "auto",
    options: SegmentOptions,
    recursive: Recursive = False,
    overwrite: Overwrite = False,
    skip_existing: SkipExisting = False,
    jobs: Jobs = None,
    shard: ShardOption = None,
    cluster: Cluster = None,
    workers: Workers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    retries: Retries = None,
    timeout: Timeout = None,
    dry_run: DryRun = False,
    offline: Offline = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the objects that sound in each video; write overlay, masks, tracks and report to DIR/<file name>/."""
    spread = ClusterChoice(cluster, workers, cpus_per_worker, gpus_per_worker, retries, timeout)
    spread.check(device, jobs)
    devices = parse_devices(device)
    part = None if shard is None else Shard.parse(shard)
    places = [location(text) for given in inputs for text in _listed(given)]
    _refuse_unused(places, options, recursive)
    settings = RunSettings(options, model, devices, offline, overwrite, skip_existing)
    if not (dry_run or spread):
        require_devices(devices)
    run = Run(settings, _output(output), part, jobs, recursive, dry_run, as_json, spread)
    if DASH not in places:
        run.over(places)
        return
    if len(places) > 1 or part is not None or spread:
        other = "--cluster" if spread else "other inputs" if part is None else "--shard"
        raise UsageError(f"- with {other}", hint="standard input is one clip by itself")
    with spooled() as path:
        run.over([path], called=NAME)


def _listed(given: str) -> list[str]:
    """An input, or those of a list."""
    return listed(given, getattr(sys.stdin, "buffer", None)) if given.startswith("@") else [given]


def _output(given: str) -> Location:
    """Raises UsageError for a URL of no store."""
    place = location(given)
    if isinstance(place, Path) and "://" in given:
        raise UsageError(
            f"--output {stores.without_secrets(given)!r}, expected a folder, or a URL of a store such as s3://bucket/folder"
        )
    return place


def _refuse_unused(inputs: Sequence[Location], options: SegmentOptions, recursive: bool) -> None:
    """Raise UsageError for an option that would be without effect."""
    if recursive and not any(isinstance(path, StorePath) or os.path.isdir(path) for path in inputs):
        raise UsageError("--recursive without a folder among the inputs", hint="leave it out")
    for path in inputs if options.frame_rate is not None else ():
        if isinstance(path, StorePath):
            raise UsageError("--frame-rate with a URL", hint="copy the pictures to this machine", file=str(path))
        if not os.path.isdir(path):
            raise UsageError("--frame-rate with a file", hint="it is for folders of pictures", file=path)
    if options.frame_rate is not None and options.audio is None and options.audio_track is not None:
        raise UsageError("--audio-track without --audio", hint="pictures have no sound of their own")
    if "overlay" not in options.only:
        only = ",".join(options.only)
        for name, declared, default in declarations():
            # the colours are those of the mask images and the report, too
            used = declared.decides != "drawing" or (name == "palette" and only != "tracks")
            if not used and getattr(options, name) != default:
                given = flag_given(name, getattr(options, name))
                raise UsageError(f"{given} with --only {only}", hint="it changes the overlay only")
    if options.mute and not {"overlay", "report"} & set(options.only):
        for name in ("audio", "audio_track"):
            if getattr(options, name) is not None:
                raise UsageError(f"{flag(name)} with --mute", hint="nothing that is written has sound")


@dataclass(frozen=True)
class Run:
    """What is done with all inputs: the options of the same names."""

    settings: RunSettings
    output: Location
    part: Shard | None
    jobs: int | None
    recursive: bool
    dry_run: bool
    as_json: bool
    cluster: ClusterChoice

    def over(self, inputs: Sequence[Location], called: str | None = None) -> None:
        """Work on the inputs and end with the exit code. ``called``: the name of the one input."""
        options = self.settings.options
        pictures = options.frame_rate is not None
        found = collect(inputs, self.output, recursive=self.recursive, pictures=pictures, note=console.note)
        if called is not None:
            found = replace(found, jobs=[replace(job, called=called) for job in found.jobs])
        count = len(found.jobs) + len(found.refused)
        if options.audio is not None and count > 1:
            raise UsageError(f"--audio with {count} inputs", hint="one file is the sound of one clip")
        alone = self.part is None and not self.cluster
        by_itself = alone and count == 1 and (pictures or all(job.source in inputs for job in found.jobs))
        part = _part_of_array() if alone and not by_itself else self.part
        work = found if part is None else Found(part.of(found.jobs), found.refused)
        if work.refused and len(work.jobs) + len(work.refused) == 1:
            raise work.refused[0]
        if self.dry_run:
            refusals = _dry_run(self.settings, work, self.as_json)
            _end(refusals, len(work.jobs) + len(work.refused))
            return
        if isinstance(self.output, StorePath) and work.jobs:
            stores.require_writable(self.output)
        if by_itself:
            _one(BatchRunner(self.settings, self.output), work.jobs[0], self.as_json)
        else:
            drain = CancelToken() if self.cluster else None
            executor = self._executor(drain)
            runner = BatchRunner(self.settings, self.output, executor=executor, shard=part)
            report = _several(runner, work, self.as_json, drain)
            if "report" in options.only:
                write_run_index(self.output, [job.target for job in found.jobs], console.warn)
            for line in report.summary():
                console.note(line)
            if drain is not None and drain.is_cancelled and report.total < len(work.jobs) + len(work.refused):
                raise KeyboardInterrupt
            _end(report.failed, report.total)

    def _executor(self, drain: CancelToken | None) -> Executor:
        if drain is None:
            return ThreadExecutor(self.jobs)
        journal = Journal(self.output, self.settings, self.part)
        return self.cluster.executor(",".join(self.settings.devices), journal, drain)


def _part_of_array() -> Shard | None:
    """The part of a run that a job of a SLURM array does, and a line about it; None elsewhere."""
    part = Shard.of_array(os.environ)
    if part is not None:
        console.note(f"part {part} of the inputs, as the variables of SLURM's job array say; --shard 1/1 does all")
    return part


def _one(runner: BatchRunner, job: Job, as_json: bool) -> None:
    """A file by itself: a bar for each phase, and its failure ends the command as it is."""
    with ConsoleEvents(as_json=as_json, many=False) as events:
        cancellable(lambda token: runner.run_one(job, events, token))


def _several(runner: BatchRunner, work: Found, as_json: bool, drain: CancelToken | None) -> BatchReport:
    """Every job, whatever becomes of the others; what concerns them all is raised. ``drain``: of a cluster."""
    for refusal in work.refused:
        console.report(refusal)
    with ConsoleEvents(as_json=as_json, many=True) as events:
        patience = PATIENCE if drain is None else CLUSTER_PATIENCE
        return cancellable(
            lambda token: runner.run(work.jobs, events, token, refused=len(work.refused)),
            drain=drain,
            patience=patience,
        )


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
                line = {"would": verb, "input": job.name, "output": str(job.target), "reason": reason}
                console.result(json.dumps(line))
            else:
                console.result(f"would {verb} {job.name} -> {job.target}{'' if reason is None else f' ({reason})'}")
    return refusals


def _end(failures: int, total: int) -> None:
    if failures:
        raise typer.Exit(SOME_FAILED if failures < total else 1)
