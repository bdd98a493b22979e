"""The weights that a run starts from, and the file of those that it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from avis_cli.errors import UsageError
from avis_cli.hub import weights_file
from avis_cli.inference.loading import load_model
from avis_cli.models import Preset, find_preset
from avis_cli.models.description import describe
from avis_cli.models.system import MapConfig
from avis_cli.nn import vggish
from avis_cli.nn.vggish import load_vggish
from avis_cli.train.train_request import TrainRequest

NAME = "model.safetensors"
PRETRAINED = "pretrained.safetensors"  # as the pre-training losses alone left them


@dataclass(frozen=True, eq=False)
class Start:
    """A ``network`` to train, its ``preset`` with the configuration it was built from, and the frozen
    ``audio_network`` that embeds its sound if it has no audio encoder of its own."""

    preset: Preset
    network: Any
    audio_network: nn.Module | None


def start(request: TrainRequest, categories: tuple[str, ...]) -> Start:
    """A network of the request's preset for ``categories``, its weights drawn from the seed or taken from ``init`` (a
    model's name or file). Raises UsageError for a preset that is unknown, weights of another one, and where VGGish's
    are needed and neither given nor among those of ``init``."""
    found = find_preset(request.preset)
    # a map of one class is that of all that sounds, whatever the data tells apart
    is_binary = isinstance(found.config, MapConfig) and found.config.binary
    preset = found if is_binary else Preset(found.system, replace(found.config, categories=categories))
    config = preset.config
    torch.manual_seed(request.seed)
    network = preset.system.build(config)
    audio_network: nn.Module | None = None
    if request.vggish is not None:
        audio_network = load_vggish(weights_file.read(request.vggish)[0])
    if request.init is not None:
        given = load_model(request.init)
        training, fresh = preset.system.training(), network.state_dict()
        other = given.config.name != config.name
        if other and find_preset(given.config.name).system.family not in training.starts_from:
            raise UsageError(
                f"the weights {request.init} are {given.config.name}, not {config.name}",
                hint=f"give --preset {given.config.name}",
            )
        known, heads = given.config.categories, training.class_heads
        tensors = dict(given.network.state_dict())
        if known != categories:
            tensors |= refitted(heads, tensors, fresh, known, categories)
        if other:
            tensors = training.taken_over(tensors, fresh)
        preset.system.load(network, tensors)
        audio_network = audio_network or given.vggish
    if config.audio == "vggish" and audio_network is None:
        raise UsageError(
            f"{request.preset} hears through VGGish, whose weights are missing",
            hint="give --vggish FILE, or --init with weights that hold them",
        )
    return Start(preset, network, audio_network if config.audio == "vggish" else None)


def refitted(
    heads: tuple[str, ...],
    given: Mapping[str, Tensor],
    fresh: Mapping[str, Tensor],
    known: tuple[str, ...],
    wanted: tuple[str, ...],
) -> dict[str, Tensor]:
    """The class ``heads`` of ``given`` weights, for the ``known`` categories, as heads for the ``wanted`` ones.

    A category both have keeps its row, and so does "no object" (the last row); the others get the ``fresh`` network's.
    """
    tensors = {}
    for name in (f"{head}.{leaf}" for head in heads for leaf in ("weight", "bias")):
        rows = fresh[name].clone()
        rows[-1] = given[name][-1]
        for row, category in enumerate(wanted):
            if category in known:
                rows[row] = given[name][known.index(category)]
        tensors[name] = rows
    return tensors


def save_model(
    path: Path, start: Start, network: nn.Module, *, constants: Mapping[str, Any], source: str, half: bool
) -> None:
    """Write ``network``, which began as ``start``, as a weights file that every command takes as ``--model``, with the
    audio network it was trained with if it has no encoder of its own. ``constants``: fields of the configuration that
    were fitted, to be kept with it; ``half``: as float16; ``source``: where the weights come from."""
    config = replace(start.preset.config, **constants)
    tensors: dict[str, Tensor] = dict(network.state_dict())
    if start.audio_network is not None:
        tensors |= {vggish.PREFIX + name: tensor for name, tensor in start.audio_network.state_dict().items()}
    if half:
        tensors = {
            name: value.to(torch.float16) if value.is_floating_point() else value for name, value in tensors.items()
        }
    weights_file.write(path, tensors, describe(Preset(start.preset.system, config), source))
