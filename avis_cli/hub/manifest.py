"""``weights/manifest.toml``: which models there are, where each one's weights come from and what they must hash to."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from avis_cli.errors import WeightsError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST = "manifest.toml"
PACKAGE = Path(__file__).parent.parent
SHA256 = re.compile(r"[0-9a-f]{64}")
COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Entry:
    """One model. Its weights are the bundled ``file``, or ``file`` of ``repo`` at ``commit``, or what ``sources`` hold.

    ``trained_on``: what to tell somebody who uses it without having chosen it. ``released``: the file the authors
    published; ``sources``: where it can be fetched, tried in order (`sources.py` tells what may stand there);
    ``download``: where a person finds it; ``released_sha256``: what it hashes to, where that is known. ``size``: bytes
    of the weights file, where known; ``about``: about as many bytes, where not. ``made_by``: the command that makes
    weights of which nobody published any. ``scores``: as published, in percent,
    on ``scored_on``.
    """

    name: str
    preset: str
    categories: tuple[str, ...]
    trained_on: str
    source: str
    licence: str
    file: str
    sha256: str | None = None
    size: int | None = None
    bundled: bool = False
    repo: str | None = None
    commit: str | None = None
    released: str | None = None
    download: str | None = None
    sources: tuple[str, ...] = ()
    released_sha256: str | None = None
    about: int | None = None
    made_by: str | None = None
    scores: tuple[tuple[str, float], ...] = ()
    scored_on: str = ""


@dataclass(frozen=True)
class PublicFile:
    """A file that several models need, such as the weights of VGGish; the fields are as those of ``Entry``."""

    name: str
    released: str
    source: str
    licence: str
    download: str
    sources: tuple[str, ...]
    about: int | None = None
    released_sha256: str | None = None


@dataclass(frozen=True)
class Manifest:
    """``folder``: where the manifest and the bundled weights lie. ``default``: the model used without a name."""

    folder: Path
    default: str
    models: dict[str, Entry]
    files: dict[str, PublicFile] = field(default_factory=dict)


def weights_folder() -> Path:
    """Where the manifest lies: inside an installed package, at the top of a source checkout."""
    installed = PACKAGE / "_weights"
    return installed if installed.is_dir() else PACKAGE.parent / "weights"


def load_manifest(folder: Path | None = None) -> Manifest:
    """The manifest of this installation, or of ``folder``; WeightsError if it is missing or wrong."""
    return _load(weights_folder() if folder is None else folder)


@lru_cache(maxsize=4)
def _load(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        categories = content["categories"]
        models = {name: _entry(name, values, categories) for name, values in content["models"].items()}
        files = {name: _file(name, values) for name, values in content.get("files", {}).items()}
        manifest = Manifest(folder, content["default"], models, files)
    except OSError as error:
        raise WeightsError(
            f"cannot read the list of models ({error.strerror})", hint="install avis-cli again", file=path
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"not a list of models ({type(error).__name__}: {error})", file=path) from error
    if manifest.default not in models:
        raise WeightsError(f"its default {manifest.default!r} is none of its models", file=path)
    return manifest


def _entry(name: str, values: dict[str, Any], categories: dict[str, list[str]]) -> Entry:
    lists = {"sources": tuple(values.get("sources", ())), "scores": tuple(values.get("scores", {}).items())}
    entry = Entry(name=name, **{**values, **lists, "categories": tuple(categories[values["categories"]])})
    for sha256 in (entry.sha256, entry.released_sha256):
        if sha256 is not None and not SHA256.fullmatch(sha256):
            raise ValueError(f"sha256 of {name} is not 64 hexadecimal digits")
    if entry.sources and entry.released is None:
        raise ValueError(f"{name} has sources of a released file, but no name of that file")
    if entry.repo is not None and not COMMIT.fullmatch(entry.commit or ""):
        raise ValueError(f"{name} names a repository without the 40 digits of a commit")
    if Path(entry.file).name != entry.file:
        raise ValueError(f"the file of {name} is not a plain file name")
    return entry


def _file(name: str, values: dict[str, Any]) -> PublicFile:
    return PublicFile(name=name, **{**values, "sources": tuple(values["sources"])})


def published_as(file: str) -> str | None:
    """The preset of the model that its authors published as a file called ``file``, None of any other name."""
    return next((entry.preset for entry in load_manifest().models.values() if entry.released == file), None)


def record(name: str, sha256: str, size: int) -> Path:
    """Writes checksum and size of a bundled model into the manifest of a source checkout; returns the manifest."""
    path = weights_folder() / MANIFEST
    text = path.read_text(encoding="utf-8")
    head, start, rest = text.partition(f'[models."{name}"]\n')
    if not start:
        raise WeightsError(f"no model called {name!r}", hint="add it first", file=path)
    section, following, tail = rest.partition("\n[")
    lines = [line for line in section.splitlines() if not line.startswith(("sha256 =", "size ="))]
    # behind the section's last entry: comments after it speak of the next one
    last = max((number for number, line in enumerate(lines, start=1) if line and not line.startswith("#")), default=0)
    lines[last:last] = [f'sha256 = "{sha256}"', f"size = {size}"]
    section = "\n".join(lines) + "\n" * section.endswith("\n")
    path.write_text(head + start + section + following + tail, encoding="utf-8")
    _load.cache_clear()
    return path
