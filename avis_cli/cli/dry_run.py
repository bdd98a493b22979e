"""``--dry-run``: what a run would do, one line for each input, without the network and without leaving a trace."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from avis_cli.cli import console
from avis_cli.cli.batch import Batch, concerns_all
from avis_cli.errors import AvisError

if TYPE_CHECKING:
    from avis_cli.cli.inputs import Job


def dry_run(batch: Batch, jobs: list[Job], *, as_json: bool) -> int:
    """Prints each job's line and returns how many would be refused. Raises AvisError for what concerns all."""
    refusals = 0
    for job in jobs:
        reason = None
        try:
            verb = "segment" if batch.would_segment(job) else "skip"
        except AvisError as error:
            if concerns_all(error):
                raise
            refusals += 1
            verb, reason = "refuse", str(error)
        if as_json:
            line = {"would": verb, "input": str(job.source), "output": str(job.target), "reason": reason}
            console.result(json.dumps(line))
        else:
            console.result(f"would {verb} {job.source} -> {job.target}{'' if reason is None else f' ({reason})'}")
    return refusals
