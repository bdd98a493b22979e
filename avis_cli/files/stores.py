"""Files in stores that are reached by URL (``s3://``, ``gs://``, ``hf://``, ``memory://``), through fsspec.

A store has no folders of its own, no renaming and no locks, and any request may fail: requests are tried again, and a
folder of results counts once its manifest is there, which is written last. What a URL says of a user, a password or a
signature is used and never told.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, TypeVar
from urllib.parse import unquote

from avis_cli.errors import AvisError, MediaError, OutputError, UsageError

Result = TypeVar("Result")

ATTEMPTS = 6
"""How often a request is made that fails for a reason that may pass."""
PAUSE = 0.25
"""Seconds before the second attempt, doubled before each other."""

_URL = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
_NOT_STORES = ("http", "https", "file", "local")  # pages, to be downloaded first; and files of this machine
_FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ImportError, ValueError, TypeError)


@dataclass(frozen=True, order=True)
class StorePath:
    """A file or folder in a store, used as a ``pathlib`` path is. ``url``: as it was given, without a slash at its end;
    ``str`` of it has no secrets."""

    url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def __repr__(self) -> str:  # stands in tracebacks and in what other libraries log
        return f"{type(self).__name__}({str(self)!r})"

    def __str__(self) -> str:
        match = _URL.fullmatch(self.url)
        assert match is not None
        place = _split_query(match[2])[0]
        host, slash, rest = place.partition("/")
        return f"{match[1]}://{host.rpartition('@')[2]}{slash}{rest}"

    @property
    def name(self) -> str:
        return _split_query(self.url)[0].rpartition("/")[2]

    @property
    def parent(self) -> StorePath:
        place, query = _split_query(self.url)
        return StorePath(place.rpartition("/")[0] + query)

    def joinpath(self, *parts: str) -> StorePath:
        place, query = _split_query(self.url)
        return StorePath("/".join([place, *parts]) + query)

    def __truediv__(self, part: str) -> StorePath:
        return self.joinpath(part)

    def with_name(self, name: str) -> StorePath:
        return self.parent.joinpath(name)

    def relative_to(self, folder: StorePath) -> PurePosixPath:
        """Where this is below ``folder``; ValueError where it is not."""
        return PurePosixPath(_split_query(self.url)[0]).relative_to(_split_query(folder.url)[0])

    def open(self, mode: str) -> IO[bytes]:
        """For reading only."""
        assert mode == "rb"
        opened: IO[bytes] = _tried(self, lambda store, path: store.open(path, mode))
        return opened


Location = Path | StorePath


def location(text: str) -> Location:
    """What the user typed: a path of this machine or a URL of a store."""
    match = _URL.fullmatch(text)
    return Path(text) if match is None or not _is_store(match[1].lower()) else StorePath(text)


def _is_store(scheme: str) -> bool:
    try:
        import fsspec
    except ImportError:  # said when the store is opened
        return scheme in ("s3", "gs", "hf", "memory")
    return scheme not in _NOT_STORES and scheme in {*fsspec.available_protocols(), *fsspec.registry}


def has_wildcards(path: StorePath) -> bool:
    """Whether it names several files at once."""
    return any(letter in _split_query(path.url)[0] for letter in "*?[")


def expand(path: StorePath) -> dict[StorePath, int]:
    """The files that a path with wildcards stands for, in order, with their bytes. Raises MediaError if there are
    none."""
    with _readable(path):
        details = _tried(path, lambda store, place: store.glob(place, detail=True))
    files = {name: about for name, about in sorted(details.items()) if about.get("type") != "directory"}
    found = {_beside(path, name): _size(about) for name, about in files.items()}
    if not found:
        raise MediaError("no such files", hint="quote the URL, or the shell may change it", file=str(path))
    return found


def files_below(folder: StorePath, *, recursive: bool = True) -> dict[PurePosixPath, int]:
    """Every file in a folder, with its bytes, in order. Empty where there is no such folder."""
    depth = None if recursive else 1

    def find(store: Any, place: str) -> dict[PurePosixPath, int]:
        details = store.find(place, maxdepth=depth, detail=True)
        root = place.rstrip("/") + "/"
        below = {name: about for name, about in details.items() if name.startswith(root)}
        return {PurePosixPath(name[len(root) :]): _size(below[name]) for name in sorted(below)}

    try:
        with _readable(folder):
            return _tried(folder, find)
    except FileNotFoundError:
        return {}


def size_of(path: StorePath) -> int:
    """Bytes of a file. Raises FileNotFoundError, MediaError."""
    with _readable(path):
        return _size(_tried(path, lambda store, place: store.info(place)))


def read(path: StorePath) -> bytes:
    """A small file as a whole. Raises FileNotFoundError, MediaError."""
    with _readable(path):
        return bytes(_tried(path, lambda store, place: store.cat_file(place)))


def write(path: StorePath, data: bytes) -> None:
    """Replace a small file. Raises OutputError."""
    with _written(path):
        _tried(path, lambda store, place: store.pipe_file(place, data))


def remove(path: StorePath) -> None:
    """Remove a file, if it is there. Raises OutputError."""
    with _written(path):
        try:
            _tried(path, lambda store, place: store.rm_file(place))
        except FileNotFoundError:
            return


def fetch(path: StorePath, destination: Path) -> None:
    """Copy a file to this machine. Raises MediaError, also where there is too little room for it."""
    try:
        size, free = size_of(path), _free(destination.parent)
        if size > free:
            hint = f"make room in {destination.parent}, or set TMPDIR to another place"
            raise MediaError(f"{size} bytes to be copied, {free} are free", hint=hint, file=str(path))
        _tried(path, lambda store, place: store.get_file(place, os.fspath(destination)))
    except AvisError:
        raise
    except Exception as error:
        if destination.exists():
            destination.unlink()
        cause = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read: {_said(error, path)}"
        raise MediaError(cause, file=str(path)) from None
    if size and destination.stat().st_size != size:
        raise MediaError(f"{destination.stat().st_size} bytes came of {size}", hint="run again", file=str(path))


def upload(folder: Path, target: StorePath, last: str) -> None:
    """Copy every file below ``folder`` to ``target``, the one called ``last`` in the end. Raises OutputError."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    files.sort(key=lambda path: path == folder / last)
    with _written(target):
        for file in files:
            place = target.joinpath(*file.relative_to(folder).parts)
            _tried(place, lambda store, name, file=file: store.put_file(os.fspath(file), name))


