"""Checkpoint files as published -> tensors under our names, each one matching its preset's network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from avis_cli.errors import UsageError, WeightsError
from avis_cli.hub import weights_file
from avis_cli.models.avism.build import build
from avis_cli.models.avism.checkpoint import load
from avis_cli.models.avism.config import PRESETS
from avis_cli.models.recognise import recognise
from avis_cli.nn.vggish import PREFIX, load_vggish, split_off


@dataclass(frozen=True)
class Released:
    """``network``: tensors of the network that segments; ``vggish``: those of its audio network, maybe none."""

    preset: str
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
    given, heard = split_off(tensors)
    try:
        preset = name or metadata.get("preset") or recognise(given)
        if preset not in PRESETS:
            raise UsageError(f"no preset called {preset!r}", hint=f"there are {', '.join(PRESETS)}")
        return Released(preset, _checked(preset, given), dict(load_vggish(heard).state_dict()) if heard else {})
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=checkpoint) from error


def read_vggish(path: Path) -> dict[str, Tensor]:
    """The public VGGish weights under our names; WeightsError naming the file for anything else."""
    tensors, _ = weights_file.read(path)
    try:
        return dict(load_vggish(tensors).state_dict())
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=path) from error


def _checked(preset: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    network = build(PRESETS[preset])
    load(network, tensors)
    return dict(network.state_dict())
