"""What the user named -> the files to work on, where the results of each go, and which part of them a shard does."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from avis_cli.batch.job import Job, concerns_all
from avis_cli.errors import AvisError, MediaError, UsageError
from avis_cli.files import stores
from avis_cli.files.missing import as_typed, why_missing
from avis_cli.files.numbers import whole_number
from avis_cli.files.picture_names import PICTURES, is_picture
from avis_cli.files.stores import Location, StorePath
from avis_cli.writers.result_folder import MANIFEST

EXTENSIONS = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".flv", ".3gp", ".wmv",
    ".ogv",
)  # fmt: skip
"""What a folder is searched for; a file named by itself may be called anything."""

# names that mean a device on Windows, whatever follows the first dot
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9\u00b9\u00b2\u00b3]) *(\.|\Z)", re.IGNORECASE)

OWN_FOLDER = ".avis"
"""What the folder of results is called behind the name of a video that lies where it would go."""

_LONGEST = 255  # bytes of a name, on nearly every file system


@dataclass(frozen=True)
class Found:
    """The work to do, and what is wrong with the folders that give none."""

    jobs: list[Job]
    refused: list[AvisError]


@dataclass(frozen=True)
class Shard:
    """Shard ``number`` of ``count``, counted from 1: a run split over the jobs of an array."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """``2/8``. Raises UsageError for a shard that is none."""
        number, _, count = text.partition("/")
        shard = cls(whole_number(number) or 0, whole_number(count) or 0)
        if not 1 <= shard.number <= shard.count:
            raise UsageError(f"--shard {text!r}, expected i/n with i from 1 to n, such as 2/8")
        return shard

    @classmethod
    def of_array(cls, environment: Mapping[str, str]) -> Shard | None:
        """The shard that a job of a SLURM array does, from its variables; None elsewhere.

        Raises UsageError for an array whose numbers have gaps: which part each job has cannot be told then.
        """
        if "SLURM_ARRAY_TASK_ID" not in environment:
            return None
        names = ("ID", "COUNT", "MIN", "MAX", "STEP")
        values = {name: whole_number(environment.get(f"SLURM_ARRAY_TASK_{name}", "")) for name in names}
        id, count, low, high, step = (values[name] for name in names)
        if id is not None and count is not None and low is not None and high is not None and step:
            number, rest = divmod(id - low, step)
            if rest == 0 and low <= id <= high and (high - low) // step + 1 == count:
                return cls(number + 1, count)
        given = ", ".join(f"{name} {environment.get(f'SLURM_ARRAY_TASK_{name}', 'missing')}" for name in names)
        raise UsageError(f"the numbers of this job array have gaps ({given})", hint="give --shard I/N, 1/1 for all")

    def of(self, jobs: Iterable[Job]) -> list[Job]:
        """This shard's jobs: in the order of their targets every count-th, whatever order they were found in."""
        return sorted(jobs, key=lambda job: job.target)[self.number - 1 :: self.count]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def _ignore(note: str) -> None:
    """For callers who want no notes."""


def collect(
    inputs: Iterable[Location],
    output: Location,
    *,
    recursive: bool = False,
    pictures: bool = False,
    note: Callable[[str], None] = _ignore,
) -> Found:
    """A job for every file and for every video in a folder, each file once, no two with one target.

    The tree below a folder is mirrored under ``output``, with names that ``safe_name`` makes possible everywhere.
    ``pictures``: it is folders of pictures that are wanted, each of which is one clip; folders that hold videos are
    refused. Hidden files and earlier results are left out; ``note`` is told in a line each what else is. In a store a
    path may have wildcards, and what it names is a folder where files lie below it.
    """
    found = Found([], [])
    sources: set[str] = set()
    targets: set[str] = set()
    for path in inputs:
        try:
            files = list(_files(path, recursive, pictures, note))
        except AvisError as error:
            if concerns_all(error):
                raise
            found.refused.append(error)
            continue
        for source, place, size in files:
            identity = os.path.realpath(source) if isinstance(source, Path) else source.url
            if identity in sources:
                continue
            sources.add(identity)
            target = output.joinpath(*map(safe_name, place.parts))
            if isinstance(target, Path) and isinstance(source, Path) and _is_same_file(target, source):
                target = target.with_name(_with(target.name, "", OWN_FOLDER))
                note(f"{source}: the results go to {target}{os.sep}, since its own name is taken by the video itself")
            target = _free(target, targets)
            targets.add(_key(target))
            found.jobs.append(Job(source, target, size=size))
    return found


