"""avis: which objects in a video make the sound you hear (audio-visual instance segmentation).

Importing the package loads nothing heavy; each name below is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avis_cli.errors import AvisError
    from avis_cli.results import ClipResult, Track

__version__ = "0.1.0"
__all__ = ["AvisError", "ClipResult", "Track", "__version__", "evaluate", "load_model", "segment", "segment_frames"]

# name -> (module, attribute); None: the module itself, which is callable
_HOMES: dict[str, tuple[str, str | None]] = {
    "AvisError": ("avis_cli.errors", "AvisError"),
    "ClipResult": ("avis_cli.results", "ClipResult"),
    "Track": ("avis_cli.results", "Track"),
    "load_model": ("avis_cli.loading", "load_model"),
    "segment_frames": ("avis_cli.segment", "segment_frames"),
    "segment": ("avis_cli.segment", None),
    "evaluate": ("avis_cli.evaluate", None),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    home = import_module(module)
    return home if attribute is None else getattr(home, attribute)


def __dir__() -> list[str]:
    return sorted(__all__)
