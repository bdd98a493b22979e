"""Released checkpoints -> one safetensors file of ours, and such a file -> a folder to upload with a model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from avis_cli.errors import AvisError, OutputError, UsageError, WeightsError
from avis_cli.files.atomic import output_tree
from avis_cli.hub import acquire, store, weights_file
from avis_cli.hub.lookup import ResolvedWeights, resolve
from avis_cli.hub.manifest import Entry, load_manifest, published_as
from avis_cli.hub.safetensors_header import read_header
from avis_cli.models import Preset, find_preset, recognise
from avis_cli.models.description import build, describe, read_description
from avis_cli.models.system import ClipConfig
from avis_cli.nn.vggish import PREFIX, load_vggish, split_off
from avis_cli.progress import Progress, silent


@dataclass(frozen=True)
class Imported:
    """Where an import ended, what it is now called, whether it can hear by itself, and why VGGish did not come."""

    path: Path
    name: str
    sha256: str
    has_audio: bool
    without: AvisError | None = None


def import_released(
    checkpoint: Path,
    *,
    vggish: Path | None = None,
    name: str | None = None,
    overwrite: bool = False,
    note: acquire.Note = acquire.ignore,
    progress: Progress = silent,
) -> Imported:
    """Turns a released checkpoint, and the public VGGish weights with it, into one safetensors file kept by avis.

    ``vggish``: its file; None fetches it where the network hears through it and the checkpoint has none of its own, and
    goes on without where it does not come. ``name``: which preset it is; told by the tensors' names if None, and by the
    file's own where these do not decide.
    Every tensor has to match the preset's network. Raises WeightsError for a file that does not, UsageError if there is
    an import of that name already, or for a VGGish that the network does not use.
    """
    if name is not None:
        find_preset(name)  # a name that there is not is told before anything is read
    if vggish is not None:
        _check_name(vggish, progress)
    found = read_released(checkpoint, name)
    preset, hears_itself = found.preset.config.name, found.preset.config.audio == "own"
    if vggish is not None and hears_itself:
        raise UsageError(f"--vggish with {preset}", hint="it hears through a network of its own")
    known = load_manifest().models.get(preset)
    if known is not None and known.bundled:
        raise UsageError(f"{preset} is bundled", hint="use the file itself: --model FILE", file=checkpoint)
    target = store.imported_file(preset)
    if target.exists() and not overwrite:
        raise UsageError(f"{preset} is imported already", hint="add --overwrite to replace it", file=target)
    if vggish is not None:
        found = replace(found, vggish=read_vggish(vggish))
    without: AvisError | None = None
    if not found.vggish and not hears_itself and found.preset.config.audio == "vggish":
        try:
            found = replace(found, vggish=read_vggish(_fetch_vggish(note, progress)))
        except AvisError as error:
            without = error
    tensors = found.tensors()
    store.check_room(target.parent, sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()))
    source = f"{checkpoint.name} (sha256 {store.checksum(checkpoint, progress)})"
    try:
        # without its sidecar a file is not loaded: a kill between the two writes leaves nothing that looks right
        store.sidecar(target).unlink(missing_ok=True)
        weights_file.write(target, tensors, describe(found.preset, source))
        sha256 = store.checksum(target, progress)
        store.write_sidecar(target, sha256)
    except (OSError, OutputError) as error:
        cause = error.cause if isinstance(error, OutputError) else f"{error.strerror or error}"
        raise OutputError(
            f"cannot keep the weights ({cause})", hint="set AVIS_HOME to another folder", file=target
        ) from error
    return Imported(target, preset, sha256, hears_itself or bool(found.vggish), without)


def export(wanted: str, folder: Path, *, offline: bool = False, progress: Progress = silent) -> Path:
    """Writes ``folder`` with weights, ``config.json`` and a model card, whole or not at all; returns the weights.

    ``wanted``: anything `resolve` takes that ends at a safetensors file of avis.
    """
    resolved = resolve(wanted, offline=offline, progress=progress)
    if resolved.preset is None:
        raise WeightsError(
            "names no preset", hint=f"run `avis weights import {resolved.path.name}` first", file=resolved.path
        )
    if folder.exists():
        raise UsageError("is there already", hint="give a folder that does not exist yet", file=folder)
    known = load_manifest().models.get(resolved.name)
    file = known.file if known is not None else resolved.path.name
    metadata = read_header(resolved.path).metadata
    try:
        config = read_description(metadata, resolved.preset).config
    except AvisError as error:
        raise WeightsError(error.cause, hint=error.hint, file=resolved.path) from error
    card = model_card(file, resolved, known, config, metadata.get("source", "not recorded"))
    texts = {"config.json": json.dumps(config.to_dict(), indent=2), "README.md": card}
    return _write_folder(folder, resolved.path, file, texts)


def _fetch_vggish(note: acquire.Note, progress: Progress) -> Path:
    file = load_manifest().files.get("vggish")
    if file is None:
        raise WeightsError("the list of models names no source of VGGish")
    return acquire.public_file(file, note=note, progress=progress)


def _check_name(path: Path, progress: Progress) -> None:
    """WeightsError if the file's name carries the start of another checksum than the file has."""
    named = store.HASHED_NAME.search(path.name)
    found = store.checksum(path, progress)
    if named is not None and not found.startswith(named[1]):
        raise WeightsError(
            f"wrong checksum: sha256 {found}, its name promises {named[1]}...", hint="download it again", file=path
        )


