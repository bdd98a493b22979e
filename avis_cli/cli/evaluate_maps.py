"""``avis evaluate --task``: class maps in files, or of a model over a dataset -> their scores."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avis_cli.cli import console
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import AnnotationError, UsageError

if TYPE_CHECKING:
    from avis_cli.evaluate.report.tables import Table
    from avis_cli.evaluate.semantic.evaluation import MapVideo
    from avis_cli.inference.model import Model
    from avis_cli.progress import Progress


class MapTask(str, Enum):
    """What is scored: ``avis``: instances; the others class maps, as the benchmark of that name does."""

    avis = "avis"
    s4 = "s4"
    ms3 = "ms3"
    avss = "avss"
    vpo = "vpo"
    cavp = "cavp"


BINARY = (MapTask.s4, MapTask.ms3)
_IN_FILES = {MapTask.s4: 2, MapTask.ms3: 2, MapTask.avss: 71, MapTask.vpo: 22, MapTask.cavp: 256}
"""Classes that label images can hold, with the background."""


@dataclass(frozen=True)
class MapPresentation:
    """What becomes of the scores: the options of the same names; ``format`` is table, json, csv or md."""

    format: str
    output: Path | None
    compare: Path | None
    worst: int = 0
    plots: Path | None = None


@dataclass(frozen=True)
class MapScoring:
    """``task``; ``batch_size`` of the released program; ``classes``: with the background, None as the task has them;
    ``class_names``: where they are known."""

    task: MapTask
    batch_size: int | None = None
    classes: int | None = None
    class_names: Mapping[int, str] | None = None


def score_map_files(
    scoring: MapScoring, truth: Path, predicted: Path, presentation: MapPresentation, *, ignore_unknown: bool = False
) -> None:
    """Score folders of label images."""
    from avis_cli.evaluate.semantic.map_files import MapLayout, find_videos, read_videos

    task = scoring.task
    layout = MapLayout("binary" if task in BINARY else "classes", _IN_FILES[task], apart=task is MapTask.vpo)
    videos = find_videos(truth, predicted, layout, ignore_unknown=ignore_unknown)
    score_maps(read_videos(videos, layout), len(videos), scoring, presentation)


@dataclass(frozen=True)
class MapRun:
    """A model of class maps over ``split`` of ``data``. ``task``: how it is scored, None as its data is; ``muted``,
    ``other_sounds``: with silence in the place of its sounds, and also with others."""

    data: Path
    split: str
    task: MapTask | None = None
    batch_size: int | None = None
    muted: bool = False
    other_sounds: bool = False


def score_model(model: Model, run: MapRun, presentation: MapPresentation) -> None:
    """Run a model of class maps over a split and score it. Raises UsageError for options that its task has no use
    for."""
    from avis_cli.evaluate.semantic.evaluation import MapVideo
    from avis_cli.evaluate.semantic.whole_set import IGNORED
    from avis_cli.train.sources import open_source
    from avis_cli.train.validate_maps import draw_maps

    source = open_source(run.data, run.split, model.config)
    _require_categories(model, source.categories, run.data, run.split)
    task = _task_of(model, source.categories, run)
    if task not in BINARY:
        for name, value in (("--plots", presentation.plots), ("--batch-size", run.batch_size)):
            if value is not None:
                raise UsageError(
                    f"{name} with --task {task.value}", hint="it is for s4 and ms3, of which --task is one"
                )
    names = dict(enumerate(("background", *source.categories)))
    # classes that the model does not know are classes that it misses
    known = None if task in BINARY else max(model.config.outputs, len(names))
    scoring = MapScoring(task, run.batch_size, known, None if task in BINARY else names)
    drawn = draw_maps(model, source, len(source), muted=run.muted)
    videos = (
        MapVideo(source.name(number), clip.sounding, (clip.truth > 0) & (clip.truth != IGNORED))
        if task in BINARY
        else MapVideo(source.name(number), clip.drawn, clip.truth)
        for number, clip in enumerate(drawn)
    )
    about = {"model": model.name, "data": run.data.name, "split": run.split}

    def more(progress: Progress) -> dict[str, Any]:
        from avis_cli.train.replaced_sounds import with_other_sounds

        found = with_other_sounds(model, source, progress)
        return {"other_sounds": {name: None if one is None else asdict(one) for name, one in found.items()}}

    score_maps(videos, len(source), scoring, presentation, about, more if run.other_sounds else None)


def _task_of(model: Model, categories: tuple[str, ...], run: MapRun) -> MapTask:
    """How a model is scored on a set. Raises UsageError for a wanted one that cannot be."""
    from avis_cli.datasets import avsbench
    from avis_cli.train.sources import vpo_setting

    binary = model.config.binary or categories == ("sounding",)
    if run.task is not None:
        if binary and run.task not in BINARY:
            raise UsageError(
                f"--task {run.task.value} of {model.name} on {run.data.name}, where only what sounds is known",
                hint="s4 and ms3 are for that",
            )
        return run.task
    if binary:
        return MapTask.s4 if avsbench.find_layout(run.data) == "s4" else MapTask.ms3
    return MapTask.vpo if vpo_setting(run.data) is not None else MapTask.avss


def score_maps(
    videos: Iterable[MapVideo],
    count: int,
    scoring: MapScoring,
    presentation: MapPresentation,
    about: Mapping[str, str] | None = None,
    more: Callable[[Progress], Mapping[str, Any]] | None = None,
) -> None:
    """Score ``count`` videos as they come, then print, write and draw. ``about``: what scores.json says besides;
    ``more``: what else it says, which takes its time.

    What can be refused before the scoring is refused before it.
    """
    from avis_cli.evaluate.semantic.document import read_document

    with _output(presentation.output) as part:
        other = None if presentation.compare is None else read_document(presentation.compare)
        with progress_bar() as progress:

            def counted() -> Iterator[MapVideo]:
                for number, video in enumerate(videos, start=1):
                    yield video
                    progress("videos", number, count)

            document = {**_document(counted(), scoring, presentation.worst), **(about or {})}
            if more is not None:
                document |= more(progress)
        if other is not None:
            from avis_cli.evaluate.semantic.compare import differences

            document["compare"] = differences(document, other, os.fspath(presentation.compare or ""))
        if part is not None:
            part.write_text(_rendered(document, _format_of(part, presentation.format)) + "\n", encoding="utf-8")
    _show(document, presentation)


def _document(videos: Iterable[MapVideo], scoring: MapScoring, worst: int) -> dict[str, Any]:
    from avis_cli.evaluate.semantic.document import document_of
    from avis_cli.evaluate.semantic.evaluation import evaluate_videos
    from avis_cli.evaluate.semantic.worst import find_worst

    kind: Any = "cavp" if scoring.task is MapTask.vpo else scoring.task.value
    classes = scoring.classes
    if classes is None and scoring.task is MapTask.vpo:
        classes = _IN_FILES[MapTask.vpo]
    evaluation = evaluate_videos(videos, kind, scoring.batch_size, classes)
    document = document_of(evaluation, scoring.task.value, scoring.class_names)
    if worst:
        document["worst"] = find_worst(evaluation, document["per_video"], worst)
    return document


def _output(path: Path | None) -> Any:
    from avis_cli.files.atomic import output_file

    return nullcontext() if path is None else output_file(path, overwrite=True)


def _require_categories(model: Model, known: tuple[str, ...], data: Path, split: str) -> None:
    """A set may have further categories behind those that the model knows, as AVSBench's numbers run to 71."""
    names = tuple(model.config.categories)
    if not model.config.binary and known != ("sounding",) and known[: len(names)] != names:
        raise AnnotationError(
            f"{len(known)} categories ({', '.join(known[:3])} ...), {model.name} tells {len(names)} others apart",
            hint="give --model one that was trained on them",
            file=data / f"{split}.json",
        )


