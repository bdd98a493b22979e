"""``avis collect``: what became of a run that was divided among jobs, in one record and one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from avis_cli.batch.collect import Collected, collect_records
from avis_cli.batch.record import write_run_index
from avis_cli.cli import console
from avis_cli.cli.command import examples
from avis_cli.cli.console import Debug, Quiet
from avis_cli.errors import UsageError
from avis_cli.files.stores import without_secrets

SOME_MISSING = 3  # exit code where some inputs have no results
_SHOWN = 10  # numbers of shards in a line


@examples(
    ("How far an array is: a page of all reports, and the inputs without results", "avis collect results"),
    ("The same as figures", "avis collect results --json"),
)
def collect(
    output: Annotated[str, typer.Argument(metavar="DIR", help="The folder of results: -o of avis segment.")],
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON with all counts in place of the inputs.")
    ] = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Put together what the jobs of an array wrote: run.json, index.html, and the inputs that have no results."""
    if "://" in output:
        hint = "copy run*.json and the manifests to a folder of this machine"
        raise UsageError(f"{without_secrets(output)!r}, expected a folder of this machine", hint=hint)
    folder = Path(output)
    found = collect_records(folder)
    write_run_index(folder, [entry.target for entry in found.of("complete")], console.warn)
    _tell(found)
    left = found.of("failed", "pending", "missing")
    if as_json:
        console.result(json.dumps(_counts(found)))
    else:
        for entry in left:
            console.result(entry.input)
    if left or found.missing:
        raise typer.Exit(SOME_MISSING if found.of("complete") else 1)


def _counts(found: Collected) -> dict[str, object]:
    counts = {status: len(found.of(status)) for status in ("complete", "failed", "pending", "missing")}
    return {"inputs": len(found.entries), **counts, "shards": found.shards, "missing_shards": found.missing}


def _tell(found: Collected) -> None:
    for entry in found.of("failed"):
        console.note(f"{entry.input}: {entry.error}" if entry.error is not None else f"{entry.input}: failed")
    for entry in found.of("missing"):
        console.note(f"{entry.input}: recorded as complete, but {entry.target} has no results")
    if found.missing:
        listed = ", ".join(map(str, found.missing[:_SHOWN]))
        more = len(found.missing) - _SHOWN
        listed += f" and {more} more" if more > 0 else ""
        console.warn(f"of {found.shards} shards these have written no record yet: {listed}")
    for key in found.differing:
        console.warn(f"not all shards had the same {key}")
    counts = {status: len(found.of(status)) for status in ("complete", "failed", "pending", "missing")}
    console.note(f"{len(found.entries)} inputs: {', '.join(f'{count} {status}' for status, count in counts.items())}")
