"""``avis segment``: videos -> overlay, masks and tracks, one folder of results for each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.cli import console
from avis_cli.cli.console import Debug, Quiet

if TYPE_CHECKING:
    from avis_cli.model.inference import Model


def segment(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Video files, and folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Where results go.")] = Path("avis_out"),
    model: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="A preset, a weights file or hf://OWNER/REPO[@REVISION]/FILE.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.")] = "auto",
    fps: Annotated[str | None, typer.Option(metavar="RATE", help="Token frames per second (default: the preset's own).")] = None,
    mask_fps: Annotated[
        str | None, typer.Option(metavar="RATE|video", help="Mask frames per second; video: every frame.")
    ] = None,
    start: Annotated[str | None, typer.Option(metavar="TIME", help="Begin here: seconds or HH:MM:SS.s.")] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Stop here: seconds or HH:MM:SS.s.")] = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Score that a track must exceed.")] = 0.3,
    max_tracks: Annotated[int | None, typer.Option(min=1, help="Keep the best N tracks.")] = None,
    audio_track: Annotated[str | None, typer.Option(metavar="N|LANG", help="Which sound track, from 0, or its language.")] = None,
    allow_silent: Annotated[bool, typer.Option("--allow-silent", help="Run a video without sound as if it were silent.")] = False,
    mute: Annotated[bool, typer.Option("--mute", help="Silence in place of the sound: what the picture alone gives.")] = False,
    gate: Annotated[
        bool | None, typer.Option("--gate/--no-gate", help="No mask where the object is not heard (default: the preset's own).")
    ] = None,
    only: Annotated[str, typer.Option(metavar="LIST", help="Which results: overlay, masks, tracks.")] = "overlay,masks,tracks",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Walk folders below the given ones too.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Skip results made with the same settings, weights and input.")
    ] = False,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="Refuse pictures with more pixels.")] = None,
    offline: Annotated[bool, typer.Option("--offline", help="Never ask the network for weights.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per input on stdout instead of a path.")] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Find the objects that sound in each video; write an overlay, masks and tracks."""
