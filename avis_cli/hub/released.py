"""Checkpoint files as published -> tensors under our names, each one matching its preset's network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.hub import weights_file
from avis_cli.models import Preset, find_preset, recognise
from avis_cli.nn.vggish import PREFIX, load_vggish, split_off


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
        preset = recognise(given) if named is None else find_preset(named)
        network = preset.system.build(preset.config)
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
