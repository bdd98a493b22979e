"""What the user calls a model -> the file to load, its checksum checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from avis_cli.errors import WeightsError
from avis_cli.hub import download, store
from avis_cli.hub.download import HubFile
from avis_cli.hub.manifest import Entry, Manifest, load_manifest
from avis_cli.progress import Progress, silent
from avis_cli.text import meant

SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl")
VGGISH = "vggish-10086976.pth"


@dataclass(frozen=True)
class ResolvedWeights:
    """Weights on disk. ``name``: what to call the model; ``sha256``: of the file, as checked.

    ``preset``: the network they fill; None for a file of another program, where only the names of its tensors tell.
    ``note``: one line on what the model was trained on, None where nobody wrote that down.
    """

    path: Path
    preset: str | None
    sha256: str
    name: str
    note: str | None = None


def resolve(
    wanted: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    progress: Progress = silent,
    force: bool = False,
) -> ResolvedWeights:
    """The weights called ``wanted``: a model's name, a file, or ``hf://OWNER/REPO[@REVISION]/FILE``.

    None is the model named by AVIS_MODEL, else the bundled one. ``offline`` asks nobody, as HF_HUB_OFFLINE does;
    ``force`` downloads again what comes from the Hub. Raises WeightsError if they are nowhere or their checksum is
    wrong.
    """
    manifest = load_manifest()
    text = os.fspath(wanted) if wanted is not None else os.environ.get("AVIS_MODEL") or manifest.default
    if text.startswith(download.SCHEME):
        return _from_hub(download.parse_url(text), None, offline, progress, force)
    if text in manifest.models:
        return _by_name(manifest, manifest.models[text], offline, progress, force)
    if text.lower().endswith(SUFFIXES) or os.sep in text or os.path.exists(text):
        return _local(Path(text), progress)
    there_are = f"there are {', '.join(manifest.models)}; or give a .safetensors file"
    near = meant(text, manifest.models)
    hint = there_are if near is None else f"{near} ({there_are})"
    raise WeightsError(f"no model called {text!r}", hint=hint, usage=True)


def is_local(wanted: str | None) -> bool:
    """Whether ``resolve`` would take the weights from this machine, and so not from the Hub: bundled, imported, a file.

    False for a name that nothing is known of.
    """
    manifest = load_manifest()
    text = wanted or os.environ.get("AVIS_MODEL") or manifest.default
    if text in manifest.models:
        return where(manifest, manifest.models[text]) in ("bundled", "imported")
    return os.path.exists(text)


def where(manifest: Manifest, entry: Entry) -> str:
    """Where a model's weights are now: bundled, imported, cached, on the Hub or not here."""
    if entry.bundled and (manifest.folder / entry.file).is_file():
        return "bundled"
    if store.imported_file(entry.name).is_file():
        return "imported"
    source = hub_file(entry)
    if source is None:
        return "not here"
    return "on the Hub" if download.cached(source) is None else "cached"


def hub_file(entry: Entry) -> HubFile | None:
    """Where on the Hub a model's weights are; AVIS_WEIGHTS_REPO (OWNER/REPO[@REVISION]) speaks for those without."""
    if entry.repo is not None and entry.commit is not None:
        return HubFile(entry.repo, entry.file, entry.commit)
    other = os.environ.get("AVIS_WEIGHTS_REPO")
    if not other:
        return None
    try:
        return download.parse_url(f"{download.SCHEME}{other}/{entry.file}")
    except WeightsError:
        raise WeightsError(f"AVIS_WEIGHTS_REPO is {other!r}, expected OWNER/REPO[@REVISION]") from None


def how_to_get(entry: Entry) -> str:
    """What to do for weights that are on no Hub."""
    if entry.released is None:
        return "install avis-cli again"
    command = f"avis weights import {entry.released} --vggish {VGGISH}"
    return f"download {entry.released} from {entry.download}, then run `{command}`, or give a file with --model"


def _by_name(manifest: Manifest, entry: Entry, offline: bool, progress: Progress, force: bool) -> ResolvedWeights:
    bundled = manifest.folder / entry.file
    if entry.bundled and bundled.is_file():
        if entry.sha256 is None:
            raise WeightsError(
                f"the manifest has no checksum for {entry.name}",
                hint=f"run `avis weights verify {entry.name} --record` in the source checkout",
                file=bundled,
            )
        return _named(bundled, entry, store.check(bundled, entry.sha256, "install avis-cli again", progress))
    imported = store.imported_file(entry.name)
    if imported.is_file():
        again = f"delete it and run `avis weights import {entry.released or 'FILE'}` again"
        expected = store.read_sidecar(imported)
        if expected is None:
            raise WeightsError("has no checksum beside it", hint=again, file=imported)
        return _named(imported, entry, store.check(imported, expected, again, progress))
    source = hub_file(entry)
    if source is None:
        raise WeightsError(f"the weights of {entry.name} are not on this machine", hint=how_to_get(entry))
    return _from_hub(source, entry, offline, progress, force)


def _named(path: Path, entry: Entry, sha256: str) -> ResolvedWeights:
    return ResolvedWeights(path, entry.preset, sha256, entry.name, f"{entry.name}: trained on {entry.trained_on}")


def _from_hub(source: HubFile, entry: Entry | None, offline: bool, progress: Progress, force: bool) -> ResolvedWeights:
    command = f"avis weights pull {source if entry is None else entry.name}"
    size = f" ({store.in_words(entry.size)})" if entry is not None and entry.size is not None else ""
    hint = f"run `{command}`{size} online, or give a file with --model"
    fetched = download.fetch(source, offline=offline, progress=progress, force=force, hint=hint)
    expected = (entry.sha256 if entry is not None else None) or fetched.sha256
    if expected is None:
        sha256 = store.checksum(fetched.path, progress)
    else:
        sha256 = store.check(fetched.path, expected, f"run `{command} --force` to download it again", progress)
    if entry is not None:
        return _named(fetched.path, entry, sha256)
    return ResolvedWeights(fetched.path, preset_in(fetched.path), sha256, str(source))


def _local(path: Path, progress: Progress) -> ResolvedWeights:
    store.require_regular(path)
    expected = store.read_sidecar(path)
    if expected is None:
        sha256 = store.checksum(path, progress)
    else:
        sha256 = store.check(path, expected, f"get it again, or delete {store.sidecar(path).name}", progress)
    return ResolvedWeights(path, preset_in(path), sha256, os.fspath(path))


def preset_in(path: Path) -> str | None:
    """The preset a safetensors file names in its metadata; None where it names none."""
    if path.suffix.lower() != ".safetensors":
        return None
    from avis_cli.hub.safetensors_header import read_header

    return read_header(path).metadata.get("preset")
