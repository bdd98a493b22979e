"""``report.html``: one clip's result as a page to look at, play and search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from avis_cli.media.clip_info import Waveform
from avis_cli.results.clip import ClipResult, Track
from avis_cli.writers.colours import text_colour
from avis_cli.writers.report.index import Summary, short_label
from avis_cli.writers.report.page_data import (
    PageMasks,
    clip_span,
    fit_masks,
    join_nearest,
    seconds_covered,
    spans_per_track,
    wave_columns,
)
from avis_cli.writers.report.pictures import Pictures
from avis_cli.writers.report.template import embedded_json, link, render
from avis_cli.writers.style import Palette, palette
from avis_cli.writers.timeline import track_name

MAX_BYTES = 295_000  # of a page, without its videos
PATTERNS = 6  # ways of hatching that tell tracks apart without colour

_SPARE = 3_000  # bytes for what is written about the masks themselves
_SCRIPTS = (
    "theme.js",
    "run_length.js",
    "masks.js",
    "player.js",
    "timeline.js",
    "cards.js",
    "track_list.js",
    "report.js",
)
_MANY = 12  # tracks; more have smaller cards
_STYLES = ("theme.css", "report.css")
_OF_OBJECTS = {"one": "object", "many": "objects", "lane": "track", "lanes": "Tracks"}
_OF_CLASSES = {"one": "class", "many": "classes", "lane": "class", "lanes": "Classes"}


def write_report(
    path: Path,
    result: ClipResult,
    *,
    overlay: str | None,
    source: Path | None,
    waveform: Waveform | None = None,
    pictures: Pictures | None = None,
    colours: Palette | None = None,
) -> Summary:
    """Write the page to ``path``, in less than 300 kB whatever the clip's length.

    ``overlay``: the overlay's path relative to the page, None if there is none; ``source``: the video the result was
    made from, which the page links to, None if it cannot be had; ``waveform``: what the timeline shows; ``colours``:
    of the tracks, the default palette if None. Masks are
    made smaller and fewer, and at last the least certain tracks left out, where that is needed for the size, which the
    page then says. Returns what an index says
    about the clip.
    """
    pictures = pictures or Pictures()
    summary = Summary.of(result, pictures.thumbnail)
    links = {
        "overlay": None if overlay is None else link(overlay, "."),
        "source": None if source is None else link(source.absolute(), path.parent.absolute()),
    }
    page = _Page(result, summary, waveform, links, colours or palette())
    length = len(page.render())
    while length > MAX_BYTES - _SPARE and page.tracks:
        page = replace(page, most=len(page.tracks) // 2)
        length = len(page.render())
    room = MAX_BYTES - _SPARE - length
    page = replace(page, crops=pictures.largest_share(room // 2, page.tracks))
    room -= sum(map(len, page.crops.values()))
    shown = replace(result, tracks=page.tracks)
    path.write_bytes(page.render(fit_masks(shown, room)))
    return summary


@dataclass(frozen=True)
class _Page:
    """All that a page holds besides the masks. ``most``: how many tracks it has room for, None: all."""

    result: ClipResult
    summary: Summary
    waveform: Waveform | None
    links: dict[str, str | None]
    colours: Palette
    most: int | None = None
    crops: dict[int, str] = field(default_factory=dict)

    @property
    def tracks(self) -> tuple[Track, ...]:
        """The surest ones."""
        return self.result.tracks[: self.most]

    @property
    def words(self) -> dict[str, str]:
        """What a lane is called."""
        return _OF_CLASSES if self.result.of_classes else _OF_OBJECTS

    def render(self, masks: PageMasks | None = None) -> bytes:
        """As UTF-8; without ``masks`` it has none, which is how its length is measured."""
        span = clip_span(self.result)
        most = spans_per_track(len(self.tracks))
        drawn = masks or PageMasks((1, 1), [], [], 1)
        wave = None if self.waveform is None else wave_columns(self.waveform, span)
        data = {
            **self.links,
            "width": self.result.source.width,
            "height": self.result.source.height,
            "span": [round(span[0], 3), round(span[1], 3)],
            "wave": wave,
            "tracks": [_track_data(track, self.colours, most) for track in self.tracks],
            "masks": {"size": drawn.size, "times": drawn.times, "counts": drawn.counts},
        }
        return render(
            "report.html",
            scripts=_SCRIPTS,
            styles=_STYLES,
            rules=_colour_rules(self.tracks, self.colours),
            data=embedded_json(data),
            summary=embedded_json(self.summary.to_dict()),
            result=self.result,
            words=self.words,
            best=self.summary,
            tracks=[_card(track, index, self.crops.get(track.id)) for index, track in enumerate(self.tracks)],
            notes=self._notes(most, drawn),
            has_overlay=self.links["overlay"] is not None,
            has_source=self.links["source"] is not None,
            is_many=len(self.tracks) > _MANY,
            start=span[0],
            end=span[1],
        )

    def _notes(self, most: int, masks: PageMasks) -> list[str]:
        """What the page leaves out, a sentence each."""
        notes = _mask_notes(replace(self.result, tracks=self.tracks), masks)
        if len(self.tracks) < len(self.result.tracks):
            most_of_all = f"the {len(self.tracks)} surest of {len(self.result.tracks)} {self.words['lanes'].lower()}"
            notes.append(f"This page has room for {most_of_all}.")
        if any(len(track.sounding) > most for track in self.tracks):
            notes.append(
                f"{self.words['lanes']} with more than {most} intervals are shown with their shortest pauses closed."
            )
        return notes


def _track_data(track: Track, colours: Palette, most: int) -> dict[str, Any]:
    """What the page's script reads; times in seconds on the clip's clock."""
    return {
        "id": track.id,
        "name": track_name(track),
        "label": short_label(track),
        "score": round(track.score, 4),
        "seconds": round(seconds_covered(track.sounding), 3),
        "colour": colours.colour(track.id),
        "sounding": [[round(start, 3), round(end, 3)] for start, end in join_nearest(track.sounding, most)],
    }


def _card(track: Track, index: int, crop: str | None) -> dict[str, Any]:
    return {
        "id": track.id,
        "name": track_name(track),
        "label": short_label(track),
        "percent": round(100 * track.score),
        "pattern": index % PATTERNS,
        "crop": crop,
        "seconds": seconds_covered(track.sounding),
    }


def _colour_rules(tracks: Sequence[Track], palette: Palette) -> str:
    """Each track's colour and the ink readable on it as custom properties: numbers only."""

    def rgb(colour: tuple[int, int, int]) -> str:
        return "#" + "".join(f"{level:02x}" for level in colour)

    colours = ((track.id, palette.colour(track.id)) for track in tracks)
    return "\n".join(f".t{id}{{--c:{rgb(colour)};--i:{rgb(text_colour(colour))}}}" for id, colour in colours)


def _mask_notes(result: ClipResult, masks: PageMasks) -> list[str]:
    if not any(mask is not None for track in result.tracks for mask in track.masks):
        return []
    if not masks.times:
        return ["This page has no room for the masks of so many tracks; the overlay and the mask images have them."]
    notes = []
    width, height = masks.size[1], masks.size[0]
    if masks.size != (result.source.height, result.source.width):
        notes.append(f"To keep this page small, the masks drawn over the source are {width}x{height} pixels.")
    if masks.step > 1:
        notes.append(
            f"To keep this page small, it has 1 of every {masks.step} mask frames ({len(masks.times)} of "
            f"{len(result.times)}): masks drawn over the source may lag. The overlay has them all."
        )
    return notes
