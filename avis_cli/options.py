"""The settings of ``avis segment`` that decide a result: default, unit, range and help of each, declared once.

The command line makes its parameters from these declarations, ``avis_cli.segment`` takes them as keywords, a folder's
fingerprint is made from them and ``tracks.json`` records them. A new setting is a field here and its consumer.
Importing this module loads nothing heavy.
"""

from __future__ import annotations

import operator
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from fractions import Fraction
from typing import Any, Literal, TypedDict, TypeVar

from avis_cli.errors import UsageError
from avis_cli.text import meant, nearest
from avis_cli.writers.style import (
    DEFAULT_PALETTE,
    STRIPS,
    STYLES,
    DrawStyle,
    StripPlace,
    StyleName,
    palette,
    palette_names,
)

MAX_RATE = 1000  # frames per second anybody may ask for
RESULTS = ("overlay", "masks", "tracks", "report")
FILLS = ("none", "flow")
REFINEMENTS = ("none", "aurora")
INSTANCES = ("none", "sort")
FILL_RATE = Fraction(2)
"""Masks per second that the network draws itself where the frames between are filled, and nothing else is said."""
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

# headings of the command line's help, in its order
INPUT, FOUND, WRITTEN, LOOK = "Input", "What is found", "What is written", "Look of the overlay"
FOLDERS, NETWORK, CLUSTER = "Folders of videos", "The network", "Several machines"
PANELS = (INPUT, FOUND, WRITTEN, LOOK, FOLDERS, NETWORK, CLUSTER)

Read = Callable[[Any], Any]
"""A value as it was given, text or a Python object -> as understood. Raises RefusedError."""
Decides = Literal["result", "network", "files", "drawing", "nothing"]
Value = TypeVar("Value", bound="SegmentOptions")

# at most so many digits that no clock of a media file overflows
_TIME = re.compile(r"(?:(?:(\d{1,6}):)?([0-5]?\d):)?(\d{1,9}(?:\.\d{1,9})?)", re.ASCII)
_RATIO = re.compile(r"\d{1,18}/[1-9]\d{0,9}", re.ASCII)
_RATE = re.compile(r"\d{1,9}(?:\.\d{1,9}|/[1-9]\d{0,8})?", re.ASCII)
_SECONDS = "seconds (12.5) or HH:MM:SS.s (0:01:02.5)"
_PER_SECOND = "frames per second such as 2, 0.5 or 30000/1001"


class RefusedError(ValueError):
    """A value that cannot be meant. ``expected``: what can; ``got``: how the value is shown, by default as it is."""

    def __init__(self, expected: str, got: str | None = None) -> None:
        super().__init__(expected)
        self.expected, self.got = expected, got


class OptionError(UsageError):
    """Settings that cannot be meant. ``given``: each one at fault with the value it was given, as text."""

    def __init__(self, given: Mapping[str, str], expected: str) -> None:
        self.given, self.expected = dict(given), expected
        super().__init__(_complaint(self.given, expected))

    def renamed(self, name: Callable[[str], str]) -> UsageError:
        """The same error with the settings called what ``name`` makes of them, as flags for example."""
        return UsageError(_complaint({name(key): got for key, got in self.given.items()}, self.expected))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.given, self.expected)


def _complaint(given: Mapping[str, str], expected: str) -> str:
    return f"{' '.join(f'{name} {got}' for name, got in given.items())}, expected {expected}"


# What can be given for a setting -----------------------------------------------------------------------------------


def seconds(value: Any) -> Fraction:
    """``12.5``, ``1:02.5``, ``HH:MM:SS.s`` or a number -> seconds, exact."""
    if isinstance(value, str):
        text = value.strip()
        match = _TIME.fullmatch(text)
        if _RATIO.fullmatch(text):
            return Fraction(text)
        if match is None or (match[2] is not None and Fraction(match[3]) >= 60):
            raise RefusedError(_SECONDS, repr(value))
        hours, minutes, rest = match.groups()
        return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(rest)
    time = _exact(value, _SECONDS, 10**9)
    if time < 0:
        raise RefusedError("0 seconds or more", _shown(time))
    return time


def rate(value: Any) -> Fraction:
    """``2``, ``0.5``, ``30000/1001`` or a number -> frames per second."""
    if isinstance(value, str):
        if _RATE.fullmatch(value.strip()) is None or Fraction(value.strip()) == 0:
            raise RefusedError(_PER_SECOND, repr(value))
        value = Fraction(value.strip())
    per_second = _exact(value, _PER_SECOND, 10**6).limit_denominator(10**6)
    if not 0 < per_second <= MAX_RATE:
        raise RefusedError(f"more than 0 and at most {MAX_RATE} frames per second", _shown(value))
    return per_second