def _write_folder(folder: Path, weights: Path, file: str, texts: Mapping[str, str]) -> Path:
    store.check_room(folder.absolute().parent, weights.stat().st_size)
    with output_tree(folder, remedy="choose a folder that can be written") as temporary:
        shutil.copyfile(weights, temporary / file)
        for name, text in texts.items():
            (temporary / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return folder / file


@dataclass(frozen=True)
class Released:
    """``network``: tensors of the network that segments; ``vggish``: those of its audio network, maybe none."""

    preset: Preset
    network: dict[str, Tensor]
    vggish: dict[str, Tensor]

    def tensors(self) -> dict[str, Tensor]:
        """Both together, as one weights file holds them."""
        return {**self.network, **{f"{PREFIX}{name}": tensor for name, tensor in self.vggish.items()}}


def read_released(checkpoint: Path, name: str | None = None) -> Released:
    """A released checkpoint, or a weights file of ours.

    ``name``: which preset it is; told by the metadata or the tensors' names if None. Raises WeightsError naming the
    file for anything that does not match, UsageError for an unknown preset.
    """
    tensors, metadata = weights_file.read(checkpoint)
    given, sound = split_off(tensors)
    try:
        named = name or metadata.get("preset")
        preset = recognise(given, published_as(checkpoint.name)) if named is None else find_preset(named)
        network = build(preset, given)
        preset.system.load(network, given)
        return Released(preset, dict(network.state_dict()), dict(load_vggish(sound).state_dict()) if sound else {})
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=checkpoint) from error


def read_vggish(path: Path) -> dict[str, Tensor]:
    """The public VGGish weights under our names; WeightsError naming the file for anything else."""
    tensors, _ = weights_file.read(path)
    try:
        return dict(load_vggish(tensors).state_dict())
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=path) from error


LICENCES = {"MIT": "mit"}  # as we write them -> as the Hub's index knows them


def model_card(file: str, weights: ResolvedWeights, entry: Entry | None, config: ClipConfig, source: str) -> str:
    """Markdown with the Hub's front matter.

    ``entry``: what the manifest knows; ``config``: the network's sizes; ``source``: where the file says it is from.
    """
    name = weights.preset if entry is None else entry.name
    licence = "not stated" if entry is None else entry.licence
    categories = ", ".join(config.categories)
    return f"""---
license: {LICENCES.get(licence, "other")}
library_name: avis-cli
tags: [audio-visual, instance-segmentation, video]
---

# {name}

Weights for [avis](https://pypi.org/project/avis-cli/): which objects in a video make the sound you hear.

| | |
|---|---|
| network | `{weights.preset}` (sizes in `config.json`) |
| trained on | {"not recorded" if entry is None else entry.trained_on} |
| source | {source if entry is None else f"{entry.source}; {source}"} |
| licence | {licence} |
| categories | {categories} |
| file | `{file}`, sha256 `{weights.sha256}` |

```
avis segment clip.mp4 --model hf://OWNER/REPO/{file}
```
"""
