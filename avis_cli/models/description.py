"""What a weights file of ours says of its network, in its metadata: ``family``, ``preset``, ``config``, ``source``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from avis_cli.errors import AvisError, WeightsError
from avis_cli.models import Preset, find_preset, find_system
from avis_cli.models.ranges import shown

# Networks up to this many numbers are built even where a file holds fewer, to tell which of the tensors are missing:
# 320 MB as float32, the released ResNet-50 networks among them.
_ALWAYS_BUILT = 80_000_000
_BUFFERS = 1 << 24  # numbers that a network has besides its weights: tables that follow from its sizes
_FACTORIES = frozenset({"empty", "zeros", "ones", "full", "rand", "randn", "tensor", "arange"})


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
        config = system.read_config(_json_object(text))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"the file's model description is not understood ({str(error)[:200]})", hint="get the file again"
        ) from error
    if config.name != name:
        raise WeightsError(
            f"these are weights of {config.name[:80]}, expected {name[:80]}", hint="name the right model"
        )
    return Preset(system, config)


def _json_object(text: str) -> dict[str, Any]:
    """Strict JSON: no NaN, no key twice. Raises ValueError or RecursionError for anything but an object."""

    def refuse(literal: str) -> NoReturn:
        raise ValueError(f"{literal} is no number")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise ValueError("a field stands twice in it")
        return members

    values = json.loads(text, parse_constant=refuse, object_pairs_hook=unique)
    if not isinstance(values, dict):
        raise ValueError(f"it is {shown(values)}, not an object")
    return values


def build(preset: Preset, weights: Mapping[str, Tensor]) -> nn.Module:
    """The network of ``preset``, about to be filled from ``weights``, in training mode.

    What is built is bounded by what there is to fill it with: a description that was made to harm would otherwise
    take all memory. Raises WeightsError where the network is larger, and where none can be built as described.
    """
    held = sum(tensor.numel() for tensor in weights.values())
    try:
        with _Budget(max(held, _ALWAYS_BUILT) + _BUFFERS):
            return preset.system.build(preset.config)
    except _OverBudgetError:
        raise WeightsError(
            f"the network that the file describes, {preset.config.name}, is larger than the {held} numbers it holds",
            hint="get the file again",
        ) from None
    except (AvisError, MemoryError):
        raise
    except Exception as error:  # what a network's parts say of sizes that do not go together
        cause = " ".join(str(error).split())[:200]
        raise WeightsError(f"no network is as the file describes it ({cause})", hint="get the file again") from error


class _OverBudgetError(Exception):
    """More numbers were asked for than allowed."""


class _Budget(TorchFunctionMode):
    """While it is entered, new tensors may hold so many numbers together. Untouched memory is not yet taken, so it is
    soon enough to count a tensor when it is there."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self._left = numbers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _FACTORIES and isinstance(made, torch.Tensor):
            self._left -= made.numel()
            if self._left < 0:
                raise _OverBudgetError
        return made