def mask_rate(value: Any) -> Fraction | str:
    """A rate, or ``video`` for that of the clip's own frames."""
    if isinstance(value, str) and value.strip() == "video":
        return "video"
    try:
        return rate(value)
    except RefusedError as error:
        raise RefusedError(f"{error.expected}, or video", error.got) from None


def _exact(value: Any, expected: str, limit: int) -> Fraction:
    """A number as a fraction; a float as the shortest one near it, so that 0.1 is a tenth."""
    value = value.item() if hasattr(value, "item") else value  # of NumPy and PyTorch
    try:
        exact = Fraction(value)
    except (TypeError, ValueError, OverflowError):
        raise RefusedError(expected) from None
    return exact.limit_denominator(limit) if isinstance(value, float) else exact


def _shown(number: Any) -> str:
    try:
        return f"{float(number):g}"
    except OverflowError:
        return "a number with more than 300 digits"


@dataclass(frozen=True)
class Number:
    """A number from ``low`` to ``high`` (None: any above), called ``unit`` in messages."""

    low: float
    high: float | None = None
    unit: str = "a number"

    def __call__(self, value: Any) -> float:
        expected = f"{self.unit}, {self.low:g} or more"
        if self.high is not None:
            expected = f"{self.unit} from {self.low:g} to {self.high:g}"
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise RefusedError(expected) from None
        if not (self.low <= number and (self.high is None or number <= self.high)):  # not a number fails this too
            raise RefusedError(expected, str(number))
        return number


def count(value: Any) -> int:
    """A whole number from 1."""
    try:
        number = int(value) if isinstance(value, str) else operator.index(value)
    except (TypeError, ValueError):
        raise RefusedError("a whole number, 1 or more") from None
    if number < 1:
        raise RefusedError("a whole number, 1 or more", str(number))
    return number


def file_name(value: Any) -> str:
    """A file by its name."""
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise RefusedError("a file")
    return os.fsdecode(value)


def switch(value: Any) -> bool:
    """Yes or no."""
    if not isinstance(value, str) and value in (0, 1):
        return bool(value)
    raise RefusedError("True or False")


@dataclass(frozen=True)
class Choice:
    """One of ``names``. ``yes``, ``no``: what True and False stand for, None where they mean nothing."""

    names: tuple[str, ...]
    yes: str | None = None
    no: str | None = None

    def __call__(self, value: Any) -> str:
        name = value.value if isinstance(value, Enum) else value
        if isinstance(value, bool):
            name = self.yes if value else self.no
        if name not in self.names:
            raise RefusedError(_with_nearest(f"one of {', '.join(self.names)}", name, self.names))
        return str(name)


@dataclass(frozen=True)
class Several:
    """Some of ``names``, separated by commas or in a sequence -> in the order they are declared."""

    names: tuple[str, ...]

    def __call__(self, value: Any) -> tuple[str, ...]:
        wanted = [name.strip() for name in value.split(",")] if isinstance(value, str) else list(value)
        for name in wanted:
            if name not in self.names:
                expected = _with_nearest(f"a list of {', '.join(self.names)}", name, self.names)
                raise RefusedError(expected, repr(name))
        return tuple(name for name in self.names if name in wanted)


def _with_nearest(expected: str, got: object, names: Sequence[str]) -> str:
    """``expected``, and the name that may have been meant."""
    near = meant(got, names) if isinstance(got, str) else None
    return expected if near is None else f"{expected}; {near}"


def track_name(value: Any) -> str:
    """A sound track's number or language, which the file has or has not."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise RefusedError("a number from 0, or a language")
    return str(value)


def colours(value: Any) -> str:
    """A palette's name, or colours."""
    if value == DEFAULT_PALETTE:  # known without its colours, which take arrays to compute
        return DEFAULT_PALETTE
    try:
        palette(value)
    except (UsageError, AttributeError, TypeError):
        expected = f"{', '.join(palette_names())}, or colours such as e6194b,3cb44b"
        raise RefusedError(_with_nearest(expected, value, palette_names())) from None
    return str(value)


# What there is to set ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Declaration:
    """What is declared of a setting besides its name, type and default.

    ``read``: which values can be given. ``help``, ``metavar``, ``panel``: what the command line's help says of it, what
    stands there for the value, and under which heading. ``decides``: the ``result`` of a clip; how the ``network`` is
    loaded; which ``files`` are written of a result, the ``drawing`` in them; or ``nothing``, a limit only.
    ``is_later``: it was added when results had been written without it, so its default is not recorded: what it does
    not touch stays as it was, to the byte.
    """

    read: Read
    help: str
    metavar: str | None = None
    panel: str = INPUT
    decides: Decides = "result"
    is_later: bool = False


def option(default: Any, read: Read, help: str, **more: Any) -> Any:
    """The field of a setting: its default, and what ``Declaration`` says."""
    return field(default=default, metadata={"declaration": Declaration(read, help, **more)})


