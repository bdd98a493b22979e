"""Which function draws which category."""

from __future__ import annotations

from collections.abc import Callable

from avis_cli.datasets.synth.canvas import Painter
from avis_cli.datasets.synth.categories import name_of
from avis_cli.datasets.synth.draw_animals import bird, cat
from avis_cli.datasets.synth.draw_household import clock, kettle, phone
from avis_cli.datasets.synth.draw_instruments import bell, drum, trumpet
from avis_cli.datasets.synth.draw_machines import car, robot
from avis_cli.datasets.synth.looks import Look, Pose

_DRAWERS: dict[str, Callable[[Painter, Look, Pose], None]] = {
    "bell": bell,
    "drum": drum,
    "bird": bird,
    "car": car,
    "phone": phone,
    "kettle": kettle,
    "trumpet": trumpet,
    "robot": robot,
    "clock": clock,
    "cat": cat,
}


def draw(category_id: int, painter: Painter, look: Look, pose: Pose) -> None:
    """Draws one object into the painter's layer."""
    _DRAWERS[name_of(category_id)](painter, look, pose)
