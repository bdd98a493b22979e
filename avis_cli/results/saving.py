"""What every result of a clip can be made into: files, pictures, videos, the files of other tools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from PIL.Image import Image

PathLike = str | os.PathLike[str]


class Saving:
    """The methods of a result that write; `avis_cli.outputs` does the work."""

    def save(self, folder: PathLike, video: PathLike | None = None, **more: Any) -> None:
        """Write ``tracks.json`` (``maps.json`` of class maps) and ``masks/`` to a new ``folder``, and where the clip is
        known, or given as ``video``, ``overlay.mp4`` and ``report.html``: what ``avis segment`` writes.

        ``more``: ``only`` (some of these), ``overwrite=True`` for a folder that has results, ``progress``, ``warn``,
        and the drawing settings of ``avis segment`` (``style="outline"``). Raises OutputError, MediaError or
        UsageError.
        """
        import avis_cli

        avis_cli.save_result(cast(Any, self), folder, video, **more)

    def render(self, path: PathLike, video: PathLike | None = None, **more: Any) -> None:
        """Write the overlay, an MP4 file, to ``path``. ``video``: the clip, where it is not known or has moved.

        ``more``: ``overwrite``, ``progress``, ``warn``, and the drawing settings of ``avis render``. Raises
        OutputError, MediaError, UsageError, or AnnotationError for a clip of another size.
        """
        import avis_cli

        avis_cli.render_result(cast(Any, self), path, video, **more)

    def export(self, format: str, path: PathLike, video: PathLike | None = None, **more: Any) -> None:
        """Write the file or folder ``path`` of another tool. ``format``: a name that ``avis export --to`` takes;
        ``video``: the clip, for formats with pictures.

        ``more``: ``overwrite``, ``progress``, ``warn``. Raises OutputError, MediaError or UsageError.
        """
        import avis_cli

        avis_cli.export_result(cast(Any, self), format, path, video, **more)

    def plot(self, time: float | None = None, video: PathLike | None = None, **settings: Any) -> Image:
        """A picture (Pillow) to look at: without ``time`` who sounds when, with it the masks at ``time`` seconds, over
        the clip where it is known, or given as ``video``.

        ``settings``: the drawing settings of ``avis segment``. Raises UsageError, MediaError or AnnotationError.
        """
        import avis_cli

        return avis_cli.plot_result(cast(Any, self), time, video, **settings)
