"""Weights, names and tensors, <-> a network: in our own naming or a released one, strict both ways."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.models.system import Match

SHOWN = 3  # names in an error message


@dataclass(frozen=True)
class Naming:
    """How a released checkpoint of the network called ``network`` names its tensors.

    ``table``: released name -> ours. ``derived``: tensors of it that are no weights, with their shapes; they may be
    there and are not read.
    """

    network: str
    table: Mapping[str, str]
    derived: Mapping[str, tuple[int, ...]]

    def from_released(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Released names -> ours. Raises WeightsError for names that the table does not have or misses."""
        unknown = [name for name in weights if name not in self.table and name not in self.derived]
        missing = [name for name in self.table if name not in weights]
        wrong = [
            f"{name} {tuple(weights[name].shape)} instead of {shape}"
            for name, shape in self.derived.items()
            if name in weights and tuple(weights[name].shape) != shape
        ]
        _refuse(self.network, unknown, missing, wrong)
        return {ours: weights[released] for released, ours in self.table.items()}

    def to_released(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Our names, as in the network's state dict, -> the released ones. Raises WeightsError as ``from_released``."""
        table = {ours: released for released, ours in self.table.items()}
        unknown = [name for name in weights if name not in table]
        missing = [name for name in table if name not in weights]
        _refuse(self.network, unknown, missing, [])
        return {table[name]: tensor for name, tensor in weights.items()}


def load(network: Any, weights: Mapping[str, Tensor], namings: Sequence[Naming]) -> None:
    """Fill the network from names and tensors, in one of the released ``namings`` or our own.

    Raises WeightsError that names the first tensors that are unknown, missing, of another shape or not finite; the
    network is then as it was.
    """
    strange = [name for name, tensor in weights.items() if not isinstance(tensor, Tensor)]
    if strange:
        raise WeightsError(f"not tensors: {_some(strange)}", hint="give a mapping from names to tensors")
    wanted = network.state_dict()
    naming = _nearest(namings, weights, wanted)
    named = dict(weights) if naming is None else naming.from_released(weights)
    _check_names(network.config.name, named, wanted)
    named = {name: tensor.to(wanted[name].dtype) for name, tensor in named.items()}
    bad = [name for name, tensor in named.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise WeightsError(f"not finite: {_some(bad)}", hint="the file is damaged or its training diverged")
    network.load_state_dict(named)


def match(names: Collection[str], presets: Mapping[str, Naming]) -> Match:
    """The one of ``presets`` whose released names are all among ``names``."""
    present = set(names)
    wanted = {preset: naming.table.keys() for preset, naming in presets.items()}
    fitting = tuple(preset for preset, expected in wanted.items() if expected <= present)
    if len(fitting) == 1:
        return Match(fitting[0])
    if fitting:
        return Match(None, f"the tensors fit {' and '.join(fitting)} alike", fitting)
    nearest = max(wanted, key=lambda preset: len(wanted[preset] & present))
    missing = [name for name in wanted[nearest] if name not in present]
    found = len(wanted[nearest]) - len(missing)
    return Match(
        None,
        f"the nearest is {nearest}, {found} of its {len(wanted[nearest])} tensors are here"
        f" (first missing: {missing[0]})",
    )


def _nearest(namings: Sequence[Naming], names: Collection[str], own: Collection[str]) -> Naming | None:
    """The naming that ``names`` come in, None where they are rather our ``own``."""
    present = set(names)
    counts = [len(naming.table.keys() & present) for naming in namings]
    best = max(counts, default=0)
    return namings[counts.index(best)] if best > len(set(own) & present) else None


def _check_names(network: str, named: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    unknown = [name for name in named if name not in wanted]
    missing = [name for name in wanted if name not in named]
    wrong = [
        f"{name} {tuple(named[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in named and named[name].shape != tensor.shape
    ]
    _refuse(network, unknown, missing, wrong)
    whole = [name for name in wanted if not named[name].is_floating_point()]
    if whole:
        raise WeightsError(f"not floating-point: {_some(whole)}", hint=f"these are not the weights of {network}")


def _refuse(network: str, unknown: list[str], missing: list[str], wrong: list[str]) -> None:
    faults = {"unknown": unknown, "missing": missing, "of another shape": wrong}
    found = [f"{kind}: {_some(names)}" for kind, names in faults.items() if names]
    if found:
        raise WeightsError(
            f"weights do not fit {network}: {'; '.join(found)}", hint="choose the model that they were made for"
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(name[:120] for name in names[:SHOWN]) + more
