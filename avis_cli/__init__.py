"""avis: which objects in a video make the sound you hear (audio-visual instance segmentation).

- ``load_model(name)``: a network with its weights on a device, ready for the two below.
- ``segment(path, model)``: a video file -> ``ClipResult``.
- ``stream(source, model)``: a camera, an address, a pipe or a file -> one ``FrameResult`` after another, as it goes on.
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

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from avis_cli.threads import limit_spinning
from avis_cli.version import __version__

if TYPE_CHECKING:
    from avis_cli.errors import AvisError
    from avis_cli.evaluate import evaluate
    from avis_cli.evaluate.semantic.scores import evaluate_maps
    from avis_cli.inference.loading import load_model
    from avis_cli.outputs import export_result, plot_result, render_result, save_result
    from avis_cli.results.clip import ClipResult, Track
    from avis_cli.results.frame import FrameResult
    from avis_cli.results.reader import read_result
    from avis_cli.results.semantic import SemanticResult
    from avis_cli.segment import segment, segment_frames, segment_maps
    from avis_cli.stream import stream

__all__ = [
    "AvisError",
    "ClipResult",
    "FrameResult",
    "SemanticResult",
    "Track",
    "__version__",
    "evaluate",
    "evaluate_maps",
    "export_result",
    "load_model",
    "plot_result",
    "read_result",
    "render_result",
    "save_result",
    "segment",
    "segment_frames",
    "segment_maps",
    "stream",
]

# name -> the module that has it
_HOMES = {
    "AvisError": "avis_cli.errors",
    "ClipResult": "avis_cli.results.clip",
    "read_result": "avis_cli.results.reader",
    "Track": "avis_cli.results.clip",
    "load_model": "avis_cli.inference.loading",
    "segment_frames": "avis_cli.segment",
    "segment_maps": "avis_cli.segment",
    "segment": "avis_cli.segment",
    "SemanticResult": "avis_cli.results.semantic",
    "stream": "avis_cli.stream",
    "FrameResult": "avis_cli.results.frame",
    "evaluate": "avis_cli.evaluate",
    "evaluate_maps": "avis_cli.evaluate.semantic.scores",
    # a result's own methods reach them here: results import no writer
    "save_result": "avis_cli.outputs",
    "render_result": "avis_cli.outputs",
    "export_result": "avis_cli.outputs",
    "plot_result": "avis_cli.outputs",
}


class _Package(ModuleType):
    """``segment``, ``stream`` and ``evaluate`` are functions of the package although each also names a module in it.

    The import system sets a module as an attribute of its package when it is first imported; here it does not, so that
    the name means the function whoever has imported what.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in _HOMES):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

limit_spinning()  # here, because nothing of this package can load PyTorch before


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
