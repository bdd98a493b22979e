"""A model's name -> its weights on disk: bundled, imported or from the Hugging Face Hub, checksums checked."""

from __future__ import annotations

from avis_cli.hub.lookup import ResolvedWeights, resolve
from avis_cli.hub.manifest import Entry, Manifest, load_manifest

__all__ = ["Entry", "Manifest", "ResolvedWeights", "load_manifest", "resolve"]
