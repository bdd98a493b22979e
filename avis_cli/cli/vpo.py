"""``avis vpo``: sets of pictures and sounds in VPO's layout."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from avis_cli.batch.cancel import CancelToken
from avis_cli.cli import console
from avis_cli.cli.cancellable import cancellable
from avis_cli.cli.command import add_command, examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.progress_bars import progress_bar
from avis_cli.errors import UsageError
from avis_cli.files.numbers import decimal

app = typer.Typer(help="Make sets of pictures and sounds in the layout of VPO.", no_args_is_help=True)


class SettingName(str, Enum):
    """``ss``: one sounding object; ``ms``: several of different categories; ``msmi``: also of one."""

    ss = "ss"
    ms = "ms"
    msmi = "msmi"


class ChannelsName(str, Enum):
    mono = "mono"
    stereo = "stereo"


@examples(
    ("One sound a picture", "avis vpo build --annotations coco.json --images pics --sounds sounds --setting ss -o VPO"),
    (
        "Some, with twins",
        "avis vpo build --annotations a.json --images p --sounds s --setting msmi --samples 9 -o VPO",
    ),
)
def build(
    *,
    annotations: Annotated[
        Path, typer.Option("--annotations", metavar="COCO.json", help="A COCO-format instance file, any categories.")
    ],
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="The folder that its file names are in.")],
    sounds: Annotated[
        Path,
        typer.Option(
            "--sounds",
            metavar="DIR",
            help="A folder of sounds for each label, or sounds.csv with file,label[,split][,licence] in it.",
        ),
    ],
    setting: Annotated[
        SettingName,
        typer.Option("--setting", help="ss: one sounding object a picture; ms: several, of different categories; "
                     "msmi: also several of one category."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")],
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="The same seed gives the same bytes.")] = 0,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, metavar="N", help="How many, in all splits [default: all].")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="FILE.json",
            help="Which sounds a category has where they are not called alike: {category: [label, ...]}.",
        ),
    ] = None,
    shares: Annotated[
        str, typer.Option("--shares", metavar="A,B,C", help="Shares of train, val and test.")
    ] = "0.8,0.1,0.1",
    smallest: Annotated[
        float,
        typer.Option("--smallest", min=0, max=1, metavar="0..1", help="Smallest object, as a share of its picture."),
    ] = 0.005,
    most: Annotated[
        int, typer.Option("--most", min=1, metavar="N", help="Most sounding objects of a picture; for ms and msmi.")
    ] = 5,
    overlap: Annotated[
        float,
        typer.Option(
            "--overlap", min=0, max=1, metavar="0..1",
            help="Most of an object that may lie under a larger one for both to sound; for ms and msmi.",
        ),
    ] = 0.3,
    once: Annotated[bool, typer.Option("--once", help="No picture twice; for ss.")] = False,
    render: Annotated[
        ChannelsName | None,
        typer.Option("--render", help="Also write what each picture sounds like, into rendered/."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0.1, max=60, metavar="S", help="Length of --render [default: 3].")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it exists.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:  # fmt: skip
    """Pair pictures whose objects are marked with sounds of their categories, as VPO does.

    No picture and no sound is in two splits. vpo.json says where each comes from and under which licence.
    """
    from avis_cli.datasets.vpo_build import VpoOptions
    from avis_cli.datasets.vpo_catalogue import read_map, read_pictures

    if setting is SettingName.ss:
        for name, is_given in {"--most": most != 5, "--overlap": overlap != 0.3}.items():
            if is_given:
                raise UsageError(f"{name} with --setting ss", hint="one object sounds in each picture")
    elif once:
        raise UsageError(f"--once with --setting {setting.value}", hint="no picture comes twice there")
    if seconds is not None and render is None:
        raise UsageError("--seconds without --render", hint="sounds are written whole")
    known = {} if labels is None else read_map(labels, read_pictures(annotations, images).categories)
    options = VpoOptions(
        setting.value, seed, samples, _shares(shares), smallest, overlap, most, known, once,
        None if render is None else render.value, 3.0 if seconds is None else seconds,
    )  # fmt: skip
    cancellable(lambda token: _build(annotations, images, sounds, output, options, overwrite, token))
    console.result(str(output))


def _shares(text: str) -> tuple[float, float, float]:
    found = [decimal(part.strip()) for part in text.split(",")]
    shares = [float(share) for share in found if share is not None and share <= 1e6]
    if len(found) != 3 or len(shares) != 3 or not any(shares):
        raise UsageError(f"--shares {text!r}, expected three numbers such as 0.8,0.1,0.1, not all 0")
    return shares[0], shares[1], shares[2]


def _build(
    annotations: Path, images: Path, sounds: Path, output: Path, options: object, overwrite: bool, token: CancelToken
) -> None:
    from avis_cli.datasets.vpo_build import VpoOptions, build
    from avis_cli.files.atomic import output_tree

    assert isinstance(options, VpoOptions)
    with output_tree(output, overwrite=overwrite) as part, progress_bar(token) as progress:
        document = build(annotations, images, sounds, part, options, progress=progress, warn=console.warn)
    counts = ", ".join(f"{count} {split}" for split, count in document["counts"].items())
    console.note(f"{counts}; {len(document['pictures'])} pictures, {len(document['sounds'])} sounds")


add_command(app, build)


@app.callback()
def group() -> None:
    """Make sets of pictures and sounds in the layout of VPO."""