def _files(
    path: Location, recursive: bool, pictures: bool, note: Callable[[str], None]
) -> Iterator[tuple[Location, PurePath, int | None]]:
    """What an input names, the place of each below the results, and its bytes as far as a store has listed them."""
    if isinstance(path, StorePath):
        yield from _stored(path, recursive, note)
    elif not os.path.isdir(path):
        _refuse_address(path)
        yield path, Path(path.name), None
    else:
        found = _picture_folders(path, recursive) if pictures else _videos(path, recursive, note)
        yield from ((source, place, None) for source, place in found)


def _refuse_address(path: Path) -> None:
    """Raise MediaError for an address of a page: as an input its signature would name the results."""
    if not os.path.lexists(path):
        cause, hint = why_missing(path)
        if hint is not None:
            raise MediaError(cause, hint=hint, file=as_typed(path), usage=True)


def _stored(
    path: StorePath, recursive: bool, note: Callable[[str], None]
) -> Iterator[tuple[StorePath, PurePath, int | None]]:
    """The same of a store. Raises MediaError where a folder has no videos, or nothing is there."""
    if stores.has_wildcards(path):
        yield from ((file, PurePosixPath(file.name), size) for file, size in stores.expand(path).items())
        return
    below = stores.files_below(path, recursive=True)
    if not below:
        size = None
        with suppress(FileNotFoundError):  # said when it is its turn
            size = stores.size_of(path)
        yield path, PurePosixPath(path.name), size
        return
    earlier = {place.parent for place in below if place.name == MANIFEST}
    any_found = False
    for place, size in below.items():
        is_hidden = any(part.startswith(".") for part in place.parts)
        if not place.name.lower().endswith(EXTENSIONS) or earlier.intersection(place.parents):
            continue
        if is_hidden:
            note(f"{path.joinpath(*place.parts)}: hidden, left out")
        elif recursive or len(place.parts) == 1:
            any_found = True
            yield path.joinpath(*place.parts), place, size
    if not any_found:
        wanted = " ".join(EXTENSIONS)
        hint = "give files by name" if recursive else "give files by name, or --recursive to look into folders below"
        raise MediaError(f"a folder without videos (looked for {wanted})", hint=hint, file=str(path))


def listed(text: str, stdin: IO[bytes] | None) -> list[str]:
    """The paths in a list: ``@FILE``, a line for each, or ``@-`` for standard input. Blank lines and those that begin
    with # are left out. Raises MediaError for a list that cannot be read, UsageError for a line that is no path."""
    name = text.removeprefix("@")
    try:
        data = stdin.read() if name == "-" and stdin is not None else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        raise MediaError(f"cannot be read: {cause}", hint="a list of inputs: @FILE", file=as_typed(name)) from None
    found = []
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line == "-" or line.startswith("@") or "\0" in line:
            raise UsageError(f"{line!r}, expected a path or a URL", hint="./- is a file", file=f"{name}:{number}")
        found.append(line)
    if not found:
        raise MediaError("a list without inputs", hint="one path or URL in a line", file=name)
    return found


def _is_same_file(target: Path, source: Path) -> bool:
    try:
        return target.samefile(source)
    except (OSError, ValueError):  # one of them is not there, or no name at all
        return False


