"""One result to one output in one format, complete or not there at all."""

from __future__ import annotations

from pathlib import Path

from avis_cli.errors import UsageError
from avis_cli.export.formats import Format, Video
from avis_cli.export.output_tree import output_tree
from avis_cli.export.request import Request
from avis_cli.files import partial
from avis_cli.files.output_file import output_file
from avis_cli.results.clip import ClipResult


def export(
    destination: Path, result: ClipResult, form: Format, request: Request | None = None, *, overwrite: bool = False
) -> None:
    """Write ``result`` to ``destination``, a file or a folder as ``form`` says.

    Raises OutputError where the format cannot hold the result, or the output is there already (without
    ``overwrite``); UsageError where the clip's video is needed and not given, or given and of no use.
    """
    request = request or Request()
    require_video(form, request)
    write = form.load()
    try:
        if form.folder_entries is None:
            with output_file(destination, overwrite=overwrite) as part:
                write(part, result, request)
        else:
            with output_tree(destination, form.folder_entries, overwrite=overwrite) as part:
                write(part, result, request)
    except OSError as error:  # what cannot be read is a MediaError
        raise partial.cannot_write(error, destination) from error


def require_video(form: Format, request: Request) -> None:
    """Raise UsageError if a video is missing or would not be looked at."""
    if form.video is Video.REQUIRED and request.video is None:
        raise UsageError(f"{form.name} takes pictures from the clip", hint="name it with --video PATH")
    if form.video is Video.NEVER and request.video is not None:
        raise UsageError(f"--video is not used by {form.name}", hint="leave it out")
