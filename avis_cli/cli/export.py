"""``avis export``: tracking files -> the files of other tools."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.batch.cancel import CancelToken
from avis_cli.cli import console
from avis_cli.cli.cancellable import cancellable
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import AvisError, UsageError

if TYPE_CHECKING:
    from avis_cli.export.export_request import Request
    from avis_cli.export.formats import ExportFormat
    from avis_cli.outputs import AnyResult

SOME_FAILED = 3  # exit code where some inputs of several failed
DEFAULT_FOLDER = Path("avis_export")


class Target(str, Enum):
    """What ``--to`` takes; ``avis_cli.export.formats`` knows the rest about each."""

    ytvis = "ytvis"
    coco = "coco"
    davis = "davis"
    voc = "voc"
    mots = "mots"
    cvat = "cvat"
    labelme = "labelme"
    csv = "csv"
    srt = "srt"
    vtt = "vtt"
    audacity = "audacity"
    label_video = "label-video"
    matte = "matte"


@examples(
    ("Captions of who sounds when", "avis export avis_out/clip.mp4/tracks.json --to srt -o clip.srt"),
    ("A table of several results, one file for each", "avis export avis_out/*/tracks.json --to csv -o tables"),
    ("Images and annotations for COCO tools", "avis export tracks.json --to coco --video clip.mp4"),
    ("What sounds, cut out", "avis export tracks.json --to matte --video clip.mp4 -o clip.mov"),
)
def export(
    files: Annotated[
        list[Path], typer.Argument(metavar="TRACKS.json", help="What avis segment wrote, tracks.json or maps.json.")
    ],
    to: Annotated[
        Target,
        typer.Option(
            "--to",
            metavar="FORMAT",
            help=f"{', '.join(one.value for one in Target)}; docs/exports.md says what each one holds.",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT",
            help="The file or folder to write; of several results the folder they go to "
            "[default: avis_export/NAME.ENDING].",
        ),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            "--video",
            metavar="PATH",
            help="The clip itself, or the folder it lies in: needed for matte and coco; "
            "davis, mots and labelme then have pictures too.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace outputs that are there already.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Turn results into the files of other tools: annotation formats, tables, captions, a cut-out video."""
    from avis_cli.export.export_request import Request
    from avis_cli.export.formats import FORMATS, require_video
    from avis_cli.results.reader import read_clip_result

    form = FORMATS[to.value]
    require_video(form, Request(video))
    if len(files) > 1 and video is not None and not video.is_dir():
        raise UsageError(f"one --video for {len(files)} results", hint="give the folder that holds their clips")
    taken: set[Path] = set()
    failures = 0
    for position, file in enumerate(files, start=1):
        try:
            result = read_clip_result(file)
            target = _target(result, form, output, len(files) > 1, taken)
            _refuse_input(target, [file, video])
            request = Request(video, position, warn=console.warn)
            cancellable(partial(_write, target, result, form, request, overwrite))
        except BrokenPipeError:
            raise
        except Exception as error:
            if len(files) == 1 and isinstance(error, AvisError):
                raise
            failures += 1
            console.report(error, file)
            continue
        console.result(str(target))
    if failures:
        raise typer.Exit(SOME_FAILED if failures < len(files) else 1)


def _write(
    target: Path, result: AnyResult, form: ExportFormat, request: Request, overwrite: bool, token: CancelToken
) -> None:
    from avis_cli.export.formats import export as write

    with progress_bar(token) as progress:
        write(target, result, form, replace(request, progress=progress), overwrite=overwrite)


def _target(result: AnyResult, form: ExportFormat, output: Path | None, several: bool, taken: set[Path]) -> Path:
    """Where one result goes; never where another one of this command went."""
    from avis_cli.export.export_request import clip_name

    if output is not None and not several:
        return output
    folder = DEFAULT_FOLDER if output is None else output
    name, number = clip_name(result), 1
    target = folder / f"{name}{form.ending}"
    while target in taken:
        number += 1
        target = folder / f"{name}.{number}{form.ending}"
    taken.add(target)
    return target


def _refuse_input(target: Path, inputs: list[Path | None]) -> None:
    for given in inputs:
        if given is not None and given.is_file() and os.path.exists(target) and target.samefile(given):
            raise UsageError("is read and written at once", hint="choose another name with -o", file=target)
