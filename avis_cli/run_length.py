"""Run-length masks in COCO's compressed form: column-major runs, background first, as JSON-safe text.

``{"size": [height, width], "counts": "..."}``. Counts of unknown origin are checked in Python before pycocotools,
whose C code trusts them, may see them.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco


class RunLength(TypedDict):
    """``size``: [height, width] in pixels; ``counts``: COCO's compressed runs as text."""

    size: list[int]
    counts: str


def encode(mask: NDArray[np.bool_]) -> RunLength:
    """Boolean mask (H, W) -> run length."""
    packed = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(n) for n in packed["size"]], "counts": packed["counts"].decode("ascii")}
