"""scipy's linear sum assignment without the rest of scipy.

``scipy.optimize`` takes a third of a second to import, longer than everything else that an evaluation loads. The
solver is a compiled module of its own inside it. Which of several equally good assignments it picks decides published
numbers, so no other solver will do.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _solver() -> Callable[..., Any]:
    scipy = find_spec("scipy")
    folders = [] if scipy is None else [str(Path(at) / "optimize") for at in scipy.submodule_search_locations or []]
    spec = PathFinder.find_spec("_lsap", folders)
    if spec is not None and isinstance(spec.loader, ExtensionFileLoader):
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, "linear_sum_assignment"):
            return module.linear_sum_assignment
    # the module is private to scipy and may move
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment


_solve = _solver()


def assign(score: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Score (G, P) -> rows (ascending) and columns of the one-to-one pairs with the greatest sum."""
    rows, columns = _solve(-score)
    return rows, columns
