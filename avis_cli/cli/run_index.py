"""``index.html``: one page that leads to the report of every input of a run, in the folder their results go to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from avis_cli.cli import console
from avis_cli.errors import OutputError

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Job

_NAME = "index.html"


def write_run_index(output: Path, jobs: Iterable[Job]) -> None:
    """List every report that the jobs have by now, whichever run or part of a run made it; with none, no page.

    Where the page cannot be written the user is told: the results themselves are complete.
    """
    from avis_cli.writers.output_file import output_file
    from avis_cli.writers.report import read_summary, write_index

    entries = []
    for job in jobs:
        page = job.target / "report.html"
        if not page.is_file():
            continue
        try:
            entries.append((page, read_summary(page)))
        except OutputError as error:
            console.warn(str(error))
    if not entries:
        return
    try:
        with output_file(output / _NAME, overwrite=True) as part:
            write_index(part, entries)
    except (OutputError, OSError) as error:
        console.warn(f"there is no index of the run: {error}")
