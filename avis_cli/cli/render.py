"""``avis render``: a tracking file and its clip -> the overlay again, without a network."""

from __future__ import annotations

import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.batch.cancel import CancelToken
from avis_cli.cli import console
from avis_cli.cli.cancellable import cancellable
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.parameters import takes_options
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import UsageError
from avis_cli.options import SegmentOptions

if TYPE_CHECKING:
    from avis_cli.outputs import AnyResult


@examples(
    ("The overlay in another look", "avis render tracks.json clip.mp4 --style outline -o lines.mp4"),
    ("The picture and the masks alone", "avis render tracks.json clip.mp4 --no-labels --strip none -o plain.mp4"),
)
@takes_options("audio_track", "frame_rate", "audio", "max_pixels", "style", "alpha", "labels", "strip", "palette")
def render(
    tracks: Annotated[
        Path, typer.Argument(metavar="TRACKS.json", help="A tracks.json or maps.json that avis segment wrote.")
    ],
    clip: Annotated[Path, typer.Argument(metavar="CLIP", help="The video or folder of pictures it was made from.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="OUT.mp4",
            help="The video to write [default: overlay.mp4 beside the tracks.json].",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")] = False,
    options: SegmentOptions,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Draw masks, labels and the timeline of a tracks.json over its clip again; edit the file first if you like."""
    output = tracks.with_name("overlay.mp4") if output is None else output
    for given in (tracks, clip):
        if os.path.exists(output) and os.path.exists(given) and output.samefile(given):
            raise UsageError("is read and written at once", hint="choose another name with -o", file=output)
    cancellable(lambda token: _render(tracks, clip, output, overwrite, options, token))
    console.result(str(output))


def _render(
    tracks: Path, clip: Path, output: Path, overwrite: bool, options: SegmentOptions, token: CancelToken
) -> None:
    from avis_cli.files.atomic import output_file
    from avis_cli.media import decode
    from avis_cli.outputs import drawn_result, require_same_clip
    from avis_cli.results.reader import read_clip_result
    from avis_cli.writers.overlay import overlay_clip

    with output_file(output, overwrite=overwrite) as part:
        result = read_clip_result(tracks)
        options = replace(options, frame_rate=_frame_rate(result, clip, options))
        info = decode.probe(clip, **options.reading)
        for warning in info.warnings:
            console.warn(warning)
        require_same_clip(result, info, tracks)
        with progress_bar(token) as progress:
            overlay_clip(part, drawn_result(result), info, style=options.draw, progress=progress, warn=console.warn)


def _frame_rate(result: AnyResult, clip: Path, options: SegmentOptions) -> Fraction | None:
    """That of a folder of pictures: what the result was made with, if nobody says otherwise."""
    return result.source.exact_rate if options.frame_rate is None and clip.is_dir() else options.frame_rate