def safe_name(name: str) -> str:
    """``name`` as it is, or changed where Windows would take a folder of this name for a device or another folder.

    ``AUX.mp4`` -> ``_AUX.mp4``; ``clip.`` -> ``clip._``, since dots and spaces at the end are dropped there. The same
    on every system, so that results may be taken elsewhere and a rerun elsewhere finds them. Other characters stay,
    those that Windows has in no name (``a:b.mp4``) too: results are found by the name of their input.
    """
    return _with(name, "_" if _DEVICE.match(name) else "", "_" if name.endswith((".", " ")) else "")


def _with(name: str, before: str, behind: str) -> str:
    """``name`` with something added, cut where that would be more than a name may have."""
    kept, longest = name, max(_LONGEST, len(os.fsencode(name)))
    while len(os.fsencode(f"{before}{kept}{behind}")) > longest:
        kept = kept[:-1]
    return f"{before}{kept}{behind}"


def _videos(path: Path, recursive: bool, note: Callable[[str], None]) -> Iterator[tuple[Path, Path]]:
    """The videos in a folder with their places below it. Raises MediaError if there are none."""

    def tell(error: OSError) -> None:
        if error.filename == os.fspath(path):
            raise MediaError(f"cannot be read: {error.strerror or error}", file=path)
        note(f"{error.filename}: {error.strerror or error}, left out")

    any_found = any_pictures = False
    for folder, folders, names in os.walk(path, onerror=tell):
        # hidden folders are nobody's videos
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if MANIFEST in names:  # earlier results
            folders.clear()
            continue
        any_pictures = any_pictures or any(map(is_picture, names))
        for name in sorted(names):
            if not name.lower().endswith(EXTENSIONS):
                continue
            file = Path(folder, name)
            if name.startswith("."):
                note(f"{file}: hidden, left out")
                continue
            any_found = True
            yield file, file.relative_to(path)
        if not recursive:
            break
    if not any_found and any_pictures:
        hint = "--frame-rate N (pictures a second) takes it as one clip, --audio FILE gives its sound"
        raise MediaError("a folder of pictures without a frame rate", hint=hint, file=path, usage=True)
    if not any_found:
        wanted = " ".join(EXTENSIONS)
        hint = "give files by name" if recursive else "give files by name, or --recursive to look into folders below"
        raise MediaError(f"a folder without videos (looked for {wanted})", hint=hint, file=path)


def _picture_folders(path: Path, recursive: bool) -> Iterator[tuple[Path, Path]]:
    """The folders of pictures with their places: ``path`` itself, or it and those below it.

    Raises MediaError if there are none, or one holds videos too: then nobody knows what is meant.
    """
    any_found = False
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if MANIFEST in names:  # earlier results, whose masks are pictures too
            folders.clear()
            continue
        videos = [name for name in names if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
        if videos:
            hint = "leave out --frame-rate to take the videos, or move the pictures to a folder of their own"
            raise MediaError(f"a folder that holds a video ({min(videos)})", hint=hint, file=folder, usage=True)
        if any(map(is_picture, names)):
            any_found = True
            yield Path(folder), Path(Path(os.path.abspath(path)).name, os.path.relpath(folder, path))
        if not recursive:
            break
    if not any_found:
        below = None if recursive else "--recursive looks into the folders below"
        raise MediaError(f"a folder without pictures (looked for {' '.join(PICTURES)})", hint=below, file=path)


def _free(target: Location, taken: set[str]) -> Location:
    """``target``, or with a number behind its name if another input's results go there."""
    candidate, number = target, 1
    while _key(candidate) in taken:
        number += 1
        candidate = target.with_name(_with(target.name, "", f".{number}"))
    return candidate


def _key(target: Location) -> str:
    # some file systems do not tell X.mp4 from x.mp4, nor the two ways to write an accent
    return unicodedata.normalize("NFC", str(target)).casefold()
