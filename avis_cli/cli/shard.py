"""``--shard i/n``: the same command as n jobs of an array, each of which does its own part of the inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from avis_cli.cli.inputs import Job
from avis_cli.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part ``number`` of ``count``, counted from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/8``. Raises UsageError for a part that is none."""
        match = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text, re.ASCII)
        shard = None if match is None else cls(int(match[1]), int(match[2]))
        if shard is None or not 1 <= shard.number <= shard.count:
            raise UsageError(f"--shard {text!r}, expected i/n with i from 1 to n, such as 2/8")
        return shard

    def of(self, jobs: Iterable[Job]) -> list[Job]:
        """This part's jobs: in the order of their targets every count-th, whatever order they were found in."""
        return sorted(jobs, key=lambda job: job.target)[self.number - 1 :: self.count]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
