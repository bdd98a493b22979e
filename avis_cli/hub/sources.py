"""Where a released file can be fetched: an address on the Hub, on Google Drive or anywhere -> what to ask for.

What may stand in a manifest's ``sources``: ``hf://spaces/OWNER/NAME`` (a Space, whose files are searched for the
checkpoint), the address of a file on Google Drive, or any other https address of a file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from avis_cli.errors import WeightsError
from avis_cli.hub import download, refusal
from avis_cli.hub.manifest import published_as

SPACE = re.compile(r"hf://spaces/(?P<repo>[\w.-]+/[\w.-]+)")
DRIVE = "https://drive.google.com"  # before /uc?id=...
CHECKPOINTS = (".pth", ".pt", ".safetensors")
MOST_CANDIDATES = 3  # files of one Space that are fetched to see whether they fit


@dataclass(frozen=True)
class Remote:
    """One file to ask for.

    ``origin``: whose server it is, in words; ``file``: its name, where known before it is asked for; ``size`` and
    ``sha256``: what the origin says of it; ``is_drive``: a page may come first that asks to confirm.
    """

    url: str
    origin: str
    file: str | None = None
    size: int | None = None
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_drive: bool = False


def origin_of(source: str) -> str:
    """Whose server ``source`` is, in words."""
    if source.startswith(download.SCHEME):
        space = SPACE.fullmatch(source)
        return f"the Hub Space {space['repo']}" if space else "the Hugging Face Hub"
    return "Google Drive" if drive_id(source) else urlsplit(source).hostname or source


def find(source: str, released: str | None = None, preset: str | None = None) -> list[Remote]:
    """What to ask for, the likeliest first; ``released`` and ``preset``: the file that is wanted, as published.

    Asks the Hub for the files of a Space, else nobody. Raises WeightsError for an address that is none, and where a
    Space cannot be listed or has no such checkpoint.
    """
    space = SPACE.fullmatch(source)
    if space is not None:
        return _in_space(space["repo"], released, preset)
    file = drive_id(source)
    if file is not None:
        return [Remote(f"{DRIVE}/uc?export=download&id={file}", origin_of(source), released, is_drive=True)]
    parts = urlsplit(source)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise WeightsError(f"{source!r} is not the address of a file", hint="write https://HOST/FILE")
    return [Remote(source, origin_of(source), released)]


def drive_id(address: str) -> str | None:
    """The id of a file on Google Drive, None of any other address."""
    if urlsplit(address).hostname not in ("drive.google.com", "docs.google.com"):
        return None
    from gdown.parse_url import parse_url  # loads the client of another server: only where one is asked

    found: str | None = parse_url(address)[0]
    return found


def confirmed(page: str) -> str | None:
    """Where Google Drive's page about a large file leads once confirmed; None of a page that leads nowhere, as that
    about a file whose downloads of the day are used up."""
    from gdown.download import get_url_from_gdrive_confirmation
    from gdown.exceptions import FileURLRetrievalError

    try:
        return str(get_url_from_gdrive_confirmation(page))
    except FileURLRetrievalError:
        return None


def name_in(url: str) -> str:
    """The last part of an address, as the name of a file."""
    return unquote(PurePosixPath(urlsplit(url).path).name)


def _in_space(repo: str, released: str | None, preset: str | None) -> list[Remote]:
    siblings, revision = _list_space(repo)
    ranked = [(rank, file) for file in siblings if (rank := _likeness(file.rfilename, released, preset)) is not None]
    if not ranked:
        raise WeightsError(f"none of its files is named as a checkpoint of {preset}")
    ranked.sort(key=lambda pair: (pair[0], pair[1].rfilename))
    return [_of_space(repo, revision, file, released) for _, file in ranked[:MOST_CANDIDATES]]


def _list_space(repo: str) -> tuple[list[Any], str]:
    """The files of a Space, with sizes and checksums, and the commit they are of."""
    api = download.client().HfApi(endpoint=refusal.endpoint())
    try:
        with download.quiet_client():
            info = download.patiently(
                lambda: api.repo_info(repo, repo_type="space", files_metadata=True, timeout=download.TIMEOUT)
            )
    except Exception as error:
        raise refusal.explain(error, f"hf://spaces/{repo}") from error
    return list(info.siblings or ()), str(info.sha or "main")


def _of_space(repo: str, revision: str, file: Any, released: str | None) -> Remote:
    hub = download.client()
    url = hub.hf_hub_url(repo, file.rfilename, repo_type="space", revision=revision, endpoint=refusal.endpoint())
    sha256 = getattr(file.lfs, "sha256", None)
    # under its published name, which is what tells files with the same tensors apart
    name = released if PurePosixPath(file.rfilename).suffix == ".pth" else PurePosixPath(file.rfilename).name
    headers = hub.utils.build_hf_headers()
    return Remote(url, origin_of(f"hf://spaces/{repo}"), name, file.size, sha256, headers)


def _likeness(path: str, released: str | None, preset: str | None) -> int | None:
    """How likely a file is the one that is wanted, 0 the likeliest; None where its name speaks for another model or for
    none: the tensors of models that were trained on different pictures have the same names."""
    name = PurePosixPath(path).name
    if name == released:
        return 0
    if not name.lower().endswith(CHECKPOINTS) or published_as(name) is not None or preset is None:
        return None
    words = set(re.split(r"[^a-z0-9]+", name.lower()))
    wanted = preset.rpartition("-")[2]
    return 1 if wanted in words or (wanted == "in" and "imagenet" in words) else None
