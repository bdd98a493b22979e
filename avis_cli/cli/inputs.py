"""What the user named on the command line -> the files to work on, and where the results of each go."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from avis_cli.errors import MediaError

EXTENSIONS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".3gp", ".wmv",
    ".ogv",
)  # fmt: skip
"""What a folder is searched for; a file named by itself may be called anything."""


@dataclass(frozen=True)
class Job:
    """One input and the folder its results go to."""

    source: Path
    target: Path


def collect(inputs: Iterable[Path], output: Path, *, recursive: bool) -> list[Job]:
    """A job for every file and for every video in a folder, each file once, no two with one target.

    The tree below a folder is mirrored under ``output``. Raises MediaError for a folder without videos.
    """
    jobs: list[Job] = []
    sources: set[str] = set()
    targets: set[str] = set()
    for path in inputs:
        for source, place in _files(path, output, recursive):
            identity = os.path.realpath(source)
            if identity in sources:
                continue
            sources.add(identity)
            target = _free(output / place, targets)
            targets.add(_key(target))
            jobs.append(Job(source, target))
    return jobs


def _files(path: Path, output: Path, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """Files with their place below the output folder."""
    if not path.is_dir():
        yield path, Path(path.name)
        return
    own = os.path.realpath(output)
    found = False
    for folder, folders, names in os.walk(path):
        # earlier results are no input; hidden folders are nobody's videos
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and os.path.realpath(os.path.join(folder, name)) != own
        )
        for name in sorted(names):
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                found = True
                file = Path(folder, name)
                yield file, file.relative_to(path)
        if not recursive:
            break
    if not found:
        wanted = " ".join(EXTENSIONS)
        hint = "give files by name" if recursive else "give files by name, or --recursive to look into folders below"
        raise MediaError(f"a folder without videos (looked for {wanted})", hint=hint, file=path)


def _free(target: Path, taken: set[str]) -> Path:
    """``target``, or with a number behind its name if another input's results go there."""
    candidate, number = target, 1
    while _key(candidate) in taken:
        number += 1
        candidate = target.with_name(f"{target.name}.{number}")
    return candidate


def _key(target: Path) -> str:
    # some file systems do not tell X.mp4 from x.mp4
    return os.fspath(target).casefold()
