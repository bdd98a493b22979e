"""The curve of F over thresholds as a PNG file (needs matplotlib: the extra ``plots``)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def f_curve(document: Mapping[str, Any]) -> Figure:
    """Of the values of scores.json of s4 or ms3; beside the curve its best threshold."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title("F over thresholds, mean over the frames with truth")
    axes.set_xlabel("threshold")
    axes.set_ylabel("percent")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 100)
    axes.grid(alpha=0.3)
    curve = document.get("curve")
    if curve is None:
        axes.text(0.5, 50, "undefined: no frame has a truth", ha="center", va="center")
        return figure
    best, values = document["corrected"]["fscore_at"], [100 * value for value in curve["f"]]
    axes.plot(curve["thresholds"], values, color="#2e86ab")
    at = curve["thresholds"][best]
    axes.plot([at], [values[best]], "o", color="#d1495b", label=f"{values[best]:.1f} at {at:.2f}")
    axes.legend(loc="best")
    return figure
