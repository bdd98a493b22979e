"""From a result to files and pictures: its folder, the overlay, the files of other tools, a picture to look at.

``ClipResult.save``, ``render``, ``export`` and ``plot`` are these functions; the steps of a run write with them too.
``video`` is the clip itself, None for the path that the result remembers. ``settings`` are those of ``avis segment``
that say how a result is drawn, and those that say how the clip is read. ``warn`` is told
in a line each what is unusual about the clip or could not be kept. Nothing half-written stays behind.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avis_cli.errors import AnnotationError, UsageError
from avis_cli.export.export_request import Request
from avis_cli.export.formats import FORMATS, VideoUse, export
from avis_cli.files.atomic import output_file
from avis_cli.media import decode
from avis_cli.media.clip_info import ClipInfo
from avis_cli.options import SegmentOptions, declarations
from avis_cli.progress import Progress, silent
from avis_cli.results.clip import ClipResult
from avis_cli.results.semantic import SemanticResult
from avis_cli.writers import mask_images, overlay, report, tracks_json
from avis_cli.writers.plot import frame_picture, timeline_picture
from avis_cli.writers.result_folder import ResultFolder

if TYPE_CHECKING:
    from PIL.Image import Image

PathLike = str | os.PathLike[str]
Warn = Callable[[str], None]
AnyResult = ClipResult | SemanticResult

_OF_VIDEO = ("overlay", "report")  # results that are made with the clip's pictures
_READING = ("audio_track", "frame_rate", "audio", "max_pixels")  # settings that say how a clip is read


def _ignore(warning: str) -> None:
    """For callers who want no warnings."""


def write_results(
    folder: Path,
    result: AnyResult,
    clip: ClipInfo | None,
    options: SegmentOptions,
    progress: Progress,
    warn: Warn,
    *,
    linked: bool = True,
) -> None:
    """Every result that ``options.only`` names into ``folder``; without ``clip`` no overlay and no report. ``linked``:
    whether the report may lead to the clip's own file."""
    colours = options.draw.colours
    drawn = drawn_result(result)
    if "tracks" in options.only and isinstance(result, SemanticResult):
        (folder / "maps.json").write_text(result.to_json(), encoding="ascii", newline="\n")
    elif "tracks" in options.only:
        tracks_json.write_tracks(folder / "tracks.json", drawn)
    if "masks" in options.only:
        mask_images.write_masks(folder / "masks", drawn, colours=colours, progress=progress)
    if "overlay" in options.only and clip is not None:
        overlay.overlay_clip(
            folder / "overlay.mp4", drawn, clip, until=options.end, style=options.draw, progress=progress, warn=warn
        )
    if "report" in options.only and clip is not None:
        beside = "overlay.mp4" if "overlay" in options.only else None
        report.report_clip(
            folder / "report.html", drawn, clip, overlay=beside, colours=colours, linked=linked, warn=warn
        )


def save_result(
    result: AnyResult,
    folder: PathLike,
    video: PathLike | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    warn: Warn = _ignore,
    **settings: Any,
) -> None:
    """Write what ``avis segment`` writes of a clip to ``folder``: tracks.json and masks, and where the clip is given or
    known overlay.mp4 and report.html.

    ``only`` chooses among them. Raises UsageError for a result that needs the clip where there is none, OutputError
    where the folder cannot be written or has results already (without ``overwrite``), MediaError for the clip.
    """
    options = _options("save", result, settings, "only")
    wanted = [name for name in _OF_VIDEO if name in options.only]
    clip = None
    if wanted and (video is not None or result.video is not None):
        clip = _open_clip(result, video, options, warn)
    elif "only" in settings and wanted:
        raise _no_video(wanted[0])
    with ResultFolder(folder, overwrite=overwrite) as partial:
        write_results(partial, result, clip, options, progress, warn)


