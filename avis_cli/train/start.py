"""Where a run starts: a fresh network, or given weights, fitted to the categories of the data."""

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
from avis_cli.models import find_preset
from avis_cli.models.system import ClipConfig
from avis_cli.nn.vggish import load_vggish

CLASS_HEADS = ("localizer.class_head", "tracker.class_head")


@dataclass(frozen=True, eq=False)
class Start:
    """``network`` to train, and the frozen ``ear`` that embeds its sound if it has no audio encoder of its own."""

    network: Any
    ear: nn.Module | None


def start(preset: str, categories: tuple[str, ...], init: str | None, vggish: Path | None, seed: int) -> Start:
    """A network of ``preset`` for ``categories``, its weights drawn from ``seed`` or taken from ``init`` (a model's
    name or file). ``vggish``: a VGGish weights file, for networks that need one and weights that do not hold it."""
    system, config = find_preset(preset).system, replace(find_preset(preset).config, categories=categories)
    torch.manual_seed(seed)
    network = system.build(config)
    ear: nn.Module | None = None if vggish is None else load_vggish(weights_file.read(vggish)[0])
    if init is not None:
        given = load_model(init)
        _same_sizes(given.config, config, init)
        system.load(
            network, fitted(given.network.state_dict(), given.config.categories, network.state_dict(), categories)
        )
        ear = ear or given.vggish
    if config.audio == "vggish" and ear is None:
        raise UsageError(
            f"{preset} hears through VGGish, whose weights are missing",
            hint="give --vggish FILE, or --init with weights that hold them",
        )
    return Start(network, ear if config.audio == "vggish" else None)


def _same_sizes(given: ClipConfig, wanted: ClipConfig, init: str) -> None:
    if given.name != wanted.name:
        raise UsageError(f"the weights {init} are {given.name}, not {wanted.name}", hint=f"give --preset {given.name}")


def fitted(
    given: Mapping[str, Tensor], known: tuple[str, ...], fresh: Mapping[str, Tensor], wanted: tuple[str, ...]
) -> dict[str, Tensor]:
    """``given`` weights for the ``known`` categories as weights for the ``wanted`` ones.

    A category both have keeps its row of the class heads, and so does "no object" (the last row); the others get the
    ``fresh`` network's.
    """
    tensors = dict(given)
    if known == wanted:
        return tensors
    for head in CLASS_HEADS:
        for part in ("weight", "bias"):
            name = f"{head}.{part}"
            rows = fresh[name].clone()
            rows[-1] = given[name][-1]
            for row, category in enumerate(wanted):
                if category in known:
                    rows[row] = given[name][known.index(category)]
            tensors[name] = rows
    return tensors
