"""The weights under which the golden arrays here were computed: each a function of its name, shape and a salt alone.

Anyone can fill a network with them, so the arrays need no weights file beside them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RESIDUAL_ENDS = ("out_proj.weight", "output_proj.weight", "linear2.weight")
EMBEDDING_TABLES = ("query_", "fq_pos", "level_embed", "relative_position_bias_table")


def tensor(name: str, shape: Sequence[int], salt: int = 0) -> NDArray[np.float32]:
    """The float32 weights called ``name`` in a released checkpoint."""
    shape = tuple(shape)
    noise = np.random.RandomState((zlib.crc32(name.encode()) + salt) & 0xFFFFFFFF).standard_normal(shape)
    return _scaled(noise, name, shape).astype(np.float32)


def _scaled(noise: NDArray[np.float64], name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    leaf = name.split(".")[-1]
    if leaf == "running_var":
        return 1.0 + 0.2 * np.abs(noise)
    if leaf == "running_mean":
        return 0.1 * noise
    if "class_embed.weight" in name:  # confident classes
        return noise * 6.0 / np.sqrt(shape[-1])
    if "sampling_offsets.bias" in name:
        return 2.0 * noise
    if leaf == "weight" and len(shape) == 1:  # the scale of a norm
        return 1.0 + 0.1 * noise
    if leaf in ("bias", "in_proj_bias"):
        return 0.05 * noise
    if leaf == "in_proj_weight":  # queries and keys up, for sharper attention; values as they are
        noise[: 2 * shape[0] // 3] *= 1.6
        return noise / np.sqrt(shape[1])
    if name.endswith(RESIDUAL_ENDS):
        return 0.5 * noise / np.sqrt(shape[1])
    if len(shape) >= 2 and any(part in name for part in EMBEDDING_TABLES):
        return 1.2 * noise
    gain = np.sqrt(2.0) if len(shape) == 4 else 1.0
    return gain * noise / np.sqrt(math.prod(shape[1:]))
