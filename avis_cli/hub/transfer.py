"""One file over HTTP into a folder, resumed where it broke off, with bounded patience.

The Hub's own client starts an interrupted download again from the beginning, and a checkpoint has half a gigabyte. Here
what has come stays in the folder, and the next request, now or in a later run, asks for the rest.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from avis_cli.errors import WeightsError
from avis_cli.files.numbers import whole_number
from avis_cli.hub import download, pace, refusal, sources, store
from avis_cli.hub.pace import Pace
from avis_cli.hub.refusal import QuotaError, UnsafeRedirectError, WebPageError, WrongSizeError
from avis_cli.hub.sources import Remote
from avis_cli.progress import Progress, silent

PART, STATE = "download.part", "download.json"
ATTEMPTS = 10  # requests for one file, as long as each brings something
IN_VAIN = 1 + len(download.WAITS)  # of them in a row that may bring nothing
PAGE = 1 << 20  # bytes that are read of a page
PAGES = 3  # pages one after the other that ask to confirm
CONVERTED = 2  # a checkpoint and the file that is made of it lie side by side for a moment

Announce = Callable[[str, int | None, int], None]
"""Told (file name, bytes in all, bytes that are here already) once the server has answered."""


@dataclass(frozen=True)
class _Answer:
    """What the server said of the file: its name, its size in all, and what tells it from a later version."""

    file: str
    total: int | None
    validator: str | None


class _ChangedError(Exception):
    """The rest that was asked for is not that of what is here."""


def fetch(
    remote: Remote, folder: Path, *, announce: Announce, progress: Progress = silent, least: Pace | None = None
) -> Path:
    """The file, in ``folder``, which is made if need be. A download that breaks off is taken up again there.

    ``least``: how fast it has to come, 50 kB in 30 seconds if None. Raises WeightsError with one line for each way to
    fail. What has come stays unless it is of no use.
    """
    least = least or Pace()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        cause = f"cannot keep the download ({error.strerror or error})"
        raise WeightsError(cause, hint="set AVIS_HOME to another folder", file=folder) from error
    try:
        with download.quiet_client(), pace.kept(download.client().get_session(), least):
            return _persistently(remote, folder, announce, progress, least)
    except WeightsError:
        _tidy(folder)
        raise
    except Exception as error:
        _tidy(folder)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            shutil.rmtree(folder, ignore_errors=True)  # nobody is helped by a full disk
        raise refusal.explain(error, _shown(remote), remote.url) from error


def _shown(remote: Remote) -> str:
    return remote.file or sources.name_in(remote.url) or remote.origin


def _persistently(remote: Remote, folder: Path, announce: Announce, progress: Progress, least: Pace) -> Path:
    part, in_vain = folder / PART, 0
    for attempt in range(ATTEMPTS):
        before = _size(part)
        try:
            return _once(remote, folder, announce, progress, least)
        except Exception as error:
            if not isinstance(error, _ChangedError) and not refusal.is_passing(error):
                raise
            in_vain = 0 if _size(part) > before else in_vain + 1
            default = (0.0, *download.WAITS, 0.0)[in_vain]
            wait = refusal.wait_before_retry(error, default)
            if in_vain == IN_VAIN or attempt == ATTEMPTS - 1 or wait is None:
                raise
        time.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _once(remote: Remote, folder: Path, announce: Announce, progress: Progress, least: Pace) -> Path:
    """One request, and those for the pages before it."""
    known = _read_state(folder)
    have = _size(folder / PART) if known is not None else 0
    rest: dict[str, str] = {}
    if have:
        rest["Range"] = f"bytes={have}-"
        if known is not None and known.validator is not None:
            rest["If-Range"] = known.validator
    with _answer(remote, rest, least) as response:
        if response.status_code == 416:
            _forget(folder)
            raise _ChangedError
        response.raise_for_status()
        if _is_page(response):
            raise WebPageError
        return _receive(response, remote, folder, (have, known), announce, progress)


@contextmanager
def _answer(remote: Remote, rest: Mapping[str, str], least: Pace) -> Iterator[Any]:
    """The answer that holds the file, or with ``rest`` that part of it, behind Drive's pages that ask to confirm."""
    headers = {**remote.headers, "Accept-Encoding": "identity"}
    url = remote.url
    # of a page no part is asked for, so with a rest to come the file's own address has to be found first
    for _ in range(PAGES if remote.is_drive else 0):
        with _asked(url, headers, least) as response:
            response.raise_for_status()
            if not _is_page(response):
                if not rest:
                    yield response
                    return
                break
            page = _read_page(response)
        confirmed = sources.confirmed(page)
        if confirmed is None:
            raise QuotaError if re.search(r"quota|too many users", page, re.IGNORECASE) else WebPageError
        url = confirmed
    else:
        if remote.is_drive:
            raise WebPageError
    with _asked(url, {**headers, **rest}, least) as response:
        yield response


