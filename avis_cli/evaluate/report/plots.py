"""Curves of a run as PNG files (needs matplotlib: the extra ``plots``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from avis_cli.errors import UsageError
from avis_cli.evaluate.instances.fsla import KINDS
from avis_cli.evaluate.instances.scores import Curves, Evaluation
from avis_cli.evaluate.report.tables import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_FSLA_NAMES = ("all frames", *(f"{kind} source" if kind != "none" else "no source" for kind in KINDS))
_COLOURS = ("#1b1b1b", "#d1495b", "#2e86ab", "#e09f3e")  # distinct in grey and to the colour-blind


def check_plots() -> None:
    """Raise ``UsageError`` where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise UsageError("--plots needs matplotlib", hint="pip install 'avis-cli[plots]'") from None


def figures(evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """(file name, figure): HOTA and its parts and FSLA over thresholds in both meanings, precision over recall."""
    yield "hota.png", _both(evaluation, "HOTA over IoU thresholds, mean over all categories", _draw_hota)
    yield "fsla.png", _both(evaluation, "FSLA over IoU thresholds", _draw_fsla)
    yield "precision_recall.png", _precision_recall(evaluation)


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    return figure


def _both(evaluation: Evaluation, title: str, draw: Callable[[Axes, Curves], None]) -> Figure:
    """The same curves in both meanings, side by side on one scale."""
    figure = _figure(10, 4.2, title)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, meaning, scores in zip(
        panels, ("released", "corrected"), (evaluation.released, evaluation.corrected), strict=True
    ):
        axes.set_title(meaning)
        axes.set_xlabel("IoU threshold")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 100)
        axes.grid(alpha=0.3)
        draw(axes, scores.curves)
        if axes.lines:
            axes.legend(loc="best")
    panels[0].set_ylabel("percent")
    return figure


def _draw_hota(axes: Axes, curves: Curves) -> None:
    for part, colour in zip(("HOTA", "DetA", "AssA"), _COLOURS, strict=False):
        values = 100 * getattr(curves.hota, part)
        label = f"{part} {values.mean():.1f}"
        axes.plot(curves.thresholds, values, color=colour, marker="o", markersize=3, label=label)


def _draw_fsla(axes: Axes, curves: Curves) -> None:
    if curves.fsla is None:
        axes.text(0.5, 50, "undefined: the released\nevaluator stops", ha="center", va="center")
        return
    for name, values, colour in zip(_FSLA_NAMES, 100 * curves.fsla, _COLOURS, strict=True):
        if not np.isnan(values).any():
            label = f"{name} {values.mean():.1f}"
            axes.plot(curves.thresholds, values, color=colour, marker="o", markersize=3, label=label)


def _precision_recall(evaluation: Evaluation) -> Figure:
    """A small panel for each category with ground truth."""
    scores = evaluation.corrected
    curves, ap = scores.curves, scores.ap[:, 0].mean(axis=1)
    shown = np.flatnonzero(ap >= 0).tolist()
    columns = min(6, max(len(shown), 3))
    rows = max(1, -(-len(shown) // columns))
    figure = _figure(2 * columns, 1.9 * rows + 0.9, "Precision over recall, mean over IoU thresholds 0.50 to 0.95")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(shown) :]:
        axes.set_visible(False)
    for axes, c in zip(panels.flat, shown, strict=False):
        precision = 100 * curves.precision[c]
        axes.fill_between(100 * curves.recalls, precision, color=_COLOURS[2], alpha=0.25, linewidth=0)
        axes.plot(100 * curves.recalls, precision, color=_COLOURS[2])
        name = evaluation.categories[c].name
        # dollar signs would be read as formulas
        axes.set_title(f"{cut(name, 20)}: AP {100 * ap[c]:.1f}".replace("$", r"\$"), fontsize=8)
        axes.set_xlim(0, 100)
        axes.set_ylim(0, 103)
        axes.grid(alpha=0.3)
    if not shown:
        figure.text(0.5, 0.5, "no category has ground truth", ha="center", va="center")
    figure.supxlabel("recall in percent")
    figure.supylabel("precision in percent")
    return figure
