"""A model's name, file or tensors -> a network ready for use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from avis_cli import hub
from avis_cli.errors import WeightsError
from avis_cli.hub import ResolvedWeights, weights_file
from avis_cli.hub.manifest import published_as
from avis_cli.inference.devices import available_devices, choose_device
from avis_cli.inference.model import Device, Model, Weights
from avis_cli.models import Preset, find_preset, preset_names, recognise
from avis_cli.models.description import build, read_description
from avis_cli.models.system import MapConfig
from avis_cli.nn.vggish import load_vggish, split_off
from avis_cli.progress import Progress, silent

__all__ = ["Model", "available_devices", "choose_device", "load", "load_model"]


def load_model(
    name: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | Weights | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    *,
    offline: bool = False,
    progress: Progress = silent,
) -> Model:
    """A network with its weights on a device.

    ``name``: a preset, a weights file or ``hf://OWNER/REPO[@REVISION]/FILE``; None takes the model named by
    ``AVIS_MODEL``, else that of ``avis weights default``, else the bundled one. ``weights``: None finds them by name; a
    file (.safetensors, .pth); or a mapping from names to tensors in the released or our own naming, for the preset
    ``name``. ``device``: auto, cpu, cuda, cuda:N or mps; ``precision``: auto, fp32, bf16 or fp16. Raises WeightsError
    for weights that are not there or do not fit, and UsageError for a device or preset that is not.
    """
    if isinstance(weights, Mapping):
        if name is None:
            raise WeightsError(
                "tensors without the name of their network", hint=f"name one of {', '.join(preset_names())}"
            )
        preset = find_preset(str(name))
        return _assemble(preset, weights, preset.config.name, None, choose_device(device), precision)
    found = hub.resolve(name if weights is None else weights, offline=offline, progress=progress)
    if weights is not None and name is not None:
        found = replace(found, preset=find_preset(str(name)).config.name, name=os.fspath(name))
    return load(found, device, precision)


def load(found: ResolvedWeights, device: str = "cpu", precision: str = "fp32") -> Model:
    """The network whose weights ``hub.resolve`` found. Raises as ``load_model``."""
    place = choose_device(device)
    tensors, metadata = weights_file.read(found.path)
    try:
        if found.preset is None and "preset" not in metadata:
            preset = recognise(split_off(tensors)[0], published_as(found.path.name))
        else:
            preset = read_description(metadata, found.preset)
        return _assemble(preset, tensors, found.name, found.sha256, place, precision)
    except WeightsError as error:
        raise WeightsError(error.cause, hint=error.hint, file=error.file or found.path) from error


def _assemble(preset: Preset, tensors: Weights, name: str, sha256: str | None, device: Device, precision: str) -> Model:
    own, sound = split_off(tensors)
    network = build(preset, own)
    preset.system.load(network, own)
    vggish = load_vggish(sound) if sound else None
    return Model(network, vggish=vggish, name=name, weights_sha256=sha256, device=device, precision=precision)


def makes_maps(preset: str) -> bool:
    """Whether the networks of a preset make class maps. Raises UsageError for one that there is not."""
    return isinstance(find_preset(preset).config, MapConfig)
