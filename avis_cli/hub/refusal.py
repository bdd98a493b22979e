"""Why the Hub, or another server, did not give a file, in one line each. No token ever gets into a line."""

from __future__ import annotations

import errno
import math
import os
import time
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from avis_cli.errors import WeightsError
from avis_cli.files.numbers import whole_number

PASSING = (408, 429, 500, 502, 503, 504)
DEFAULT_ENDPOINT = "https://huggingface.co"
LONGEST_WAIT = 60.0  # seconds that a server may ask to be left alone for; beyond that it is asked again by the user


class EndlessError(Exception):
    """A download that kept starting again."""


class EndedEarlyError(Exception):
    """A download that broke off; what has come is kept."""


class WrongSizeError(Exception):
    """A file that is not as large as it should be."""


class WebPageError(Exception):
    """A page for people where a file was asked for."""


class QuotaError(Exception):
    """A file of Google Drive that too many have fetched."""


class UnsafeRedirectError(Exception):
    """An https address that led to an http one."""


def endpoint() -> str:
    """The Hub's address: HF_ENDPOINT, else the public Hub."""
    return (os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/")


def explain(error: BaseException, wanted: object, url: str | None = None) -> WeightsError:
    """The error of the Hub's client as one line that says what to do; ``wanted`` prints as the file. ``url``: what was
    asked for, None for the Hub."""
    cause, hint = _cause(error) if url is None else _cause_elsewhere(error, url)
    return WeightsError(_without_token(cause), hint=hint, file=str(wanted))


def not_a_hub(wanted: object, address: str) -> WeightsError:
    return WeightsError(
        f"the answer of {_host(address)} is not that of a Hub",
        hint="a login page or a proxy may be in the way: check the network and HF_ENDPOINT",
        file=str(wanted),
    )


def is_passing(error: BaseException) -> bool:
    """Whether the same question may well be answered in a moment."""
    status = _status(error)
    if status is not None:
        return status in PASSING
    return is_unreachable(error) or isinstance(error, EndedEarlyError)


def wait_before_retry(error: BaseException, default: float) -> float | None:
    """Seconds to wait before the same question is asked again: what the answer's Retry-After says, else ``default``;
    None where it says more than ``LONGEST_WAIT``."""
    asked = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After", "").strip()
    if not asked:
        return default
    if asked.isascii() and asked.isdigit():
        seconds = whole_number(asked)
        wait = math.inf if seconds is None else float(seconds)
    else:
        try:
            wait = parsedate_to_datetime(asked).timestamp() - time.time()
        except (ValueError, OverflowError):
            return default
    return None if wait > LONGEST_WAIT else max(wait, default)


def is_unreachable(error: BaseException) -> bool:
    """Whether nobody answered, or only a server in trouble."""
    status = _status(error)
    if status is not None:
        return status in PASSING
    return bool(_kinds(error) & {"NetworkError", "TimeoutException", "ConnectionError", "RemoteProtocolError"})


def _cause(error: BaseException) -> tuple[str, str]:
    kinds = _kinds(error)
    if "LocalEntryNotFoundError" in kinds and error.__cause__ is not None:
        return _cause(error.__cause__)
    status = _status(error)
    if status is not None:
        return _cause_of_status(status, kinds)
    if "OfflineModeIsEnabled" in kinds:
        return "offline, and not in the cache", "run again online"
    if "FileMetadataError" in kinds:
        return f"the answer of {_host(endpoint())} is not that of a Hub", "check the network and HF_ENDPOINT"
    if "ProxyError" in kinds:
        return "the proxy refused", "check HTTPS_PROXY and NO_PROXY"
    if "TimeoutException" in kinds:
        return f"{_host(endpoint())} did not answer in time", "check the network, or run again later"
    if "StalledError" in kinds:
        return f"{_host(endpoint())} sends next to nothing", "check the network, or run again later"
    short = isinstance(error, OSError) and "should be of size" in str(error)
    if short or kinds & {"RemoteProtocolError", "EndlessError"}:
        return (
            "the download ended early, fewer bytes came than were announced",
            "run again, it starts from the beginning",
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk", "free some disk space, or set HF_HOME to another disk"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be kept ({error.strerror})", "check the folder that HF_HOME names"
    if "NetworkError" in kinds:
        return f"cannot connect to {_host(endpoint())}", "check the network and HF_ENDPOINT"
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return f"the download failed ({type(error).__name__}: {first})", "check the name, the network and HF_ENDPOINT"


def _cause_elsewhere(error: BaseException, url: str) -> tuple[str, str]:
    """Of a server that is not the Hub."""
    status, kinds, host = _status(error), _kinds(error), _host(url)
    if status is not None:
        return _cause_of_status_elsewhere(status)
    for kind, cause, hint in (
        ("WebPageError", f"{host} sent a web page instead of the file", "open the address in a browser"),
        ("QuotaError", "too many have fetched it today, its quota is used up", "wait a day, or fetch it in a browser"),
        ("WrongSizeError", f"the wrong file: {error}", "get it from elsewhere"),
        ("UnsafeRedirectError", f"{host} leads to an address without https", "get it from elsewhere"),
        ("TooManyRedirects", f"{host} leads from address to address without an end", "open the address in a browser"),
        ("_ChangedError", "the file changed while it was fetched", "run again"),
        ("ProxyError", "the proxy refused", "check HTTPS_PROXY and NO_PROXY"),
        ("TimeoutException", f"{host} did not answer in time", "check the network, or run again later"),
        ("StalledError", f"{host} sends next to nothing", "check the network, or run again later"),
        ("EndedEarlyError", "the download broke off", "run again, it goes on from where it stopped"),
        ("RemoteProtocolError", "the download broke off", "run again, it goes on from where it stopped"),
        ("NetworkError", f"cannot connect to {host}", "check the network"),
    ):
        if kind in kinds:
            return cause, hint
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk", "free some disk space, or set AVIS_HOME to another disk"
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be kept ({error.strerror})", "check the folder that AVIS_HOME names"
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return f"the download failed ({type(error).__name__}: {first})", "check the address and the network"


def _cause_of_status_elsewhere(status: int) -> tuple[str, str]:
    if status in (401, 403):
        return f"not allowed ({status})", "open the address in a browser"
    if status in (404, 410):
        return f"not found ({status})", "check the address"
    if status == 407:
        return "the proxy wants a password (407)", "check HTTPS_PROXY"
    if status == 429:
        return "too many requests (429)", "wait some minutes"
    if status >= 500:
        return f"server error ({status})", "run again later"
    return f"refused ({status})", "check the address"


def _cause_of_status(status: int, kinds: set[str]) -> tuple[str, str]:
    if "GatedRepoError" in kinds:
        return (
            f"not allowed ({status}): access has to be granted first",
            "accept its terms on the Hub, then set HF_TOKEN",
        )
    if "RevisionNotFoundError" in kinds:
        return f"no such revision ({status})", "check what follows the @"
    if "EntryNotFoundError" in kinds:
        return f"no such file in the repository ({status})", "check the file's name"
    if status == 401:
        return (
            "not allowed (401), or no such repository",
            "check the name, and set HF_TOKEN if the repository is private",
        )
    if status == 403:
        return "not allowed (403)", "set HF_TOKEN to a token that may read it"
    if status == 404:
        return "not found (404)", "check the repository's and the file's name"
    if status == 407:
        return "the proxy wants a password (407)", "check HTTPS_PROXY"
    if status == 429:
        return "too many requests (429)", "wait some minutes, or set HF_TOKEN, which raises the limit"
    if status >= 500:
        return f"server error ({status})", "the Hub is in trouble, run again later"
    return f"refused ({status})", "check the name and HF_ENDPOINT"


def _kinds(error: BaseException) -> set[str]:
    """Names of the error's classes: which HTTP library the client uses changes with its version."""
    return {kind.__name__ for kind in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _host(address: str) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(address)
    return parts.hostname or "HF_ENDPOINT" if parts.port is None else f"{parts.hostname}:{parts.port}"


def _without_token(text: str) -> str:
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        token = os.environ.get(name, "").strip()
        if token:
            text = text.replace(token, "***")
    return text
