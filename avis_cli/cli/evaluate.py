"""``avis evaluate``: ground truth and predictions -> scores to read, to compute with, to compare and to look at."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.cli import console, evaluate_data
from avis_cli.cli.cluster import (
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
from avis_cli.cli.evaluate_maps import BINARY, MapPresentation, MapScoring, MapTask, score_map_files
from avis_cli.cli.parameters import flag, takes_options
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import UsageError
from avis_cli.options import MAX_RATE, SegmentOptions

if TYPE_CHECKING:
    from avis_cli.datasets.tracks import Dataset
    from avis_cli.evaluate.instances.scores import Evaluation
    from avis_cli.evaluate.report.cost import Costs
    from avis_cli.evaluate.report.scores_file import Report
    from avis_cli.evaluate.report.tables import Table


class Format(str, Enum):
    """How scores are printed."""

    table = "table"
    json = "json"
    csv = "csv"
    md = "md"


@examples(
    ("Score a results list against AVISeg's annotations", "avis evaluate --gt test.json --pred results.json"),
    ("Score the results of avis segment", "avis evaluate --gt test.json --pred avis_out"),
    ("Run a model over a dataset and score it", "avis evaluate --data AVISeg --split test --model avism-r50-coco"),
    ("Keep the scores; show what cost most", "avis evaluate --gt test.json --pred new.json -o scores.json --worst 10"),
    ("Beside an earlier run", "avis evaluate --gt test.json --pred new.json --compare scores.json"),
    ("Class maps as AVSBench scores them", "avis evaluate --task ms3 --gt gt_masks/test --pred avis_out"),
    ("Beside the published numbers", "avis evaluate --gt test.json --pred new.json --reference"),
)
@takes_options("threshold", "mute", "gate", "refine", "precision", panel=evaluate_data.MODEL)
def evaluate(
    *,
    task: Annotated[
        MapTask | None,
        typer.Option(
            "--task",
            help="avis: instances; s4, ms3, avss, vpo, cavp: class maps, as the benchmark of that name scores them; "
            "GT and PRED are then folders of label images [default: avis; of a model of class maps that of --data].",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = None,
    gt: Annotated[
        Path | None,
        typer.Option(
            "--gt",
            metavar="GT",
            help="Annotations: AVISeg or YouTube-VIS, .json[.gz]; of class maps a folder.",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = None,
    pred: Annotated[
        Path | None,
        typer.Option(
            "--pred",
            metavar="PRED",
            help="A results list, .json[.gz], or a folder of tracks.json; with --data the results list to write.",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = None,
    data: evaluate_data.Data = None,
    split: evaluate_data.Split = "test",
    model: evaluate_data.ModelName = None,
    device: evaluate_data.Device = "auto",
    options: SegmentOptions,
    null_empty: evaluate_data.NullEmpty = False,
    other_sounds: evaluate_data.OtherSounds = False,
    offline: evaluate_data.Offline = False,
    overwrite: evaluate_data.Overwrite = False,
    cluster: Cluster = None,
    workers: Workers = None,
    cpus_per_worker: CpusPerWorker = None,
    gpus_per_worker: GpusPerWorker = None,
    retries: Retries = None,
    timeout: Timeout = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write the scores too, as the ending says: .json, .csv, .md, .txt.",
            rich_help_panel=evaluate_data.OUTCOME,
        ),
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="How to print the scores.", rich_help_panel=evaluate_data.OUTCOME)
    ] = Format.table,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            metavar="SCORES",
            help="Scores of another run (.json), shown beside these.",
            rich_help_panel=evaluate_data.OUTCOME,
        ),
    ] = None,
    reference: Annotated[
        bool,
        typer.Option(
            "--reference", help="Show the numbers published for AVISM.", rich_help_panel=evaluate_data.OUTCOME
        ),
    ] = False,
    worst: Annotated[
        int,
        typer.Option(
            "--worst",
            min=0,
            metavar="N",
            help="Show the N videos and frames that cost most.",
            rich_help_panel=evaluate_data.OUTCOME,
        ),
    ] = 0,
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots",
            metavar="DIR",
            help="Save curves there as PNG (of class maps for s4 and ms3); needs matplotlib: pip install "
            "'avis-cli[plots]'.",
            rich_help_panel=evaluate_data.OUTCOME,
        ),
    ] = None,
    ignore_unknown: Annotated[
        bool,
        typer.Option(
            "--ignore-unknown",
            help="Accept predictions of videos and categories that GT has not.",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = False,
    allow_empty: Annotated[
        bool,
        typer.Option(
            "--allow-empty",
            help="Accept ground truth in which nothing ever sounds.",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = False,
    gt_fps: Annotated[
        float,
        typer.Option(
            "--gt-fps",
            min=1e-3,
            max=MAX_RATE,
            help="Annotated frames per second of video; for a folder of tracks.json.",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = 1.0,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, metavar="N", help="Processes [default: one per core].")
    ] = None,
    max_bytes: Annotated[
        int | None,
        typer.Option(
            "--max-bytes",
            min=1,
            metavar="N",
            help="Refuse files of more than N bytes, unpacked too [default: 1073741824, 1 GiB].",
            rich_help_panel=evaluate_data.FILES,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            min=1,
            metavar="N",
            help="Videos in a batch of the released program, whose means of s4 and ms3 depend on it [default: 1].",
            rich_help_panel=evaluate_data.OUTCOME,
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Score predictions: FSLA, HOTA, track mAP, CLEAR and identity metrics, released and corrected meaning; or IoU and
    F of class maps.

    With --data a model makes them first, as the options from --split to --overwrite say. A run that was cut off goes on
    after its last finished video.
    """
    presentation = Presentation(format, output, compare, reference, worst, plots)
    reading = Reading(ignore_unknown, allow_empty, gt_fps, max_bytes)
    spread = ClusterChoice(cluster, workers, cpus_per_worker, gpus_per_worker, retries, timeout)
    if data is None and task not in (None, MapTask.avis):
        run = evaluate_data.DataRun(
            Path(), split, model, device, options, null_empty, offline, overwrite, None, other_sounds, spread
        )
        _score_maps(MapFiles(task, gt, pred, batch_size, jobs), run, presentation, reading)
        return
    if data is None and batch_size is not None:
        raise UsageError("--batch-size with --task avis", hint="it is for s4 and ms3")
    if data is not None:
        if gt is not None:
            raise UsageError("--data and --gt", hint="--data DIR is scored against the annotations it holds")
        run = evaluate_data.DataRun(
            data, split, model, device, options, null_empty, offline, overwrite, max_bytes, other_sounds, spread
        )
        _refuse(reading, ("ignore_unknown", "gt_fps"), "with --data", "it is for predictions from elsewhere")
        run.check()
        _refuse_input_as_output(output, {"--pred": pred})
        if run.is_semantic():
            _refuse(presentation, ("reference",), _OF_MAPS, _OF_INSTANCES)
            _refuse(reading, ("allow_empty", "max_bytes"), _OF_MAPS, _OF_INSTANCES)
            for name, value in (("--pred", pred), ("--jobs", jobs)):
                if value is not None:
                    raise UsageError(f"{name} {_OF_MAPS}", hint=_OF_INSTANCES)
            if task is MapTask.avis:
                raise UsageError(f"--task avis {_OF_MAPS}", hint="leave it out: it is scored as its data is")
            run.score_maps(_of_maps(presentation), task, batch_size)
            return
        of_maps = {
            "--other-sounds": other_sounds,
            "--batch-size": batch_size,
            "--task": task not in (None, MapTask.avis),
        }
        for name, value in of_maps.items():
            if value:
                raise UsageError(f"{name} with a model that tells objects apart", hint="it is for class maps")
        truth, results = run.truth(), run.results(pred)
        score_files(truth, results, presentation, reading=reading, jobs=jobs or _cores(), predict=run.predict)
        return
    run = evaluate_data.DataRun(
        Path(), split, model, device, options, null_empty, offline, overwrite, None, other_sounds, spread
    )
    for given in run.given():
        raise UsageError(f"{given} without --data", hint="--data DIR names what to run it on")
    if gt is None and pred is None and reference:
        alone, why = "with --reference alone", "give --gt GT and --pred PRED to score something"
        _refuse(presentation, ("output", "compare", "worst", "plots"), alone, why)
        _refuse(reading, ("ignore_unknown", "allow_empty", "gt_fps", "max_bytes"), alone, why)
        if jobs is not None:
            raise UsageError(f"--jobs {alone}", hint=why)
        _print_reference(format)
        return
    if gt is None or pred is None:
        raise UsageError("nothing to score", hint="give both --gt GT and --pred PRED, or --data DIR")
    if not pred.is_dir():
        _refuse(reading, ("gt_fps",), "with a results list", "it is for a folder of tracks.json")
    score_files(gt, pred, presentation, reading=reading, jobs=jobs or _cores())


