"""How a result is drawn over its clip: the options ``--style``, ``--alpha``, ``--labels``, ``--palette``, checked.

Importing this loads no array library: the command line names the styles in its help.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING

from avis_cli.errors import UsageError

if TYPE_CHECKING:
    from avis_cli.writers.colours import Colour


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


class StripPlace(str, Enum):
    """Where the timeline stands: ``over`` the bottom of the picture, ``below`` it, which makes the video taller, or
    nowhere."""

    over = "over"
    below = "below"
    none = "none"


DEFAULT_PALETTE = "okabe-ito"
STYLES = tuple(style.value for style in StyleName)
STRIPS = tuple(place.value for place in StripPlace)

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
    blurred, darkened or muted; None takes the style's own. ``labels``: name and score at each object. ``strip``: one of
    ``STRIPS``, where the timeline stands. ``palette``: a palette's name, or colours such as ``e6194b,3cb44b``; track n
    has the n-th, and they repeat. Raises UsageError for a value that means nothing.
    """

    name: str = StyleName.fill.value
    alpha: float | None = None
    labels: bool = True
    strip: str = StripPlace.over.value
    palette: str = DEFAULT_PALETTE

    def __post_init__(self) -> None:
        if self.name not in STYLES:
            raise UsageError(f"--style {self.name!r}, expected one of {', '.join(STYLES)}")
        # an enum's member and its text are one style, also in what is printed or compared
        object.__setattr__(self, "name", StyleName(self.name).value)
        if self.strip not in STRIPS:
            raise UsageError(f"--strip {self.strip!r}, expected one of {', '.join(STRIPS)}")
        object.__setattr__(self, "strip", StripPlace(self.strip).value)
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
        return palette(self.palette)


# blue, red, green, yellow, cyan, purple, grey: Paul Tol, "Colour Schemes", technical note SRON/EPS/TN/09-002
TOL_BRIGHT: tuple[Colour, ...] = (
    (68, 119, 170),
    (238, 102, 119),
    (34, 136, 51),
    (204, 187, 68),
    (102, 204, 238),
    (170, 51, 119),
    (187, 187, 187),
)

_WHEEL = 24  # hues of the palettes that are made from one
_GOLDEN_TURN = (5**0.5 - 1) / 2  # of the colour wheel: neighbours in the list are never neighbours on it
_HEX = re.compile(r"#?(?:[0-9a-f]{3}|[0-9a-f]{6})", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Palette:
    """RGB colours of the tracks in the order of their ids; where there are more tracks, the colours repeat."""

    colours: tuple[Colour, ...]

    def colour(self, track_id: int) -> Colour:
        """RGB of a track (ids from 1)."""
        return self.colours[(track_id - 1) % len(self.colours)]


@lru_cache(maxsize=16)
def palette(text: str = DEFAULT_PALETTE) -> Palette:
    """The palette of that name, or of colours such as ``e6194b,#3cb44b,fff``. Raises UsageError for anything else."""
    if text in _PALETTES:
        return Palette(_PALETTES[text]())
    entries = [entry.strip() for entry in text.split(",")]
    for entry in entries:
        if _HEX.fullmatch(entry) is None:
            raise UsageError(
                f"--palette {text!r}: {entry!r} is no colour",
                hint=f"give {', '.join(_PALETTES)}, or colours such as e6194b,3cb44b",
            )
    return Palette(tuple(_from_hex(entry.removeprefix("#")) for entry in entries))


def palette_names() -> tuple[str, ...]:
    """The named palettes, the default first."""
    return tuple(_PALETTES)


def _from_hex(digits: str) -> Colour:
    if len(digits) == 3:
        digits = "".join(digit * 2 for digit in digits)
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _wheel(saturation: float, value: float) -> tuple[Colour, ...]:
    """Hues around the wheel, each far from the few before it."""
    colours = (hsv_to_rgb(index * _GOLDEN_TURN % 1, saturation, value) for index in range(_WHEEL))
    return tuple((round(255 * red), round(255 * green), round(255 * blue)) for red, green, blue in colours)


def track_colour(track_id: int) -> Colour:
    """RGB of a track (ids from 1) in the default palette; the colours repeat after ``MAX_TRACKS``."""
    return palette().colour(track_id)


def _default_colours() -> tuple[Colour, ...]:
    from avis_cli.writers.colours import track_colours  # which loads numpy

    return tuple((int(red), int(green), int(blue)) for red, green, blue in track_colours())


_PALETTES: dict[str, Callable[[], tuple[Colour, ...]]] = {
    DEFAULT_PALETTE: _default_colours,
    "tol-bright": lambda: TOL_BRIGHT,
    "vivid": lambda: _wheel(0.95, 1.0),
    "pastel": lambda: _wheel(0.4, 1.0),
    "white": lambda: ((255, 255, 255),),
}
