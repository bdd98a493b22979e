"""A model's name, file or tensors -> a network ready for use."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from avis_cli import hub
from avis_cli.errors import WeightsError
from avis_cli.model import checkpoint, weights_file
from avis_cli.model.build import build
from avis_cli.model.config import PRESETS, AvismConfig
from avis_cli.model.inference import Device, Model, Weights, choose_device
from avis_cli.model.vggish import load_vggish
from avis_cli.progress import Progress, silent

VGGISH_PREFIX = "audio."  # of the audio network's tensors in a file that holds both networks


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

    ``name``: a preset, a weights file or ``hf://OWNER/REPO[@REVISION]/FILE``; None takes the preset named by ``AVIS_MODEL``
    or else the bundled model. ``weights``: None finds them by name; a file (.safetensors, .pth); or a mapping from names
    to tensors in the released or our own naming, for the preset ``name``. ``device``: auto, cpu, cuda, cuda:N or mps;
    ``precision``: auto, fp32, bf16 or fp16. Raises WeightsError for weights that are not there or do not fit, and
    UsageError for a device that is not.
    """
    place = choose_device(device)
    if isinstance(weights, Mapping):
        config = _preset(name)
        return _assemble(config, weights, name=config.name, sha256=None, device=place, precision=precision)
    found = hub.resolve(name if weights is None else weights, offline=offline, progress=progress)
    tensors, metadata = weights_file.read(found.path)
    config = _config(metadata, _preset(found.preset).name if weights is None else _preset(name or found.preset).name)
    shown = found.name if weights is None or name is None else os.fspath(name)
    return _assemble(config, tensors, name=shown, sha256=found.sha256, device=place, precision=precision)


def _preset(name: str | os.PathLike[str] | None) -> AvismConfig:
    config = PRESETS.get(str(name))
    if config is None:
        raise WeightsError(f"no preset is named {str(name)!r}", hint=f"there are {', '.join(PRESETS)}")
    return config


def _config(metadata: Mapping[str, str], preset: str) -> AvismConfig:
    """The sizes that travel with the weights, or those of the preset."""
    text = metadata.get("config")
    if text is None:
        return _preset(preset)
    try:
        return AvismConfig.from_dict(json.loads(text))
    except (ValueError, AttributeError) as error:
        raise WeightsError(f"the file's model description is not understood ({error})", hint="get the file again") from error


def _assemble(
    config: AvismConfig,
    tensors: Weights,
    *,
    name: str,
    sha256: str | None,
    device: Device,
    precision: str,
) -> Model:
    sound = {key.removeprefix(VGGISH_PREFIX): value for key, value in tensors.items() if key.startswith(VGGISH_PREFIX)}
    network = build(config)
    checkpoint.load(network, {key: value for key, value in tensors.items() if not key.startswith(VGGISH_PREFIX)})
    return Model(
        network,
        vggish=load_vggish(sound) if sound else None,
        name=name,
        weights_sha256=sha256,
        device=device,
        precision=precision,
    )