_OF_MAPS = "with a model of class maps"
_OF_INSTANCES = "it is for models that tell objects apart"


@dataclass(frozen=True)
class MapFiles:
    """What is scored as class maps: the options of the same names."""

    task: MapTask
    gt: Path | None
    pred: Path | None
    batch_size: int | None
    jobs: int | None


def _score_maps(files: MapFiles, run: evaluate_data.DataRun, presentation: Presentation, reading: Reading) -> None:
    """Raises UsageError for options that are about instances."""
    where, hint = f"with --task {files.task.value}", "it is for --task avis"
    _refuse(presentation, ("reference",), where, hint)
    _refuse(reading, ("allow_empty", "gt_fps", "max_bytes"), where, hint)
    for given in [*run.given(), *(["--jobs"] if files.jobs is not None else [])]:
        raise UsageError(f"{given} {where}", hint=hint)
    if files.task not in BINARY:
        if files.batch_size is not None:
            raise UsageError(f"--batch-size {where}", hint="only the means of s4 and ms3 depend on it")
        _refuse(presentation, ("plots",), where, "s4 and ms3 have curves")
    if files.gt is None or files.pred is None:
        raise UsageError("nothing to score", hint="give both --gt DIR and --pred DIR, folders of label images")
    scoring, shown = MapScoring(files.task, files.batch_size), _of_maps(presentation)
    score_map_files(scoring, files.gt, files.pred, shown, ignore_unknown=reading.ignore_unknown)


