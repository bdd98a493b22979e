"""Weights that anyone can rebuild: each tensor is a function of its name, its shape and a salt.

The arrays in `data/parity/` are what the published network computes on weights made so; names and shapes are in
`data/parity/keys_*.json`. Scales keep activations in a sane range and attention sharp enough to tell heads apart.
"""

from __future__ import annotations

import json
import zlib

import numpy as np
import paths
import torch
from numpy.typing import NDArray
from torch import Tensor

DATA = paths.DATA / "parity"

RESIDUAL_BRANCHES = ("out_proj.weight", "output_proj.weight", "linear2.weight")
LEARNED_TABLES = ("query_", "fq_pos", "level_embed", "relative_position_bias_table")


def filled(name: str, shape: tuple[int, ...], salt: int) -> NDArray[np.float32]:
    """The tensor of that name."""
    seed = (zlib.crc32(name.encode()) + salt) % 2**32
    noise = np.random.RandomState(seed).standard_normal(shape)
    return _scaled(name, noise).astype(np.float32)


def _scaled(name: str, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    leaf, flat = name.split(".")[-1], noise.ndim == 1
    if leaf == "running_var":
        return 1.0 + 0.2 * np.abs(noise)
    if leaf == "running_mean":
        return 0.1 * noise
    if "class_embed.weight" in name:
        return noise * 6.0 / np.sqrt(noise.shape[-1])
    if "sampling_offsets.bias" in name:
        return 2.0 * noise
    if flat and leaf == "weight":
        return 1.0 + 0.1 * noise
    if leaf in ("bias", "in_proj_bias"):
        return 0.05 * noise
    if leaf == "in_proj_weight":
        noise[: 2 * len(noise) // 3] *= 1.6  # queries and keys, not values
        return noise / np.sqrt(noise.shape[1])
    if name.endswith(RESIDUAL_BRANCHES):
        return 0.5 * noise / np.sqrt(noise.shape[1])
    if not flat and any(part in name for part in LEARNED_TABLES):
        return 1.2 * noise
    gain = np.sqrt(2.0) if noise.ndim == 4 else 1.0
    return gain * noise / np.sqrt(int(np.prod(noise.shape[1:])))


TPAVI_GAINS = {
    "conv2d_list": 0.4, "resConfUnit": 0.7, "W_z.0": 0.4, "align_channel": 1.6, "attn.proj": 0.5, "mlp.fc2": 0.5,
}  # fmt: skip
"""Of matrices and kernels by a part of their names: every map of TPAVI stays near unit scale."""


def filled_tpavi(name: str, shape: tuple[int, ...], salt: int) -> NDArray[np.float32]:
    """``filled`` with the gains of TPAVI's parity data."""
    plain = filled(name, shape, salt)
    if name.endswith("bn3.weight"):
        return np.float32(0.3) * plain
    if len(shape) < 2:
        return plain
    gain = next((gain for part, gain in TPAVI_GAINS.items() if part in name), None)
    gain = 2.0 if name == "output_conv.4.weight" else gain
    if gain is None:
        return plain
    seed = (zlib.crc32(name.encode()) + salt) % 2**32
    noise = np.random.RandomState(seed).standard_normal(shape)
    return (gain * noise / np.sqrt(int(np.prod(shape[1:])))).astype(np.float32)


def names_and_shapes(checkpoint: str) -> dict[str, tuple[int, ...]]:
    """Floating-point tensors of a released checkpoint, without the class weights of its losses.

    ``checkpoint``: as in the name of its list of keys, below the folder of a system that is not AVISM:
    ``acvis/acvis_R50``.
    """
    path = DATA / checkpoint
    keys = json.loads((path.parent / f"keys_{path.name}.json").read_text())
    wanted = [name for name, (_, kind) in keys.items() if kind == "float32" and "empty_weight" not in name]
    return {name: tuple(keys[name][0]) for name in wanted}


def weights(checkpoint: str, salt: int) -> dict[str, Tensor]:
    return {name: torch.from_numpy(filled(name, shape, salt)) for name, shape in names_and_shapes(checkpoint).items()}
