"""``avis info``: what a media file holds, as the decoder sees it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avis_cli.cli import console
from avis_cli.cli.console import Debug, Quiet
from avis_cli.cli.parameters import takes_options
from avis_cli.options import SegmentOptions
from avis_cli.text import printable

if TYPE_CHECKING:
    from fractions import Fraction

    from avis_cli.media.clip_info import AudioInfo, ClipInfo


@takes_options("max_pixels")
def info(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A video file.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
    options: SegmentOptions,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Say what a video file holds: picture, sound, exact rates, and anything unusual about it."""
    from avis_cli.media import decode

    clip = decode.probe(file, **options.limits)
    for warning in clip.warnings:
        console.warn(warning)
    if as_json:
        console.result(json.dumps(describe(clip), ensure_ascii=True))
        return
    for line in _text(clip):
        console.result(printable(line))  # tags inside a file may hold anything


def describe(clip: ClipInfo) -> dict[str, Any]:
    """A clip's description as plain JSON values; rates as exact fractions, times in seconds."""
    return {
        "file": clip.file,
        "width": clip.width,
        "height": clip.height,
        "rotation": clip.rotation,
        "mirrored": clip.mirrored,
        "sample_aspect_ratio": str(clip.sample_aspect_ratio),
        "codec": clip.codec,
        "duration": float(clip.duration),
        "frame_rate": None if clip.frame_rate is None else str(clip.frame_rate),
        "audio": None if clip.audio is None else clip.audio.index,
        "audio_tracks": [_describe_audio(track) for track in clip.audio_tracks],
        "warnings": list(clip.warnings),
    }


def _describe_audio(track: AudioInfo) -> dict[str, Any]:
    return {
        "index": track.index,
        "codec": track.codec,
        "sample_rate": track.sample_rate,
        "channels": track.channels,
        "language": track.language,
    }


def _text(clip: ClipInfo) -> list[str]:
    picture = f"picture   {clip.codec}, {clip.width}x{clip.height}, {_rate(clip.frame_rate)}"
    if clip.rotation or clip.mirrored:
        picture += f", turned {clip.rotation} degrees" + (" and mirrored" if clip.mirrored else "")
    if clip.sample_aspect_ratio != 1:
        picture += f", pixels {clip.sample_aspect_ratio.numerator}:{clip.sample_aspect_ratio.denominator}"
    lines = [f"file      {clip.file}", f"duration  {float(clip.duration):.3f} s", picture]
    for track in clip.audio_tracks:
        chosen = " (used)" if clip.audio is not None and track.index == clip.audio.index else ""
        language = f", {track.language}" if track.language else ""
        channels = "1 channel" if track.channels == 1 else f"{track.channels} channels"
        sound = f"{track.codec}, {track.sample_rate} Hz, {channels}"
        lines.append(f"sound {track.index}   {sound}{language}{chosen}")
    if not clip.audio_tracks:
        lines.append("sound     none")
    return lines


def _rate(rate: Fraction | None) -> str:
    if rate is None:
        return "unknown rate"
    return f"{rate} frames/s" if rate.denominator == 1 else f"{rate} = {float(rate):.3f} frames/s"
