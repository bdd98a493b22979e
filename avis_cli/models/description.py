"""What a weights file of ours says of its network, in its metadata: ``family``, ``preset``, ``config``, ``source``."""

from __future__ import annotations

import json
from collections.abc import Mapping

from avis_cli.errors import WeightsError
from avis_cli.models import Preset, find_preset, find_system


def describe(preset: Preset, source: str) -> dict[str, str]:
    """The metadata of a weights file for a network of ``preset``. ``source``: where the weights come from."""
    config = json.dumps(preset.config.to_dict(), sort_keys=True)
    return {"family": preset.system.family, "preset": preset.config.name, "source": source, "config": config}


def read_description(metadata: Mapping[str, str], name: str | None = None) -> Preset:
    """The system and configuration that ``metadata`` speaks of.

    ``name``: the preset that the weights are known to be of; the metadata's own if None. Files without a family, or
    without a configuration, are of the preset that they name. Raises WeightsError where the metadata cannot be
    understood or speaks of another preset, UsageError where it names one that is unknown here.
    """
    name = name or metadata.get("preset")
    if name is None:
        raise WeightsError("names no preset", hint="say which model it is")
    family, text = metadata.get("family"), metadata.get("config")
    if text is None:
        return find_preset(name)
    system = find_preset(metadata.get("preset") or name).system if family is None else find_system(family)
    try:
        config = system.read_config(json.loads(text))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"the file's model description is not understood ({error})", hint="get the file again"
        ) from error
    if config.name != name:
        raise WeightsError(f"these are weights of {config.name}, expected {name}", hint="name the right model")
    return Preset(system, config)
