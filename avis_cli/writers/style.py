"""How a result is drawn over its clip: what the options ``--style``, ``--alpha``, ``--labels`` ... say, checked.

Light on purpose: the command line names the styles in its help before anything heavy is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from avis_cli.errors import UsageError

if TYPE_CHECKING:
    from avis_cli.writers.colours import Palette


class StyleName(str, Enum):
    """What is done to the picture.

    ``fill``: each mask in its track's colour, outlined; ``outline``: the outline alone; ``blur-background``: what is
    outside the masks is blurred; ``spotlight``: what is outside is darkened, with a soft edge; ``mute``: whatever does
    not sound at that moment is grey, dark and blurred, also an object that has a mask then.
    """

    fill = "fill"
    outline = "outline"
    blur_background = "blur-background"
    spotlight = "spotlight"
    mute = "mute"


DEFAULT_PALETTE = "okabe-ito"
STYLES = tuple(style.value for style in StyleName)

# opacity where the user names none
_ALPHA = {
    StyleName.fill: 0.42,
    StyleName.outline: 1.0,
    StyleName.blur_background: 1.0,
    StyleName.spotlight: 0.75,
    StyleName.mute: 1.0,
}


@dataclass(frozen=True)
class DrawStyle:
    """How an overlay looks; the default is what ``avis segment`` draws when asked for nothing else.

    ``name``: one of ``STYLES``. ``alpha``, 0 to 1: opacity of the fill or of the lines, or how far the background is
    blurred, darkened or muted; None takes the style's own. ``labels``: name and score at each object. ``strip``: the
    timeline at the bottom. ``palette``: a palette's name, or colours such as ``e6194b,3cb44b``; track n has the n-th,
    and they repeat. Raises UsageError for a value that means nothing.
    """

    name: str = StyleName.fill.value
    alpha: float | None = None
    labels: bool = True
    strip: bool = True
    palette: str = DEFAULT_PALETTE

    def __post_init__(self) -> None:
        if self.name not in STYLES:
            raise UsageError(f"--style {self.name!r}, expected one of {', '.join(STYLES)}")
        # an enum's member and its text are one style, also in what is printed or compared
        object.__setattr__(self, "name", StyleName(self.name).value)
        if self.alpha is not None and not 0 <= self.alpha <= 1:  # not a number fails this too
            raise UsageError(f"--alpha {self.alpha}, expected a number from 0 to 1")
        _ = self.colours

    @property
    def opacity(self) -> float:
        """``alpha``, or what the style takes in its place."""
        return _ALPHA[StyleName(self.name)] if self.alpha is None else self.alpha

    @property
    def colours(self) -> Palette:
        """The palette's colours. Raises UsageError if there is no such palette."""
        from avis_cli.writers.colours import palette

        return palette(self.palette)
