"""Lets ``avis_cli.segment(...)`` and ``avis_cli.evaluate(...)`` be called although each is also a module.

The import system binds a submodule over any attribute of the same name on its package, so a function kept in the
package would vanish as soon as somebody imports the module. A module whose class is callable is both, in any order.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any


def make_callable(module: str, function: Callable[..., Any]) -> None:
    """Calling the loaded module named ``module`` calls ``function``, which also lends it its signature."""

    class CallableModule(types.ModuleType):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

    CallableModule.__call__.__doc__ = function.__doc__
    CallableModule.__call__.__wrapped__ = function  # type: ignore[attr-defined]
    sys.modules[module].__class__ = CallableModule
