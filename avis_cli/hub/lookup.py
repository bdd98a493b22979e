"""What the user calls a model -> the file to load, its checksum checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from avis_cli.errors import WeightsError
from avis_cli.hub import acquire, download, sources, store
from avis_cli.hub.download import HubFile
from avis_cli.hub.manifest import Entry, Manifest, load_manifest
from avis_cli.progress import Progress, silent
from avis_cli.text import meant

SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl")


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
    note: acquire.Note = acquire.ignore,
) -> ResolvedWeights:
    """The weights called ``wanted``: a model's name, a file, or ``hf://OWNER/REPO[@REVISION]/FILE``.

    None is the default model (`default_model`). Released weights that are not here are fetched, which ``note`` is told.
    ``offline`` asks nobody, as AVIS_OFFLINE and HF_HUB_OFFLINE do; ``force`` downloads again what can be downloaded.
    Raises WeightsError if they are nowhere or their checksum is wrong.
    """
    manifest = load_manifest()
    offline = offline or download.is_offline()
    text = os.fspath(wanted) if wanted is not None else default_model(manifest)[0]
    if text.startswith(download.SCHEME):
        return _from_hub(download.parse_url(text), None, offline, progress, force)
    if text in manifest.models:
        return _by_name(manifest, manifest.models[text], offline, progress, force, note)
    if text.lower().endswith(SUFFIXES) or os.sep in text or os.path.exists(text):
        return _local(Path(text), progress)
    raise _unknown(text)


def _unknown(text: str) -> WeightsError:
    models = load_manifest().models
    there_are = f"there are {', '.join(models)}; or give a .safetensors file"
    near = meant(text, models)
    hint = there_are if near is None else f"{near} ({there_are})"
    return WeightsError(f"no model called {text!r}", hint=hint, usage=True)


def default_model(manifest: Manifest) -> tuple[str, str]:
    """The model that is used where none is named, and who chose it: AVIS_MODEL, else `avis weights default`, else the
    list of models."""
    for name, who in ((os.environ.get("AVIS_MODEL"), "AVIS_MODEL"), (store.chosen_model(), "avis weights default")):
        if name:
            return name, who
    return manifest.default, "avis itself"


def whole_name(model: str) -> str:
    """What `avis weights default` keeps of ``model``: of a file its whole path. Raises WeightsError where there is no
    such model; downloads nothing."""
    if model in load_manifest().models:
        return model
    if model.startswith(download.SCHEME):
        return str(download.parse_url(model))
    if model.lower().endswith(SUFFIXES) or os.sep in model or os.path.exists(model):
        path = Path(model).absolute()
        store.require_regular(path)
        if not path.exists():
            raise WeightsError("no such weights file", hint="give one that exists", file=model)
        return os.fspath(path)
    raise _unknown(model)


def is_local(wanted: str | None) -> bool:
    """Whether ``resolve`` can take the weights from nowhere but this machine: bundled, imported by hand, a file.

    False for a name that nothing is known of.
    """
    manifest = load_manifest()
    text = wanted or default_model(manifest)[0]
    if text in manifest.models:
        here = where(manifest, manifest.models[text])
        return here == "bundled" or (here == "imported" and not manifest.models[text].sources)
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


def comes_from(entry: Entry) -> str:
    """Where the weights would come from, in words."""
    if entry.bundled:
        return "this installation"
    named = hub_file(entry)
    by_itself = [*([str(named)] if named else []), *map(sources.origin_of, entry.sources)]
    by_hand = [] if entry.download is None or entry.sources else [f"{entry.download} (by hand)"]
    trained = [] if entry.made_by is None else [f"`{entry.made_by}`"]
    return ", else ".join(by_itself + by_hand + trained) or "nowhere"


def _by_name(
    manifest: Manifest, entry: Entry, offline: bool, progress: Progress, force: bool, note: acquire.Note
) -> ResolvedWeights:
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
    if imported.is_file() and not (force and entry.sources):
        return _imported(imported, entry, progress)
    source = hub_file(entry)
    if source is not None:
        try:
            return _from_hub(source, entry, offline, progress, force)
        except WeightsError as error:
            if not entry.sources or offline:
                raise
            note(f"not from {source}: {error.cause}")
    if not entry.sources:
        cause = f"the weights of {entry.name} are not on this machine, and do not come by themselves"
        raise WeightsError(cause, hint="by hand:", steps=acquire.by_hand(entry))
    if offline:
        cause = f"offline, and the weights of {entry.name} are not on this machine"
        steps = acquire.by_hand(entry)
        raise WeightsError(cause, hint=f"run `avis weights pull {entry.name}` online, or by hand:", steps=steps)
    acquire.model(entry, note=note, progress=progress, force=force)
    return _imported(imported, entry, progress)


def _imported(path: Path, entry: Entry, progress: Progress) -> ResolvedWeights:
    """Weights that were imported, or fetched and converted, once their checksum is right."""
    command = f"avis weights pull {entry.name}" if entry.sources else f"avis weights import {entry.released or 'FILE'}"
    again = f"delete it and run `{command}` again"
    expected = store.read_sidecar(path)
    if expected is None:
        raise WeightsError("has no checksum beside it", hint=again, file=path)
    return _named(path, entry, store.check(path, expected, again, progress))


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
