"""``index.html``: all clips of a folder run, to filter and sort; and what it says about each of them.

Every ``report.html`` carries the summary of its clip, from which the index of a later run reads it back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from avis_cli.errors import AnnotationError, OutputError
from avis_cli.files.strict_json import Node, parse
from avis_cli.results.clip import ClipResult, Track
from avis_cli.results.source import MAX_SECONDS
from avis_cli.writers.report.page_data import clip_span, seconds_covered
from avis_cli.writers.report.template import link, render
from avis_cli.writers.timeline import track_name

_ELEMENT = "summary"
_MAX_BYTES = 4 << 20  # a page is far smaller; anything larger is something else
_PICTURE = re.compile(r"data:image/jpeg;base64,[A-Za-z0-9+/]+={0,2}")


@dataclass(frozen=True)
class Summary:
    """``name``: of the clip; ``categories``: of its tracks, each once, the surest first; ``best``: the highest score,
    None without tracks; ``seconds``: in which anything sounds, of ``duration``; ``thumbnail``: a JPEG data URI."""

    name: str
    categories: tuple[str, ...]
    tracks: int
    best: float | None
    seconds: float
    duration: float
    thumbnail: str | None = None

    @classmethod
    def of(cls, result: ClipResult, thumbnail: str | None = None) -> Summary:
        """A result in short."""
        start, end = clip_span(result)
        return cls(
            name=result.source.file,
            categories=tuple(dict.fromkeys(short_label(track) for track in result.tracks)),
            tracks=len(result.tracks),
            best=max((track.score for track in result.tracks), default=None),
            seconds=round(seconds_covered(span for track in result.tracks for span in track.sounding), 3),
            duration=round(end - start, 3),
            thumbnail=thumbnail,
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def short_label(track: Track) -> str:
    """A track's category as one short line, whatever text its name is."""
    return track_name(track).removesuffix(f" {track.id}")


def read_summary(page: Path) -> Summary:
    """The summary inside a ``report.html``. Raises OutputError if the file is none that ``write_report`` wrote."""
    finder = _Finder()
    try:
        with page.open("rb") as file:
            finder.feed(file.read(_MAX_BYTES).decode("utf-8", "replace"))
        return _summary(parse("".join(finder.found)))
    except OSError as error:
        raise OutputError(f"cannot be read: {error.strerror or error}", file=page) from error
    except AnnotationError as error:
        raise OutputError(
            f"is no report page of avis ({error.cause}), so the index leaves it out",
            hint="make it again with --overwrite",
            file=page,
        ) from None


class _Finder(HTMLParser):
    """Collects the text of the element with the summary's id."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script" and ("id", _ELEMENT) in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found.append(data)


def _summary(document: Node) -> Summary:
    thumbnail, best = document.key("thumbnail"), document.key("best")
    if not thumbnail.is_null and not _PICTURE.fullmatch(thumbnail.text()):
        thumbnail.refuse("a JPEG picture")
    return Summary(
        name=document.key("name").text(),
        categories=tuple(name.text() for name in document.key("categories").items()),
        tracks=document.key("tracks").integer(),
        best=None if best.is_null else best.number(0, 1),
        seconds=document.key("seconds").number(0, MAX_SECONDS),
        duration=document.key("duration").number(0, MAX_SECONDS),
        thumbnail=thumbnail.value,
    )


def write_index(path: Path, entries: Sequence[tuple[Path, Summary]]) -> None:
    """Write the page to ``path``. ``entries``: each clip's ``report.html`` and what is said about the clip."""
    folder = path.parent.absolute()
    categories = sorted({name for _, summary in entries for name in summary.categories}, key=str.casefold)
    page = render(
        "index.html",
        scripts=("theme.js", "index.js"),
        styles=("theme.css", "index.css"),
        categories=categories,
        clips=[(link(report.absolute(), folder), summary) for report, summary in entries],
    )
    path.write_bytes(page)
