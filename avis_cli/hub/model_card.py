"""The README of a folder of weights, as the Hub shows it."""

from __future__ import annotations

from avis_cli.hub.lookup import ResolvedWeights
from avis_cli.hub.manifest import Entry
from avis_cli.models.system import ClipConfig

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