def render_result(
    result: AnyResult,
    path: PathLike,
    video: PathLike | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    warn: Warn = _ignore,
    **settings: Any,
) -> None:
    """Draw the result over its clip and write the video, as ``avis render`` does, to ``path``.

    Raises UsageError where the clip is neither given nor known, OutputError where ``path`` cannot be written or is
    there already (without ``overwrite``), MediaError for the clip, AnnotationError for one of another size.
    """
    options = _options("render", result, settings)
    clip = _open_clip(result, video, options, warn)
    if os.path.exists(path) and os.path.samefile(path, clip.file):
        raise UsageError("is read and written at once", hint="choose another name", file=path)
    with output_file(path, overwrite=overwrite) as part:
        overlay.overlay_clip(
            part, drawn_result(result), clip, until=options.end, style=options.draw, progress=progress, warn=warn
        )


def export_result(
    result: AnyResult,
    format: str,
    path: PathLike,
    video: PathLike | None = None,
    *,
    overwrite: bool = False,
    progress: Progress = silent,
    warn: Warn = _ignore,
) -> None:
    """Write the result as the file or folder ``path`` of another tool, as ``avis export`` does.

    ``format``: a name that ``avis export --to`` takes. ``video``: the clip, or the folder that it lies in; the one that
    the result knows is used where a format cannot do without. Raises UsageError for a format there is not and for a
    clip that is missing or of no use, OutputError where the format cannot hold the result or ``path`` not be written.
    """
    if format not in FORMATS:
        raise UsageError(f"format {format!r}, expected one of {', '.join(FORMATS)}")
    form = FORMATS[format]
    given = None if video is None else Path(video)
    if given is None and form.video is VideoUse.REQUIRED:
        if result.video is None:
            raise _no_video(format)
        given = Path(result.video)
    if given is not None and given.is_file() and os.path.exists(path) and given.samefile(path):
        raise UsageError("is read and written at once", hint="choose another name", file=path)
    export(Path(path), result, form, Request(given, progress=progress, warn=warn), overwrite=overwrite)


def plot_result(result: AnyResult, time: float | None = None, video: PathLike | None = None, **settings: Any) -> Image:
    """A picture to look at: without ``time`` who sounds when, with it what the overlay shows at ``time`` seconds.

    Where the clip is neither given nor known there is no waveform, and masks stand on a plain ground. Raises UsageError
    for a time that the clip does not have, MediaError for a clip that cannot be read, AnnotationError for one of
    another size.
    """
    options = _options("plot", result, settings)
    clip = None
    if video is not None or result.video is not None:
        clip = _open_clip(result, video, options, _ignore)
    if time is None:
        return timeline_picture(drawn_result(result), clip, options.draw.colours)
    return frame_picture(drawn_result(result), clip, float(time), options.draw)


def require_same_clip(result: AnyResult, clip: ClipInfo, file: PathLike | None = None) -> None:
    """Raise AnnotationError where the clip's pictures have another size than the masks. ``file``: the result's own."""
    source = result.source
    if (source.width, source.height) != (clip.width, clip.height):
        raise AnnotationError(
            f"its masks are {source.width}x{source.height} pixels, those of {clip.file} {clip.width}x{clip.height}",
            hint=f"give the clip it was made from ({source.file})",
            file=file,
        )


def drawn_result(result: AnyResult) -> ClipResult:
    """What writers take: of class maps each class as a track."""
    return result.as_tracks() if isinstance(result, SemanticResult) else result


def _options(verb: str, result: AnyResult, given: Mapping[str, Any], *more: str) -> SegmentOptions:
    """The settings given, and in place of the others those that the result was made with."""
    drawing = [name for name, declared, _ in declarations() if declared.decides == "drawing"]
    usable = [*drawing, *_READING, *more]
    for name in given:
        if name not in usable:
            raise TypeError(f"{verb} takes no setting {name!r}; it takes {', '.join(usable)}")
    recorded = {name: (result.options or {}).get(name) for name in ("start", "end", *_READING[:-1])}
    return SegmentOptions(**{**recorded, **given})


def _open_clip(result: AnyResult, video: PathLike | None, options: SegmentOptions, warn: Warn) -> ClipInfo:
    path = result.video if video is None else video
    if path is None:
        raise _no_video("the overlay")
    clip = decode.probe(path, **options.reading)
    for warning in clip.warnings:
        warn(warning)
    require_same_clip(result, clip)
    return clip


def _no_video(wanted: str) -> UsageError:
    return UsageError(
        f"{wanted} needs the clip's pictures, and this result does not know where it is", hint="video=PATH"
    )
