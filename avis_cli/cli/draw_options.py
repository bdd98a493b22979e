"""The options that say how an overlay is drawn, for every command that draws one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from avis_cli.writers.style import StyleName

if TYPE_CHECKING:
    from avis_cli.writers.style import DrawStyle

Style = Annotated[
    StyleName,
    typer.Option(
        "--style",
        help="fill: coloured masks; outline: lines only; blur-background and spotlight: blur or darken what is outside "
        "the masks; mute: grey, dark and blurred wherever nothing sounds.",
    ),
]
Alpha = Annotated[
    float | None,
    typer.Option(
        "--alpha",
        metavar="0..1",
        help="How strong: opacity of the masks or lines, or of what is done to the background "
        "[default: the style's own].",
    ),
]
Labels = Annotated[bool, typer.Option("--labels/--no-labels", help="Name and score at each object.")]
NoStrip = Annotated[bool, typer.Option("--no-strip", help="Leave out the timeline at the bottom.")]
PaletteName = Annotated[
    str,
    typer.Option(
        "--palette",
        metavar="NAME|COLOURS",
        help="okabe-ito and tol-bright (for the colour-blind too), vivid, pastel, white, or colours of your own, one "
        "for each track, such as e6194b,3cb44b.",
    ),
]


def draw_style(style: StyleName, alpha: float | None, labels: bool, no_strip: bool, palette: str) -> DrawStyle:
    """What the options say together. Raises UsageError for a palette or a number that means nothing."""
    from avis_cli.writers.style import DrawStyle

    return DrawStyle(style.value, alpha, labels, not no_strip, palette)
