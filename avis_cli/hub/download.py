"""One file from the Hugging Face Hub into the Hub's own cache, by its own client, with bounded patience.

Honours HF_HUB_OFFLINE, HF_ENDPOINT, HF_TOKEN, HF_HOME and HF_HUB_CACHE as they are when a file is asked for. An
interrupted download starts again from the beginning and leaves the cache as it was.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from avis_cli.errors import WeightsError
from avis_cli.hub import pace, refusal, store
from avis_cli.hub.manifest import COMMIT, SHA256
from avis_cli.hub.pace import Pace, StalledError
from avis_cli.progress import Progress, silent

SCHEME = "hf://"
URL = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[^/@]+))?/(?P<file>[^@]+)")
WAITS = (1.0, 3.0)  # seconds before the second and the third attempt to reach a server that failed
CHUNK = 1 << 22  # bytes that a download may count too many
TIMEOUT = 30.0  # seconds to wait for an answer
PATIENCE = 3  # a download that had to be fetched more than this many times over is given up


@dataclass(frozen=True)
class HubFile:
    """``file`` in the model repository ``repo`` at ``revision``: a commit, a branch or a tag."""

    repo: str
    file: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{SCHEME}{self.repo}@{self.revision}/{self.file}"


@dataclass(frozen=True)
class Fetched:
    """A file in the Hub's cache, and its SHA-256 as the Hub keeps it (None for small files outside its LFS)."""

    path: Path
    sha256: str | None


def parse_url(text: str) -> HubFile:
    """``hf://OWNER/REPO[@REVISION]/FILE``; WeightsError for anything else. A slash in a revision is written %2F."""
    match = URL.fullmatch(text)
    parts = match["file"].split("/") if match else []
    if match is None or any(part in ("", ".", "..") for part in [*parts, *match["repo"].split("/")]):
        raise WeightsError(f"{text!r} is not a file on the Hub", hint="write hf://OWNER/REPO[@REVISION]/FILE")
    return HubFile(match["repo"], match["file"], unquote(match["revision"] or "main"))


def is_offline() -> bool:
    """Whether no connection may be opened: AVIS_OFFLINE, or HF_HUB_OFFLINE, says so."""
    given = (os.environ.get(name, "").strip().upper() for name in ("AVIS_OFFLINE", "HF_HUB_OFFLINE"))
    return any(value in ("1", "ON", "YES", "TRUE") for value in given)


def cache_folder() -> Path:
    """The Hub's cache of this user, by the rules of the Hub's client."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(name):
            return Path(os.path.expandvars(os.environ[name])).expanduser()
    default = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.path.expandvars(os.environ.get("HF_HOME") or default)).expanduser() / "hub"


def cached(wanted: HubFile) -> Fetched | None:
    """The file if it is in the cache already; asks nobody."""
    path = client().try_to_load_from_cache(wanted.repo, wanted.file, cache_dir=cache_folder(), revision=wanted.revision)
    return _fetched(Path(path)) if isinstance(path, str) else None


def fetch(
    wanted: HubFile,
    *,
    offline: bool = False,
    progress: Progress = silent,
    force: bool = False,
    hint: str | None = None,
    least: Pace | None = None,
) -> Fetched:
    """The file, from the cache where that is enough, else downloaded.

    A file at a commit that is cached is used without a request. ``force`` downloads it again. ``hint``: what to say
    to somebody who is offline and does not have it. ``least``: how fast it has to come, 50 kB in 30 seconds if None.
    Raises WeightsError with one line for each way to fail.
    """
    here = None if force else cached(wanted)
    if here is not None and (offline or is_offline() or COMMIT.fullmatch(wanted.revision)):
        return here
    if offline or is_offline():
        raise WeightsError("offline, and not in the cache", hint=hint or "run again online", file=str(wanted))
    with quiet_client(), pace.kept(client().get_session(), least or Pace()):
        try:
            metadata = patiently(lambda: _metadata(wanted))
            if metadata.commit_hash is None or metadata.etag is None:
                raise refusal.not_a_hub(wanted, refusal.endpoint())
            if metadata.size is not None:
                store.check_room(cache_folder(), metadata.size)
            return _download(wanted, metadata, progress, force)
        except WeightsError:
            raise
        except Exception as error:
            if here is not None and (isinstance(error, StalledError) or refusal.is_unreachable(error)):
                return here  # a branch that cannot be asked for news: what it was last time
            raise refusal.explain(error, wanted) from error


def _metadata(wanted: HubFile) -> Any:
    hub = client()
    url = hub.hf_hub_url(wanted.repo, wanted.file, revision=wanted.revision, endpoint=refusal.endpoint())
    return hub.get_hf_file_metadata(url, endpoint=refusal.endpoint())


def _download(wanted: HubFile, metadata: Any, progress: Progress, force: bool) -> Fetched:
    path = client().hf_hub_download(
        wanted.repo,
        wanted.file,
        revision=wanted.revision,  # by its own name, so that it is found under it when offline
        cache_dir=cache_folder(),
        endpoint=refusal.endpoint(),
        force_download=force,
        tqdm_class=_meter(progress, metadata.size),
    )
    return _fetched(Path(path), metadata.etag)


def _fetched(path: Path, etag: str = "") -> Fetched:
    # the cache files a blob under its etag, which for LFS is the SHA-256 of the content; without links it cannot
    sha256 = next((name for name in (path.resolve().name, etag) if SHA256.fullmatch(name)), None)
    return Fetched(path, sha256)


def patiently(ask: Callable[[], Any]) -> Any:
    """``ask()``, tried again after a pause while the server is overloaded or does not answer."""
    for default in WAITS:
        try:
            return ask()
        except Exception as error:
            wait = refusal.wait_before_retry(error, default)
            if wait is None or not refusal.is_passing(error):
                raise
        time.sleep(wait)
    return ask()


def _meter(progress: Progress, total: int | None) -> type:
    """A stand-in for the client's progress bar: reports bytes, and ends a download that never gets anywhere."""
    from tqdm import tqdm

    reporters: list[object] = []

    class Meter(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)  # the client's own bars have names
            super().__init__(*arguments, **{**options, "disable": True})
            self.done, self.received = 0, 0
            reporters.append(self)

        def update(self, n: float | None = 1) -> None:
            if reporters[0] is not self:  # a second bar for the same bytes
                return
            step = int(n or 0)
            self.done += step
            self.received += max(step, 0)
            if total is not None and self.received > PATIENCE * total + CHUNK:
                raise refusal.EndlessError
            progress("downloading", self.done, total)

    return Meter


def client() -> Any:
    """The Hub's client, which also asks other servers for us."""
    if "huggingface_hub" not in sys.modules:
        # its usage statistics ask the Hub a question of their own before the first download
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        # its other way of downloading has connections of its own, which no limit of ours reaches
        os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    import huggingface_hub

    return huggingface_hub


@contextmanager
def quiet_client() -> Iterator[None]:
    """The client's own log lines are held back: what went wrong is said once, by us."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)