class Limits(TypedDict, total=False):
    """The keyword that readers of videos take."""

    max_pixels: int


class Reading(Limits, total=False):
    """The keywords that say how an input is opened."""

    audio_track: str | None
    frame_rate: Fraction | None
    audio: str | None


@dataclass(frozen=True)
class SegmentOptions:
    """Every setting of a run; what each one does is declared with it.

    Values are given as the command line has them (``start="0:01:02.5"``, ``fps="30000/1001"``) or as Python objects
    (``start=62.5``, ``fps=Fraction(30000, 1001)``), and kept as understood: rates and times as exact fractions. None
    stands for the default. Raises OptionError, a UsageError, that names the setting.
    """

    fps: Fraction | None = option(
        None, rate, "Frames per second to listen and look at, such as 1 or 30000/1001 [default: the model's].",
        metavar="RATE", panel=NETWORK,
    )  # fmt: skip
    mask_fps: Fraction | Literal["video"] | None = option(
        None, mask_rate, "Masks per second; video: one for every frame [default: the model's].",
        metavar="RATE|video", panel=FOUND,
    )  # fmt: skip
    fill: str | None = option(
        None, Choice(FILLS),
        "Masks for the frames between those of --mask-fps (2 a second, if not given): flow carries them along by how "
        "the picture moves [default: none].",
        metavar="none|flow", panel=FOUND, is_later=True,
    )  # fmt: skip
    start: Fraction = option(
        Fraction(0), seconds, "Begin there: seconds (12.5) or HH:MM:SS.s (0:00:12.5).", metavar="TIME"
    )
    end: Fraction | None = option(None, seconds, "Stop there, written as for --start.", metavar="TIME")
    threshold: float = option(
        0.3, Number(0, 1), "Keep tracks that score above this; lower finds more, wrong ones too.",
        metavar="0..1", panel=FOUND,
    )  # fmt: skip
    max_tracks: int | None = option(
        None, count, "Keep the N best tracks at most [default: all].", metavar="N", panel=FOUND
    )
    audio_track: str | None = option(
        None, track_name,
        "Which sound track to hear, counted from 0, or its language (eng) [default: the file's own choice].",
        metavar="N|LANG",
    )  # fmt: skip
    frame_rate: Fraction | None = option(
        None, rate, "Take a folder of pictures as one clip, with so many of them a second.", metavar="RATE",
        is_later=True,
    )  # fmt: skip
    audio: str | None = option(
        None, file_name,
        "Hear this file instead: the sound of a folder of pictures, or in place of a video's own.", metavar="FILE",
        is_later=True,
    )  # fmt: skip
    allow_silent: bool = option(False, switch, "Take videos that have no sound, as if they were silent.")
    mute: bool = option(False, switch, "Put silence in place of the sound: shows what the picture alone gives.")
    gate: bool | None = option(
        None, switch, "No masks while an object is not heard [default: the model's].", panel=FOUND
    )
    window: int | None = option(
        None, count,
        "Token frames tracked together; longer videos are tracked in overlapping windows "
        "[default: 240, fewer if memory is short].",
        metavar="N", panel=NETWORK,
    )  # fmt: skip
    max_gap: float = option(
        60.0, Number(0, unit="seconds"),
        "What sounds again after longer than this, in another window, is a new object.",
        metavar="SECONDS", panel=FOUND,
    )  # fmt: skip
    clean: bool = option(
        False, switch,
        "Take specks and pinholes out of the masks: pieces and holes under 5 % of the mask and 0.1 % of the picture.",
        panel=FOUND, is_later=True,
    )  # fmt: skip
    instances: str = option(
        "none", Choice(INSTANCES),
        "Of a model of class maps: tell objects apart; sort: each connected piece of a class, followed by SORT.",
        metavar="none|sort", panel=FOUND, is_later=True,
    )  # fmt: skip
    refine: str = option(
        "none", Choice(REFINEMENTS),
        "Check the masks; aurora: by those of single frames, which blanks, refines and scores them anew.",
        metavar="none|aurora", panel=FOUND, is_later=True,
    )  # fmt: skip
    strict: bool = option(False, switch, "Fail where a frame cannot be decoded, instead of skipping it.")
    max_pixels: int | None = option(
        None, count, "Refuse pictures of more than N pixels [default: 67108864, 8192x8192].",
        metavar="N", decides="nothing",
    )  # fmt: skip
    precision: str = option(
        "auto", Choice(PRECISIONS), "Numbers to compute with; auto: fp32, as published.",
        panel=NETWORK, decides="network",
    )  # fmt: skip
    only: tuple[str, ...] = option(
        RESULTS, Several(RESULTS), "Which results to write, separated by commas.",
        metavar="LIST", panel=WRITTEN, decides="files",
    )  # fmt: skip
    style: str = option(
        StyleName.fill.value, Choice(STYLES),
        "fill: coloured masks; outline: lines only; blur-background and spotlight: blur or darken what is outside "
        "the masks; mute: grey, dark and blurred wherever nothing sounds.",
        metavar="STYLE", panel=LOOK, decides="drawing",
    )  # fmt: skip
    alpha: float | None = option(
        None, Number(0, 1),
        "How strong: opacity of the masks or lines, or of what is done to the background "
        "[default: the style's own].",
        metavar="0..1", panel=LOOK, decides="drawing",
    )  # fmt: skip
    labels: bool = option(True, switch, "Name and score at each object.", panel=LOOK, decides="drawing")
    strip: str = option(
        StripPlace.over.value, Choice(STRIPS, StripPlace.over.value, StripPlace.none.value),
        "The timeline: over the bottom of the picture, below it (the video becomes taller), or none.",
        panel=LOOK, decides="drawing",
    )  # fmt: skip
    palette: str = option(
        DEFAULT_PALETTE, colours,
        "okabe-ito and tol-bright (for the colour-blind too), vivid, pastel, white, or colours of your own, one "
        "for each track, such as e6194b,3cb44b.",
        metavar="NAME|COLOURS", panel=LOOK, decides="drawing",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, declared, default in declarations(type(self)):
            given = getattr(self, name)
            try:
                value = default if given is None else declared.read(given)
            except RefusedError as error:
                raise OptionError({name: error.got or repr(given)}, error.expected) from None
            object.__setattr__(self, name, value)
        if self.end is not None and self.end <= self.start:
            raise OptionError({"start": _shown(self.start), "end": _shown(self.end)}, "an end after the start")
        if self.fill == "flow" and self.mask_fps == "video":
            raise OptionError({"fill": "flow", "mask_fps": "video"}, "a rate with frames between, such as 2")

    @classmethod
    def of(cls: type[Value], options: Value | None, settings: Mapping[str, Any]) -> Value:
        """``options``, or the defaults, with ``settings`` in their place. Raises TypeError for one there is not."""
        options = cls() if options is None else options
        known = [name for name, _, _ in declarations(type(options))]
        for name in settings:
            if name not in known:
                near = nearest(name, known)
                raise TypeError(f"there is no setting {name!r}{'' if near is None else f'; is {near!r} meant?'}")
        return replace(options, **settings)

    def recorded(self) -> dict[str, Any]:
        """The settings that decide a clip's result as JSON values, exact rates and times as text (``30000/1001``).

        Given to this class they make the same options again.
        """
        return {
            name: json_value(getattr(self, name))
            for name, declared, default in declarations(type(self))
            if declared.decides == "result" and not (declared.is_later and getattr(self, name) == default)
        }

    def understood(self) -> dict[str, Any]:
        """JSON values of all that decides what a run writes, as understood, not as typed: ``fps="2"`` is 2.

        Exact rates and times are numbers where one has exactly that value, else text (``30000/1001``). Later settings
        are left out where they are what they would have been before.
        """
        values = {
            name: _number_or_text(getattr(self, name))
            for name, declared, default in declarations(type(self))
            if declared.decides in ("result", "network", "files")
            and not (declared.is_later and getattr(self, name) == default)
        }
        return {**values, "draw": asdict(self.draw)}

    @property
    def draw(self) -> DrawStyle:
        """How an overlay is drawn."""
        return DrawStyle(self.style, self.alpha, self.labels, self.strip, self.palette)

    @property
    def limits(self) -> Limits:
        """What is refused when a video is opened, where it was set."""
        return {} if self.max_pixels is None else {"max_pixels": self.max_pixels}

    @property
    def reading(self) -> Reading:
        """How an input is opened."""
        return {
            "audio_track": self.audio_track, "frame_rate": self.frame_rate, "audio": self.audio, **self.limits
        }  # fmt: skip


def declarations(kind: type[SegmentOptions] = SegmentOptions) -> Iterator[tuple[str, Declaration, Any]]:
    """Name, declaration and default of every setting, in order."""
    for entry in fields(kind):
        yield entry.name, entry.metadata["declaration"], entry.default


def _number_or_text(value: Any) -> Any:
    """``json_value``, with fractions as numbers where the number's text means the same."""
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return int(value)
        return float(value) if Fraction(repr(float(value))) == value else str(value)
    return json_value(value)


def json_value(value: Any) -> Any:
    """A setting as JSON has it: fractions, and numbers that are not finite, as text."""
    if isinstance(value, tuple):
        return [json_value(item) for item in value]
    finite = isinstance(value, float) and float("-inf") < value < float("inf")
    return value if value is None or finite or isinstance(value, bool | int | str) else str(value)
