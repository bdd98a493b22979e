"""Weights -> a folder to upload to the Hub: the file, its sizes and a model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from avis_cli.errors import AvisError, UsageError, WeightsError
from avis_cli.files.atomic import output_tree
from avis_cli.hub import store
from avis_cli.hub.lookup import ResolvedWeights, resolve
from avis_cli.hub.manifest import Entry, load_manifest
from avis_cli.hub.safetensors_header import read_header
from avis_cli.models.description import read_description
from avis_cli.models.system import ClipConfig
from avis_cli.progress import Progress, silent

LICENCES = {"MIT": "mit"}  # as we write them -> as the Hub's index knows them


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


def _write_folder(folder: Path, weights: Path, file: str, texts: Mapping[str, str]) -> Path:
    store.check_room(folder.absolute().parent, weights.stat().st_size)
    with output_tree(folder, remedy="choose a folder that can be written") as temporary:
        shutil.copyfile(weights, temporary / file)
        for name, text in texts.items():
            (temporary / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    return folder / file


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