def require_writable(folder: StorePath) -> None:
    """Raise OutputError now if nothing could be written there later; leaves nothing behind."""
    probe = folder / f".avis-probe-{secrets.token_hex(4)}"
    write(probe, b"")
    remove(probe)


@contextmanager
def _readable(path: StorePath) -> Iterator[None]:
    """What a store refuses is told as a MediaError, but for a file that is not there."""
    try:
        yield
    except (AvisError, FileNotFoundError):
        raise
    except Exception as error:
        raise MediaError(f"cannot be read: {_said(error, path)}", file=str(path)) from None


@contextmanager
def _written(path: StorePath) -> Iterator[None]:
    """What a store refuses is told as an OutputError."""
    try:
        yield
    except AvisError:
        raise
    except Exception as error:
        hint = "is the bucket there, and may it be written?"
        raise OutputError(f"cannot be written: {_said(error, path)}", hint=hint, file=str(path)) from None


def _tried(path: StorePath, request: Callable[..., Result]) -> Result:
    """What a request to the store gives, made again where it fails for a reason that may pass."""
    store, place = _open(path)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return request(store, place)
        except _FINAL:
            raise
        except Exception:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE * 2 ** (attempt - 1))
    raise AssertionError("the last attempt returns or raises")


def _open(path: StorePath) -> tuple[Any, str]:
    try:
        import fsspec

        store, place = fsspec.core.url_to_fs(path.url, use_listings_cache=False)
    except ImportError as error:
        hint = "pip install 'avis-cli[stores]'"
        cause = f"needs a package that is not installed ({_said(error, path)})"
        raise UsageError(cause, hint=hint, file=str(path)) from None
    except ValueError as error:
        raise UsageError(f"no URL of a store that is known ({_said(error, path)})", file=str(path)) from None
    return store, place


def _split_query(text: str) -> tuple[str, str]:
    """A URL and, with its question mark, what follows: values such as a signature. Without values it is a wildcard."""
    place, mark, query = text.partition("?")
    return (place, f"?{query}") if mark and "=" in query else (text, "")


def _beside(path: StorePath, name: str) -> StorePath:
    """A file of the same store by the name that the store has for it."""
    match = _URL.fullmatch(path.url)
    assert match is not None
    host = match[2].partition("/")[0]
    user = f"{host.rpartition('@')[0]}@" if "@" in host and not name.lstrip("/").startswith(host) else ""
    return StorePath(f"{match[1]}://{user}{name.lstrip('/')}{_split_query(path.url)[1]}")


def _said(error: BaseException, path: StorePath) -> str:
    """What a store's library says, in one line without the secrets of ``path`` and what looks like one."""
    text = " ".join(str(error).split()) or type(error).__name__
    # a library may tell them apart from their URL, or decoded
    for secret in _secrets(path):
        text = text.replace(secret, "...")
    return without_secrets(text)[:200]


def _secrets(path: StorePath) -> list[str]:
    """What a URL says of a user, a password and a signature, as it stands there and decoded; the longest first."""
    place, query = _split_query(path.url.partition("://")[2])
    user = place.partition("/")[0].rpartition("@")[0]
    values = [part.partition("=")[2] for part in query.split("&")]
    parts = (
        [f"{user}@", user, user.partition(":")[2], query, query[1:], *values] if user else [query, query[1:], *values]
    )
    both = {*parts, *map(unquote, parts)}
    # a value of a letter or two is no secret, and would be found in any word
    return sorted((part for part in both if len(part) > 3), key=lambda part: (-len(part), part))


def without_secrets(text: str) -> str:
    """``text`` without users, passwords and signatures in the URLs that it holds."""
    return re.sub(r"(?<=://)[^/\s]*@|\?\S*=\S*", "", text)


def _size(about: Mapping[str, Any]) -> int:
    """Bytes of a file, of which a store need not know."""
    size = about.get("size")
    return size if isinstance(size, int) else 0


def _free(folder: Path) -> int:
    """Bytes that are free where a folder is."""
    return shutil.disk_usage(folder).free
