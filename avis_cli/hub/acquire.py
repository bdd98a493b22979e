"""Released weights that come by themselves: fetched from one source after the other, checked, converted, kept.

What a released file has to be: of the checksum that is known of it (the manifest's, the Hub's, the start of it in the
file's own name, or the one it had when it was first fetched here), and its tensors exactly those of its network.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from avis_cli.errors import AvisError, OutputError, WeightsError
from avis_cli.files.locks import take_lock
from avis_cli.hub import download, sources, store, transfer
from avis_cli.hub.manifest import Entry, PublicFile, load_manifest
from avis_cli.hub.sources import Remote
from avis_cli.progress import Progress, silent
from avis_cli.text import printable

Note = Callable[[str], None]
POLL = 0.5  # seconds between two looks at whether another process has finished


def ignore(text: str) -> None:
    """The callback of callers who do not want to know."""


def model(entry: Entry, *, note: Note = ignore, progress: Progress = silent, force: bool = False) -> None:
    """Leaves the weights of ``entry`` where imported ones lie, from the first of its sources that has them.

    Two processes at once fetch them once. ``force``: also what is there already is fetched again. Raises WeightsError
    that says of each source why it did not, and what to do by hand.
    """
    target = store.imported_file(entry.name)
    with _alone(entry.name, note) as waited:
        if target.is_file() and (waited or not force):
            return
        failures: list[str] = []
        for source in entry.sources:
            if _from(source, entry, lambda path: _convert(path, entry, note, progress), failures, note, progress):
                return
    begun = any(store.downloads().glob(f"*/{transfer.PART}"))
    raise WeightsError(
        f"the weights of {entry.name} could not be fetched ({'; '.join(failures)})",
        hint="run it again, it goes on where it stopped, or by hand:" if begun else "by hand:",
        steps=by_hand(entry),
    )


def vggish(*, note: Note = ignore, progress: Progress = silent) -> Path:
    """The public VGGish weights, through which AVISM hears. Raises WeightsError as ``model`` does."""
    file = load_manifest().files.get("vggish")
    if file is None:
        raise WeightsError("the list of models names no source of VGGish")
    return public_file(file, note=note, progress=progress)


def public_file(file: PublicFile, *, note: Note = ignore, progress: Progress = silent) -> Path:
    """A file that several models need, fetched unless it is here. Raises WeightsError as ``model`` does."""
    target = store.public_file(file.released)
    with _alone(file.name, note):
        if target.is_file():
            return target
        if download.is_offline():
            failures = ["offline"]
        else:
            failures = []
            for source in file.sources:
                if _from(source, file, lambda path: _keep(path, target), failures, note, progress):
                    return target
    raise WeightsError(f"{file.released} could not be fetched ({'; '.join(failures)})")


@contextmanager
def from_address(address: str, *, note: Note = ignore, progress: Progress = silent) -> Iterator[Path]:
    """The file at any address that a source may have, for the block. Raises WeightsError with what to do by hand."""
    steps = (f"download {address} in a browser", "run `avis weights import FILE` with the file that was saved")
    if download.is_offline():
        raise WeightsError("offline, and given an address", hint="by hand:", file=address, steps=steps)
    if address.startswith(download.SCHEME):
        yield download.fetch(download.parse_url(address), progress=progress).path
        return
    with _alone(_key(address), note):
        folder = store.downloads() / _key(address)
        try:
            remote = sources.find(address)[0]
            path = transfer.fetch(remote, folder, announce=_announcer(remote, None, note), progress=progress)
        except WeightsError as error:
            raise WeightsError(error.cause, hint=error.hint, file=address, steps=steps) from error
        try:
            yield path
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def by_hand(entry: Entry) -> tuple[str, ...]:
    """What to do for weights that do not come by themselves, step by step."""
    if entry.made_by is not None:
        return (
            f"nobody published any, so train them: `{entry.made_by}`",
            "use them: `--model run/model.safetensors` in the place of the name",
        )
    if entry.released is None:
        return ("install avis-cli again",)
    # imported here: to list models needs no network
    from avis_cli.models import find_preset

    hears_itself = find_preset(entry.preset).config.audio == "own"
    return (
        f"download {entry.released} from {entry.download}",
        f"run `avis weights import {entry.released}`" + ("" if hears_itself else ", which fetches VGGish too"),
        f"use it: `avis segment CLIP --model {entry.name}`",
    )


def _from(
    source: str,
    wanted: Entry | PublicFile,
    use: Callable[[Path], None],
    failures: list[str],
    note: Note,
    progress: Progress,
) -> bool:
    """Whether ``source`` had the file and ``use`` could use it; else why not is among ``failures``."""
    origin = sources.origin_of(source)
    try:
        remotes = sources.find(source, wanted.released, wanted.preset if isinstance(wanted, Entry) else None)
    except WeightsError as error:
        failures.append(f"{origin}: {error.cause}")
        return False
    for remote in remotes:
        folder = store.downloads() / _key(remote.url)
        try:
            announce = _announcer(remote, wanted, note)
            path = transfer.fetch(remote, folder, announce=announce, progress=progress)
            try:
                sha256 = _verify(path, remote, wanted, progress)
                use(path)
                _pin(wanted, sha256, note)
                return True
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        except OutputError:
            raise  # there is no room, or no right to write: so it would be with what another source has
        except AvisError as error:
            failures.append(f"{origin}: {error.cause}")
    return False


def _announcer(remote: Remote, wanted: Entry | PublicFile | None, note: Note) -> transfer.Announce:
    """Says once what is fetched, from whom, how large it is and under which licence."""
    said: list[str] = []

    def announce(file: str, total: int | None, have: int) -> None:
        if said:
            return
        size = "size not told" if total is None else store.in_words(total)
        rest = f", {store.in_words(have)} of it are here already" if have else ""
        author = "" if wanted is None else wanted.source.partition(", https://")[0]
        whose = "" if wanted is None else f" for {wanted.name}, by {author}; licence: {wanted.licence}"
        said.append(file)
        note(printable(f"fetching {file} ({size}{rest}) from {remote.origin}{whose}"))

    return announce


def _verify(path: Path, remote: Remote, wanted: Entry | PublicFile, progress: Progress) -> str:
    """The checksum of a file that came; WeightsError if it is not one that is known of it."""
    found = store.checksum(path, progress)
    pinned = store.read_sidecar(store.pin(wanted.name))
    named = store.HASHED_NAME.search(wanted.released or "")
    for expected, who in (
        (wanted.released_sha256, "the list of models"),
        (named[1] if named else None, "its name"),
        (remote.sha256, remote.origin),
        (pinned, f"the first download, kept in {store.sidecar(store.pin(wanted.name))}"),
    ):
        if expected is not None and not found.startswith(expected):
            raise WeightsError(f"wrong checksum: sha256 {found}, but {who} says {expected}")
    return found


def _pin(wanted: Entry | PublicFile, sha256: str, note: Note) -> None:
    """Keeps the checksum of what came first, so that what comes later has to be the same."""
    pin = store.pin(wanted.name)
    if wanted.released_sha256 is not None or store.read_sidecar(pin) is not None:
        return
    with suppress(OutputError):  # without it the next download is checked as this one was
        store.write_sidecar(pin, sha256)
        note(f"{wanted.released} has sha256 {sha256}: kept, a later download has to have the same")


def _convert(path: Path, entry: Entry, note: Note, progress: Progress) -> None:
    from avis_cli.hub.convert import import_released

    def sound() -> Path:
        return vggish(note=note, progress=progress)

    import_released(path, name=entry.preset, overwrite=True, fetch_vggish=sound, progress=progress)


def _keep(path: Path, target: Path) -> None:
    from avis_cli.hub.convert import read_vggish

    read_vggish(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    except OSError as error:
        hint = "set AVIS_HOME to another folder"
        raise OutputError(f"cannot keep the weights ({error.strerror or error})", hint=hint, file=target) from error


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@contextmanager
def _alone(name: str, note: Note) -> Iterator[bool]:
    """For the block no other process fetches ``name``; yields whether one had to be waited for."""
    folder = store.downloads()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / f"{name}.lock").open("ab")
    except OSError as error:
        cause = f"cannot keep the download ({error.strerror or error})"
        raise WeightsError(cause, hint="set AVIS_HOME to another folder", file=folder) from error
    waited = False
    with file:
        while take_lock(file) is False:  # None: no locks on this drive, so each fetches for itself
            if not waited:
                note(f"another process is fetching {name}: waiting for it")
            waited = True
            time.sleep(POLL)
        yield waited