@contextmanager
def _asked(url: str, headers: Mapping[str, str], least: Pace) -> Iterator[Any]:
    client = download.client().get_session()
    with client.stream("GET", url, headers=headers, follow_redirects=True, timeout=least.seconds) as response:
        _refuse_downgrade(response)
        yield response


def _receive(
    response: Any,
    remote: Remote,
    folder: Path,
    begun: tuple[int, _Answer | None],
    announce: Announce,
    progress: Progress,
) -> Path:
    """The content of an answer, behind what is here if it is the rest; the whole file once it is there."""
    have, known = begun
    resumed = response.status_code == 206
    answer = _said(response, remote)
    if resumed and (known is None or _first_byte(response) != have or answer.total != known.total):
        _forget(folder)
        raise _ChangedError
    if not resumed:
        have = 0
        _write_state(folder, answer)
    if None not in (answer.total, remote.size) and answer.total != remote.size:
        _forget(folder)
        raise WrongSizeError(f"{answer.total} bytes instead of {remote.size}")
    if answer.total is not None:
        store.check_room(folder, CONVERTED * answer.total - have)
    file = known.file if resumed and known is not None else answer.file
    announce(file, answer.total, have)
    with open(folder / PART, "ab" if resumed else "wb") as part:
        for chunk in response.iter_raw():
            if have == 0 and chunk.lstrip()[:1] == b"<":  # what some servers send as a file is a page all the same
                raise WebPageError
            part.write(chunk)
            have += len(chunk)
            if answer.total is not None and have > answer.total:
                part.close()
                _forget(folder)
                raise WrongSizeError(f"more than the {answer.total} bytes that were announced")
            progress("downloading", have, answer.total)
    if answer.total is not None and have < answer.total:
        raise refusal.EndedEarlyError
    finished = folder / file
    os.replace(folder / PART, finished)
    (folder / STATE).unlink(missing_ok=True)
    return finished


def _said(response: Any, remote: Remote) -> _Answer:
    headers = response.headers
    ranged = re.fullmatch(r"bytes \d+-\d+/(\d+)", headers.get("content-range", ""))
    length = headers.get("content-length", "")
    total = whole_number(ranged[1]) if ranged else whole_number(length) if response.status_code == 200 else None
    etag = headers.get("etag", "")
    validator = etag if etag.startswith('"') else headers.get("last-modified")
    return _Answer(_plain(remote.file or _attached(headers) or sources.name_in(remote.url)), total, validator)


def _first_byte(response: Any) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    return whole_number(found[1]) if found else None


def _attached(headers: Any) -> str | None:
    """The name a server gives the file in Content-Disposition."""
    message = Message()
    message["content-disposition"] = headers.get("content-disposition", "")
    return message.get_filename()


def _plain(name: str) -> str:
    """``name`` as that of a file in a folder of ours: nothing in it leads elsewhere or is hidden."""
    return re.sub(r"[^\w.+-]", "_", name.rpartition("/")[2]).lstrip(".")[-100:] or "file"


def _is_page(response: Any) -> bool:
    return str(response.headers.get("content-type", "")).startswith("text/html")


def _read_page(response: Any) -> str:
    content = b""
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > PAGE:
            raise WebPageError
    return content.decode("utf-8", "replace")


def _refuse_downgrade(response: Any) -> None:
    """UnsafeRedirectError where an encrypted connection led to one that anybody on the way can write into."""
    schemes = [str(step.url.scheme) for step in (*response.history, response)]
    if schemes[0] == "https" and "http" in schemes:
        raise UnsafeRedirectError


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _forget(folder: Path) -> None:
    for name in (PART, STATE):
        (folder / name).unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    """An empty folder is nothing to go on from."""
    if not _size(folder / PART):
        shutil.rmtree(folder, ignore_errors=True)


def _write_state(folder: Path, answer: _Answer) -> None:
    _forget(folder)
    content = {"file": answer.file, "total": answer.total, "validator": answer.validator}
    (folder / STATE).write_text(json.dumps(content), encoding="utf-8")


def _read_state(folder: Path) -> _Answer | None:
    try:
        content = json.loads((folder / STATE).read_text(encoding="utf-8"))
        return _Answer(_plain(str(content["file"])), content["total"], content["validator"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
