"""``avis synth``: clips of the synthetic world, as a dataset or as movies."""

from __future__ import annotations

import json
import os
import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.cli import console
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import UsageError

if TYPE_CHECKING:
    from avis_cli.datasets.synth.layout import SplitRequest

_ON_A_SHEET = 4  # clips of a contact sheet
_WORTH_PROCESSES = 64  # clips from which on starting further processes saves time


class LayoutName(str, Enum):
    """How the clips lie on disk: as AVISeg's, as one of AVSBench's three sets, or as one of VPO's."""

    aviseg = "aviseg"
    s4 = "s4"
    ms3 = "ms3"
    avss = "avss"
    vpo_ss = "vpo-ss"
    vpo_ms = "vpo-ms"
    vpo_msmi = "vpo-msmi"


class SplitName(str, Enum):
    train = "train"
    val = "val"
    test = "test"
    sample = "sample"


@examples(
    ("Clips to train on, and some to test with", "avis synth clips --split train --videos 1000"),
    ("", "avis synth clips --split test --videos 100"),
    ("Class maps in the layout of AVSBench's MS3", "avis synth clips --layout ms3 --split test --videos 100"),
    ("A set in VPO's layout, with twins of which one sounds", "avis synth vpo --layout vpo-msmi --videos 500"),
    ("Movies to look at", "avis synth clips --split sample --videos 3 --mp4 --size 640x360"),
    ("What the clips look like, without making any", "avis synth clips --preview"),
)
def synth(
    out: Annotated[Path, typer.Argument(help="Folder of the dataset; a split in it is SPLIT.json and SPLIT/.")],
    split: Annotated[
        SplitName, typer.Option("--split", help="No two splits share a clip, whatever the seed.")
    ] = SplitName.train,
    videos: Annotated[
        int | None, typer.Option("--videos", min=1, max=1_000_000, help="Number of clips to make.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same clips.")] = 0,
    layout: Annotated[
        LayoutName,
        typer.Option(
            "--layout",
            help="aviseg: instances; s4, ms3, avss: class maps, as AVSBench has them; vpo-ss, vpo-ms, vpo-msmi: still "
            "pictures, each with the sounds of some of its objects, as VPO has them, all splits at once.",
        ),
    ] = LayoutName.aviseg,
    frames: Annotated[
        int | None,
        typer.Option("--frames", min=1, max=3600, help="Frames of a clip, one per second [default: 10; s4, ms3: 5]."),
    ] = None,
    size: Annotated[
        str, typer.Option("--size", metavar="WxH", help="Width and height of the frames in pixels, such as 640x360.")
    ] = "160x96",
    mp4: Annotated[
        bool, typer.Option("--mp4", help="Movies at 25 frames per second in place of JPEG and WAV.")
    ] = False,
    unaligned: Annotated[
        bool, typer.Option("--unaligned", help="Sounds begin and end anywhere, not at about whole seconds.")
    ] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Write a contact sheet, SPLIT_preview.png.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Print what cheats would score on the split.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers of --stats as JSON.")] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Processes [default: one per core for large splits].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a split that is there already.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make clips in which some of the visible objects sound, with exact ground truth.

    Without --videos nothing is made: --preview then shows the first clips, --stats reads the split that is in OUT.
    """
    from avis_cli.datasets.aviseg import SplitPaths
    from avis_cli.datasets.synth.layout import SplitRequest

    if videos is None and not (preview or stats):
        raise UsageError("nothing to do", hint="say how many clips with --videos, or give --preview or --stats")
    if as_json and not stats:
        raise UsageError("--json without --stats", hint="it is how the numbers of --stats are printed")
    if videos is None:
        making = {"--mp4": mp4, "--jobs": jobs is not None, "--overwrite": overwrite}
        drawn = {
            "--seed": seed != 0,
            "--frames": frames is not None,
            "--size": size != "160x96",
            "--unaligned": unaligned,
        }
        drawing = {} if preview else drawn
        for name, is_given in {**making, **drawing}.items():
            if is_given:
                raise UsageError(f"{name} without --videos", hint="no clips are made then")
    count = _ON_A_SHEET if videos is None else videos
    if layout is not LayoutName.aviseg:
        for name, is_given in {"--mp4": mp4, "--preview": preview, "--stats": stats}.items():
            if is_given:
                raise UsageError(f"{name} with --layout {layout.value}", hint="it is for --layout aviseg")
        if layout.value.startswith("vpo-"):
            timed = {"--split": split is not SplitName.train, "--frames": frames is not None, "--unaligned": unaligned}
            for name, is_given in timed.items():
                if is_given:
                    raise UsageError(
                        f"{name} with --layout {layout.value}", hint="it is all splits at once, of still pictures"
                    )
            _write_stills(out, layout, count, seed, read_size(size), jobs, overwrite)
            return
        request = SplitRequest(split.value, count, seed, 1, read_size(size), False, not unaligned)
        _write_maps(out, layout, request, frames, jobs, overwrite)
        return
    request = SplitRequest(
        split.value, count, seed, 10 if frames is None else frames, read_size(size), mp4, not unaligned
    )
    if videos is not None:
        _write(out, request, jobs, overwrite)
    if preview:
        _write_preview(out, request)
    if stats:
        _print_stats(SplitPaths.of(out, split.value).objects, as_json)


def read_size(text: str) -> tuple[int, int]:
    """ "640x360" -> (640, 360), or ``UsageError``."""
    match = re.fullmatch(r"(\d{1,6})x(\d{1,6})", text.strip())
    if match is None:
        raise UsageError(f"--size {text!r}, expected WIDTHxHEIGHT in pixels, for example 640x360")
    return int(match[1]), int(match[2])


def _write(out: Path, request: SplitRequest, jobs: int | None, overwrite: bool) -> None:
    from avis_cli.datasets.synth.layout import write_split

    if jobs is None:
        jobs = (os.cpu_count() or 1) if request.videos >= _WORTH_PROCESSES else 1
    with progress_bar() as progress:
        files = write_split(out, request, jobs=jobs, overwrite=overwrite, progress=progress)
    for path in (files.truth, files.objects, files.media):
        console.result(str(path))


def _write_maps(
    out: Path, layout: LayoutName, request: SplitRequest, frames: int | None, jobs: int | None, overwrite: bool
) -> None:
    from dataclasses import replace

    from avis_cli.datasets.synth.avs_layout import frames_of, write_avs_split

    assert layout is not LayoutName.aviseg
    request = replace(request, frames=frames_of(layout.value, frames))
    if jobs is None:
        jobs = (os.cpu_count() or 1) if request.videos >= _WORTH_PROCESSES else 1
    with progress_bar() as progress:
        listed = write_avs_split(out, layout.value, request, jobs=jobs, overwrite=overwrite, progress=progress)
    console.result(str(listed))


def _write_stills(
    out: Path, layout: LayoutName, count: int, seed: int, size: tuple[int, int], jobs: int | None, overwrite: bool
) -> None:
    from avis_cli.datasets.synth.vpo_layout import SETTINGS, VpoRequest, write_vpo

    if jobs is None:
        jobs = (os.cpu_count() or 1) if count >= _WORTH_PROCESSES else 1
    request = VpoRequest(SETTINGS[layout.value], count, seed, size)
    with progress_bar() as progress:
        listed = write_vpo(out, request, jobs=jobs, overwrite=overwrite, progress=progress, warn=console.warn)
    console.result(str(listed))


def _write_preview(out: Path, request: SplitRequest) -> None:
    from avis_cli.datasets.synth.preview import write_preview

    console.result(str(write_preview(out, request, clips=min(request.videos, _ON_A_SHEET))))


def _print_stats(objects: Path, as_json: bool) -> None:
    from dataclasses import asdict

    from avis_cli.datasets.synth import stats

    measured = stats.measure_file(objects)
    if as_json:
        console.result(json.dumps(asdict(measured)))
        return
    for line in stats.lines(measured):
        console.result(line)
