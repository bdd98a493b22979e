"""avis: which objects in a video make the sound you hear (audio-visual instance segmentation).

- ``load_model(name)``: a network with its weights on a device, ready for the two below.
- ``segment(path, model)``: a video file -> ``ClipResult``.
- ``segment_frames(model, frames, audio, output_size)``: frames that are already at network size, uint8 RGB
  (T, 3, h, w), and one audio embedding for each, float32 (T, 128) -> ``ClipResult`` with masks of ``output_size``
  (height, width) in pixels.
- ``evaluate(gt, pred)``: files of ground truth and predictions -> every metric in percent, as scores.json has them.
- ``ClipResult``: what a clip's segmentation is; one mask per ``Track`` and mask frame, times in seconds. It reads and
  writes ``tracks.json``, and gives label maps (H, W), rows for a table, and detections for supervision.
- ``read_result(path)``: any result that was written earlier, from its file, its JSON text or the parsed values.
- ``AvisError``: what all of them raise where an input is at fault; its text is one line that says what to do.

Importing the package loads nothing heavy; each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from avis_cli.errors import AvisError
    from avis_cli.evaluate import evaluate
    from avis_cli.inference.loading import load_model
    from avis_cli.results.clip import ClipResult, Track
    from avis_cli.results.reader import read_result
    from avis_cli.segment import segment, segment_frames

__version__ = "0.1.0"
__all__ = [
    "AvisError",
    "ClipResult",
    "Track",
    "__version__",
    "evaluate",
    "load_model",
    "read_result",
    "segment",
    "segment_frames",
]

# name -> (module, attribute); None: the module itself, which is callable
_HOMES: dict[str, tuple[str, str | None]] = {
    "AvisError": ("avis_cli.errors", "AvisError"),
    "ClipResult": ("avis_cli.results.clip", "ClipResult"),
    "read_result": ("avis_cli.results.reader", "read_result"),
    "Track": ("avis_cli.results.clip", "Track"),
    "load_model": ("avis_cli.inference.loading", "load_model"),
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
