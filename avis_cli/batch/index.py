"""``index.html``: one page that leads to the report of every input of a run, in the folder their results go to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from avis_cli.batch.job import Job
from avis_cli.errors import OutputError

_NAME = "index.html"
_MARK = b"<title>What sounds in "  # near the beginning of every index that avis wrote


def write_run_index(output: Path, jobs: Iterable[Job], warn: Callable[[str], None]) -> None:
    """List every report that the jobs have by now, whichever run or part of a run made it; with none, no page.

    Where the page cannot be written ``warn`` is told: the results themselves are complete.
    """
    from avis_cli.files.atomic import output_file
    from avis_cli.writers.report import read_summary, write_index

    entries = []
    for job in jobs:
        report = job.target / "report.html"
        if not os.path.isfile(report):  # False for a name that is too long, too
            continue
        try:
            entries.append((report, read_summary(report)))
        except OutputError as error:
            warn(str(error))
    if not entries:
        return
    page = output / _NAME
    try:
        if page.is_file() and _MARK not in page.read_bytes()[:2000]:
            raise OutputError("is no index of avis and would be lost", hint="move it away", file=page)
        with output_file(page, overwrite=True) as part:
            write_index(part, entries)
    except (OutputError, OSError) as error:
        warn(f"there is no index of the run: {error}")
