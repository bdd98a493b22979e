"""``index.html``: all clips of a folder run, to filter and sort."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from avis_cli.writers.report.links import link
from avis_cli.writers.report.summary import Summary
from avis_cli.writers.report.template import render


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