def _of_maps(presentation: Presentation) -> MapPresentation:
    """Raises UsageError for an output that cannot be."""
    _check_plots(presentation)
    _refuse_input_as_output(presentation.output, {"--compare": presentation.compare})
    return MapPresentation(
        presentation.format.value, presentation.output, presentation.compare, presentation.worst, presentation.plots
    )


def _refuse(options: Presentation | Reading, names: Sequence[str], where: str, hint: str) -> None:
    """Raise UsageError if one of ``names`` was given where it would be without effect."""
    for name in names:
        if getattr(options, name) != getattr(type(options), name):
            raise UsageError(f"{flag(name)} {where}", hint=hint)


@dataclass(frozen=True)
class Presentation:
    """What becomes of the scores: the options of the same names."""

    format: Format = Format.table
    output: Path | None = None
    compare: Path | None = None
    reference: bool = False
    worst: int = 0
    plots: Path | None = None


@dataclass(frozen=True)
class Reading:
    """How ground truth and predictions are read: the options of the same names."""

    ignore_unknown: bool = False
    allow_empty: bool = False
    gt_fps: float = 1.0
    max_bytes: int | None = None


@dataclass(frozen=True)
class ScoredRun:
    """Everything that is shown of a run; ``other``: the run to compare with."""

    evaluation: Evaluation
    report: Report
    document: dict[str, object]
    other: Report | None
    worst: Costs | None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def score_files(
    gt: Path,
    pred: Path,
    presentation: Presentation,
    *,
    reading: Reading,
    jobs: int,
    predict: Callable[[Path], None] | None = None,
) -> None:
    """Read, score and show. What can be refused before the scoring is refused before it.

    ``predict`` makes the file ``pred`` once nothing else is left that could be refused.
    """
    from avis_cli.datasets.truth import read_truth
    from avis_cli.evaluate.predictions import read_predictions
    from avis_cli.evaluate.report.scores_file import read_scores
    from avis_cli.files.json_file import DEFAULT_MAX_BYTES

    max_bytes = reading.max_bytes or DEFAULT_MAX_BYTES
    _check_plots(presentation)
    _refuse_input_as_output(presentation.output, {"--gt": gt, "--pred": pred, "--compare": presentation.compare})
    with _open_output(presentation.output) as temporary:
        other = None if presentation.compare is None else read_scores(presentation.compare, max_bytes=max_bytes)
        dataset = read_truth(gt, allow_empty=reading.allow_empty, max_bytes=max_bytes)
        if predict is not None:
            predict(pred)
        dataset = read_predictions(
            pred,
            dataset,
            ignore_unknown=reading.ignore_unknown,
            annotation_fps=reading.gt_fps,
            max_bytes=max_bytes,
            warn=console.warn,
        )
        run = score(dataset, presentation, other, jobs)
        if temporary is not None:
            text = _rendered(run, presentation, _format_of(temporary, presentation.format))
            temporary.write_text(text + "\n", encoding="utf-8", errors="backslashreplace")
    show(run, presentation)


