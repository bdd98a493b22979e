"""A trained network as a weights file that every command takes as ``--model``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from avis_cli.hub import weights_file
from avis_cli.models import Preset, find_preset
from avis_cli.models.avism.network import Avism
from avis_cli.models.description import describe
from avis_cli.nn import vggish

NAME = "model.safetensors"
PRETRAINED = "pretrained.safetensors"  # as the auxiliary losses alone left them


def save_model(
    path: Path, network: Avism, *, gate_threshold: float | None, source: str, half: bool, ear: nn.Module | None = None
) -> None:
    """Write ``network`` (its configuration with the chosen ``gate_threshold`` in the metadata) and, if it has no audio
    encoder of its own, the ``ear`` it was trained with. ``half``: as float16. ``source``: where the weights come
    from."""
    config = network.config
    if gate_threshold is not None:
        config = replace(config, gate_threshold=gate_threshold)
    tensors: dict[str, Tensor] = dict(network.state_dict())
    if ear is not None:
        tensors |= {vggish.PREFIX + name: tensor for name, tensor in ear.state_dict().items()}
    if half:
        tensors = {
            name: value.to(torch.float16) if value.is_floating_point() else value for name, value in tensors.items()
        }
    weights_file.write(path, tensors, describe(Preset(find_preset(config.name).system, config), source))