def _show(document: Mapping[str, Any], presentation: MapPresentation) -> None:
    console.result(_rendered(document, presentation.format))
    if presentation.output is not None:
        console.note(f"scores in {presentation.output}")
    if presentation.plots is not None:
        from avis_cli.evaluate.semantic.plots import f_curve

        file = presentation.plots / "f_over_thresholds.png"
        with _output(file) as part:
            f_curve(document).savefig(part)
        console.note(f"curves in {file}")


def _format_of(output: Path, chosen: str) -> str:
    """What a file's ending says, else what is printed."""
    return {".json": "json", ".csv": "csv", ".md": "md", ".txt": "table"}.get(output.suffix.lower(), chosen)


def _rendered(document: Mapping[str, Any], format: str) -> str:
    if format == "json":
        return json.dumps(document, indent=1, allow_nan=False)
    if format == "csv":
        from avis_cli.evaluate.semantic.printed import to_csv

        return to_csv(document).rstrip("\n")
    from avis_cli.evaluate.semantic.printed import breakdowns, overall

    whole, parts, asked = overall(document), breakdowns(document), _asked_for(document)
    if format == "md":
        return "\n\n".join(["## avis evaluate", *(table.markdown() for table in (whole, *parts, *asked))])
    # the last lines are the ones a terminal still shows: the overall scores and what was asked for go there
    return "\n\n".join(table.text() for table in (*parts, whole, *asked))


def _asked_for(document: Mapping[str, Any]) -> list[Table]:
    from avis_cli.evaluate.semantic.compare import compare_tables
    from avis_cli.evaluate.semantic.robustness import robustness_table
    from avis_cli.evaluate.semantic.worst import worst_tables

    tables = worst_tables(document["worst"]) if "worst" in document else []
    if "other_sounds" in document:
        tables.append(robustness_table(document["other_sounds"]))
    return tables + (compare_tables(document, document["compare"]) if "compare" in document else [])