def _check_plots(presentation: Presentation) -> None:
    if presentation.plots is not None:
        from avis_cli.evaluate.report.plots import check_plots

        check_plots()


def _refuse_input_as_output(output: Path | None, inputs: dict[str, Path | None]) -> None:
    for option, path in inputs.items():
        if output is not None and path is not None and _same_file(output, path):
            raise UsageError(f"--output is the file of {option}", hint="name another one", file=output)


def _same_file(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (os.path.exists(one) and os.path.exists(other) and one.samefile(other))


def _open_output(output: Path | None) -> AbstractContextManager[Path | None]:
    if output is None:
        return nullcontext()
    from avis_cli.files.atomic import output_file

    return output_file(output, overwrite=True)


def score(dataset: Dataset, presentation: Presentation, other: Report | None, jobs: int) -> ScoredRun:
    """Every number that ``presentation`` shows."""
    from avis_cli.evaluate.instances.scores import evaluate_dataset
    from avis_cli.evaluate.report.compare import differences, published
    from avis_cli.evaluate.report.cost import find_costs
    from avis_cli.evaluate.report.scores_file import document_of, report_of

    with progress_bar() as progress:
        evaluation = evaluate_dataset(dataset, jobs=jobs, progress=progress)
    document = document_of(evaluation)
    report = report_of(document)
    worst = find_costs(evaluation, dataset, presentation.worst) if presentation.worst else None
    if worst is not None:
        document["worst"] = worst.to_json()
    if other is not None:
        document["compare"] = {"file": os.fspath(presentation.compare or ""), **differences(report, other)}
    if presentation.reference:
        document["reference"] = published()
    return ScoredRun(evaluation, report, document, other, worst)


def show(run: ScoredRun, presentation: Presentation) -> None:
    """Print and draw."""
    for line in run.report.notes:
        console.warn(line)
    console.result(_rendered(run, presentation, presentation.format))
    if presentation.output is not None:
        console.note(f"scores in {presentation.output}")
    if presentation.plots is not None:
        _save_plots(run.evaluation, presentation.plots)


def _save_plots(evaluation: Evaluation, folder: Path) -> None:
    from avis_cli.evaluate.report.plots import figures
    from avis_cli.files.atomic import output_file

    for name, figure in figures(evaluation):
        with output_file(folder / name, overwrite=True) as temporary:
            figure.savefig(temporary)
        console.note(f"curves in {folder / name}")


def _format_of(output: Path, chosen: Format) -> Format:
    """What a file's ending says, else what is printed."""
    endings = {".json": Format.json, ".csv": Format.csv, ".md": Format.md, ".txt": Format.table}
    return endings.get(output.suffix.lower(), chosen)


def _rendered(run: ScoredRun, presentation: Presentation, format: Format) -> str:
    if format is Format.json:
        return json.dumps(run.document, indent=1, ensure_ascii=True, allow_nan=False)
    if format is Format.csv:
        from avis_cli.evaluate.report.printed import to_csv

        return to_csv(run.report).rstrip("\n")
    tables = _tables(run, presentation)
    if format is Format.md:
        return "\n\n".join(["## avis evaluate", *(table.markdown() for table in tables)])
    # the last lines are the ones a terminal still shows: the overall scores and what was asked for go there
    return "\n\n".join(table.text() for table in (*tables[1:3], tables[0], *tables[3:]))


def _tables(run: ScoredRun, presentation: Presentation) -> list[Table]:
    from avis_cli.evaluate.report.compare import compare, reference_table
    from avis_cli.evaluate.report.cost import cost_tables
    from avis_cli.evaluate.report.printed import breakdowns, overall

    tables = [overall(run.report), *breakdowns(run.report)]
    if run.other is not None:
        tables += compare(run.report, run.other, str(presentation.compare))
    if run.worst is not None:
        tables += cost_tables(run.worst)
    if presentation.reference:
        tables.append(reference_table(run.report))
    return tables


def _print_reference(format: Format) -> None:
    from avis_cli.evaluate.report.compare import published, reference_table

    entries = published()
    if format is Format.json:
        console.result(json.dumps(entries, indent=1))
    elif format is Format.csv:
        lines = io.StringIO()
        csv.writer(lines, lineterminator="\n").writerows([list(entries[0]), *(entry.values() for entry in entries)])
        console.result(lines.getvalue().rstrip("\n"))
    else:
        table = reference_table()
        console.result(table.markdown() if format is Format.md else table.text())
