"""The records of a run's shards, ``run-I-of-N.json``, put together: one ``run.json``, and what is missing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from avis_cli.batch.record import FORMAT, write_document
from avis_cli.errors import AnnotationError, OutputError
from avis_cli.files.json_file import read_json
from avis_cli.files.numbers import whole_number
from avis_cli.files.strict_json import Node
from avis_cli.writers.result_folder import MANIFEST

_SHARD = re.compile(r"run-([1-9]\d{0,8})-of-([1-9]\d{0,8})\.json", re.ASCII)
_STATES = ("complete", "failed", "pending")


@dataclass(frozen=True)
class Entry:
    """An input of a run, as a record has it. ``status``: "complete", "failed", "pending", or "missing" where the record
    says complete and the results are not there."""

    input: str
    target: Path
    status: str
    error: str | None
    document: dict[str, Any] = field(repr=False, hash=False, compare=False)


@dataclass(frozen=True)
class Collected:
    """``entries``: every input that a shard has recorded, by the name of its results; ``missing``: numbers of shards
    without a record, of ``shards``; ``differing``: keys of settings in which shards do not agree."""

    entries: list[Entry]
    missing: list[int]
    shards: int
    differing: list[str]

    def of(self, *statuses: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.status in statuses]


def collect_records(output: Path) -> Collected:
    """Read the records in ``output`` and write ``run.json`` from those of shards, if there are any.

    Raises OutputError where there is no record at all, or shards of runs that were divided in different ways;
    AnnotationError for a record that is none.
    """
    shards = _shards(output)
    if not shards:
        entries, head = _read(output / "run.json", output)
        return Collected(entries, [], 1, [])
    counts = sorted({count for _, count in shards})
    if len(counts) > 1:
        listed = " and ".join(map(str, counts))
        hint = "remove the records (run-I-of-N.json) of those that do not count"
        raise OutputError(f"holds records of runs in {listed} shards", hint=hint, file=output)
    entries, heads = [], []
    for number in sorted(number for number, _ in shards):
        found, head = _read(output / f"run-{number}-of-{counts[0]}.json", output)
        entries += found
        heads.append(head)
    entries.sort(key=lambda entry: entry.target)
    _refuse_twice(entries, output)
    differing = sorted({key for head in heads for key in head if head[key] != heads[0].get(key)} - {"shard", "weights"})
    known = [head["weights"] for head in heads if head["weights"] is not None]
    if any(weights != known[0] for weights in known):
        differing.append("weights")
    whole = {**heads[0], "shard": None, "weights": known[0] if known else None}
    write_document(output / "run.json", {**whole, "inputs": [entry.document for entry in entries]})
    numbers = {number for number, _ in shards}
    return Collected(
        entries, [number for number in range(1, counts[0] + 1) if number not in numbers], counts[0], differing
    )


def _shards(output: Path) -> list[tuple[int, int]]:
    """Number and count of every shard that has a record."""
    try:
        names = os.listdir(output)
    except OSError as error:
        hint = "give the folder of results, -o of avis segment"
        raise OutputError(f"cannot be read: {error.strerror or error}", hint=hint, file=output) from None
    matches = [match for match in map(_SHARD.fullmatch, names) if match is not None]
    found = [(whole_number(match[1]) or 0, whole_number(match[2]) or 0) for match in matches]
    if not found and "run.json" not in names:
        cause = "holds no record of a run (run.json, or run-I-of-N.json of its shards)"
        raise OutputError(cause, hint="give the folder of results, -o of avis segment", file=output)
    return found


def _read(path: Path, output: Path) -> tuple[list[Entry], dict[str, Any]]:
    top = read_json(path)
    if top.key("format").value != FORMAT:
        top.key("format").refuse(f'"{FORMAT}"', hint="give a folder that avis segment wrote")
    head = {key: top.key(key).value for key in ("format", "version", "tool", "shard", "settings", "weights")}
    return [_entry(node, output) for node in top.key("inputs").items()], head


def _entry(node: Node, output: Path) -> Entry:
    place = PurePosixPath(node.key("output").text())
    if place.is_absolute() or ".." in place.parts or not place.parts:
        node.key("output").refuse("a path below the folder")
    status = node.key("status").text()
    if status not in _STATES:
        node.key("status").refuse(f"one of {', '.join(_STATES)}")
    target = output.joinpath(*place.parts)
    if status == "complete" and not os.path.lexists(target / MANIFEST):
        status = "missing"
    error = node.key("error")
    return Entry(node.key("input").text(), target, status, None if error.is_null else error.text(), node.value)


def _refuse_twice(entries: list[Entry], output: Path) -> None:
    for one, other in pairwise(entries):
        if one.target == other.target:
            raise AnnotationError(
                f"two shards have {other.target.name}", hint="were they given the same inputs?", file=output
            )
