"""Whether a clip looks like what a network was trained on: the distance of what its backbone makes of the frames from
what it made of the training's (Lee et al., NeurIPS 2018, a simple unified framework for detecting out-of-distribution
samples: the Mahalanobis distance, here of one map's channel means and of one class, the training's whole world).

Statistics lie beside the weights they were made with; `benchmarks/in_world.py` makes and checks them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from avis_cli.errors import WeightsError
from avis_cli.hub.manifest import Entry, load_manifest
from avis_cli.inference.model import Model
from avis_cli.models.tokens import FrameTokens

MAP = 3  # of the backbone's, finest first: told cartoons from footage best of all (benchmarks/README.md)
SHRINK = 0.05  # of the mean variance, added to every direction: few clips leave some of them without any
MOST_FRAMES = 64  # of a clip that are looked at


@dataclass(frozen=True)
class World:
    """``mean`` (C,) and ``precision`` (C, C), the inverse covariance, of a map's channel means over the frames of a
    training; ``limit``: distance from which a clip is another world; ``weights``: SHA-256 of the file they go with."""

    mean: Tensor
    precision: Tensor
    limit: float
    weights: str

    @classmethod
    def fitted(cls, means: Tensor, weights: str, limit: float = math.inf) -> World:
        """Of ``means`` (N, C) of N frames."""
        covariance = torch.cov(means.double().T)
        size = len(covariance)
        covariance += SHRINK * covariance.trace() / size * torch.eye(size, dtype=torch.float64)
        return cls(means.double().mean(0).float(), torch.linalg.inv(covariance).float(), limit, weights)

    def distance(self, means: Tensor) -> float:
        """Mean distance of frames (N, C) from the training's, 1 for the average training frame's square."""
        away = means.float() - self.mean
        squares = torch.einsum("nc,cd,nd->n", away, self.precision, away).clamp_min(0) / len(self.mean)
        return float(squares.sqrt().mean())

    def save(self, path: Path) -> None:
        """As a safetensors file."""
        about = {"limit": repr(self.limit), "weights": self.weights}
        save_file({"mean": self.mean, "precision": self.precision.contiguous()}, path, metadata=about)

    @classmethod
    def read(cls, path: Path) -> World:
        """What ``save`` wrote. Raises WeightsError for anything else."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                mean, precision = file.get_tensor("mean"), file.get_tensor("precision")
            return cls(mean, precision, float(about["limit"]), about["weights"])
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise WeightsError(
                f"no statistics of a training: {reason}", hint="install avis-cli again", file=path
            ) from None


def channel_means(network: Any, frames: Tensor) -> Tensor:
    """Frames uint8 (N, 3, h, w) at network size -> means of the map's channels over the picture (N, C)."""
    height, width = frames.shape[-2:]
    divisor = network.config.size_divisor
    padded = height + -height % divisor
    found = network.maps(frames)[MAP].float()
    cell = padded // found.shape[-2]
    return found[..., : max(1, height // cell), : max(1, width // cell)].mean((-2, -1))


def bundled_entry(model: Model) -> Entry | None:
    """What the manifest says of a model whose weights are bundled, under whatever name it was loaded; else None."""
    models = load_manifest().models.values()
    return next((entry for entry in models if entry.bundled and entry.sha256 == model.weights_sha256), None)


def world_of(model: Model) -> World | None:
    """The statistics beside a bundled model's weights; None for other models."""
    entry = bundled_entry(model)
    if entry is None:
        return None
    path = (load_manifest().folder / entry.file).with_suffix(".world.safetensors")
    world = World.read(path) if path.is_file() else None
    return world if world is not None and world.weights == model.weights_sha256 else None


class Watched:
    """A model that keeps what its backbone makes of some of the frames it is given; otherwise the model itself."""

    def __init__(self, model: Model, world: World) -> None:
        self._model, self._world = model, world
        self._means: list[Tensor] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def localize(self, frames: Any, audio: Any, *, frame_masks: bool = False) -> FrameTokens:
        """As the model's; of every batch the first frame is looked at."""
        if len(self._means) < MOST_FRAMES:
            with torch.inference_mode():
                first = torch.as_tensor(frames[:1]).to(self._model.device)
                self._means.append(channel_means(self._model.network, first).cpu())
        return self._model.localize(frames, audio, frame_masks=frame_masks)

    def observe(self, state: Any, frame: Any, audio: Any, **more: Any) -> Any:
        """As the model's, of an online one; every frame is looked at."""
        if len(self._means) < MOST_FRAMES:
            with torch.inference_mode():
                first = torch.as_tensor(frame)[None].to(self._model.device)
                self._means.append(channel_means(self._model.network, first).cpu())
        return self._model.observe(state, frame, audio, **more)

    def segment(self, frames: Any, audio: Any, valid: Any = None) -> Tensor:
        """As the model's, of one that makes class maps; of every clip the first frame is looked at."""
        if len(self._means) < MOST_FRAMES:
            with torch.inference_mode():
                first = torch.as_tensor(frames[:1]).to(self._model.device)
                self._means.append(channel_means(self._model.network, first).cpu())
        return self._model.segment(frames, audio, valid)

    def distance(self) -> float:
        """Of the frames seen from the training's; 0 where none was."""
        return self._world.distance(torch.cat(self._means)) if self._means else 0.0

    def is_elsewhere(self) -> bool:
        """Whether they look like nothing the network was trained on."""
        return self.distance() > self._world.limit
