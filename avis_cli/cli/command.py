"""How every command shows itself and refuses what cannot be meant: panels, examples, and errors in our own words.

Typer lays out panels with Rich only, and says of a wrong value what its libraries say. Here the options stand under the
headings they are declared with (``rich_help_panel``), examples follow, and a value that an option cannot take is told
in one line: which option, what was got, what was expected.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

from avis_cli.errors import UsageError
from avis_cli.options import PANELS
from avis_cli.text import meant

Function = TypeVar("Function", bound=Callable[..., None])

ONLY, GENERAL = (
    "Options",
    "Running",
)  # the panel of what is declared with none: where there is no other, and beside others

_PLACEHOLDERS = {int: "N", float: "NUMBER", Path: "PATH"}
_COLUMN, _GAP = 28, 2  # of the names in the help, in letters, and between them and the text


class Command(TyperCommand):
    """A command whose help has panels and examples, and whose errors about values are UsageErrors."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Typer's, with a UsageError for a value that its parameter cannot take and for a choice that is missing."""
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            raise self._in_our_words(error, ctx, given) or error from None

    def _in_our_words(self, error: Exception, ctx: Any, given: list[str]) -> UsageError | None:
        kind = type(error).__name__
        if kind == "BadOptionUsage":  # a value too many or too few
            name = str(getattr(error, "option_name", ""))
            option = next((p for p in self.get_params(ctx) if name in (*p.opts, *p.secondary_opts)), None)
            wrong = "takes no value" if getattr(option, "is_flag", False) else "needs a value"
            return UsageError(f"{name} {wrong}", hint=f"see `{ctx.command_path} --help`")
        parameter = getattr(error, "param", None)
        if parameter is None or not hasattr(error, "format_message"):
            return None
        return self._about(parameter, ctx, given, is_missing=kind == "MissingParameter")

    def _about(self, parameter: Any, ctx: Any, given: list[str], *, is_missing: bool) -> UsageError | None:
        kind = kind_of(parameter, self)
        name = max(parameter.opts, key=len)
        expected = _expected(kind, self._info(parameter)) or value_of(parameter, kind)
        if is_missing:
            if not is_option(parameter):
                return None
            return UsageError(f"{name} is missing, expected {expected}", hint=f"see `{ctx.command_path} --help`")
        value = self.make_parser(ctx).parse_args(given)[0].get(parameter.name)
        near = meant(str(value), choices(kind))
        return UsageError(f"{name} {value!r}, expected {expected}", hint=near)

    def _info(self, parameter: Any) -> Any:
        """What the command declares of a parameter besides its type."""
        hint = typing.get_type_hints(self.callback, include_extras=True).get(parameter.name)
        return next(iter(getattr(hint, "__metadata__", ())), None)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """``[OPTIONS] TRACKS.json...``"""
        return ["[OPTIONS]", *(usage_of(p) for p in self.get_params(ctx) if not is_option(p))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then the panels."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for heading, parameters in panels_of(self, self.get_params(ctx)).items():
            panels[heading] = [_record(parameter, kind_of(parameter, self)) for parameter in parameters]
        width = max((len(name) for records in panels.values() for name, _ in records), default=0)
        width = min(width, _COLUMN)
        for heading, records in panels.items():
            with formatter.section(heading):
                # padded, so that the texts of all panels begin in one column
                formatter.write_dl([(name.ljust(width), text) for name, text in records], _COLUMN, _GAP)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The epilog line by line, as it is: commands cannot be wrapped."""
        if self.epilog:
            formatter.write_paragraph()
            formatter.write("".join(f"{line}\n" for line in self.epilog.splitlines()))


def panels_of(command: Any, parameters: Sequence[Any]) -> dict[str, list[Any]]:
    """Arguments, then the options under their headings: the command's own as they come, those of ``PANELS`` in that
    order, and last what has no heading."""
    panels: dict[str, list[Any]] = {"Arguments": []}
    general: list[Any] = []
    for parameter in parameters:
        heading = getattr(parameter, "rich_help_panel", None) if is_option(parameter) else "Arguments"
        if not getattr(parameter, "hidden", False):
            (general if heading is None else panels.setdefault(heading, [])).append(parameter)
    order = [*(heading for heading in panels if heading not in PANELS), *PANELS]
    panels = {heading: panels[heading] for heading in order if panels.get(heading)}
    return {**panels, (GENERAL if set(panels) - {"Arguments"} else ONLY): general}


def examples(*pairs: tuple[str, str]) -> Callable[[Function], Function]:
    """Decorator: examples at the end of a command's help, (what is wanted, the command) for each common need; of
    a command that belongs to the one before it ``what`` is empty."""
    lines = [line for what, command in pairs for line in ([f"  {what}:"] if what else []) + [f"    {command}"]]

    def decorate(function: Function) -> Function:
        function.epilog = "\n".join(["Examples:", *lines])  # type: ignore[attr-defined]
        return function

    return decorate


def is_option(parameter: Any) -> bool:
    """Whether it is an option, not an argument."""
    return bool(parameter.opts[0].startswith("-"))


def kind_of(parameter: Any, command: Any) -> Any:
    """The type of a parameter's value, a list's that of its items: int, float, str, Path, bool or an Enum."""
    hint = typing.get_type_hints(command.callback, include_extras=True).get(parameter.name, str)
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Annotated else hint
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return typing.get_args(kind)[0] if typing.get_origin(kind) is list else kind


def choices(kind: Any) -> tuple[str, ...]:
    """The values of an Enum, in order; of any other type none."""
    return tuple(str(member.value) for member in kind) if isinstance(kind, type) and issubclass(kind, Enum) else ()


def usage_of(argument: Any) -> str:
    """``TRACKS.json...``, in brackets where it may be left out."""
    name: str = argument.metavar or argument.name.upper()
    several = argument.nargs == -1 and not name.endswith("...")
    name = f"{name}..." if several else name
    return name if argument.required or name.startswith("[") else f"[{name}]"


def value_of(option: Any, kind: Any) -> str:
    """What stands for an option's value in the help."""
    return str(option.metavar or "|".join(choices(kind)) or _PLACEHOLDERS.get(kind, "TEXT"))


def default_of(parameter: Any) -> str | None:
    """A default as it would be typed; None where there is none, or the text tells it in words."""
    value = parameter.default
    if value is None or value is False or callable(value) or getattr(parameter, "show_default", True) is False:
        return None
    if value is True:
        return str(parameter.opts[0])
    return str(value.value if isinstance(value, Enum) else value)


def _record(parameter: Any, kind: Any) -> tuple[str, str]:
    """Name with value, and text with default, as the help lists them."""
    text = " ".join((parameter.help or "").split())
    if not is_option(parameter):
        return usage_of(parameter), text
    short_first: Sequence[str] = sorted(parameter.opts, key=len)
    name = " / ".join([", ".join(short_first), *parameter.secondary_opts])
    name = name if parameter.is_flag else f"{name} {value_of(parameter, kind)}"
    if parameter.required:
        return name, f"{text}  [required]"
    default = default_of(parameter)
    return name, text if default is None else f"{text}  [default: {default}]"


def _expected(kind: Any, info: Any) -> str | None:
    """What an option of this type takes, in words; None of a type that takes anything."""
    if choices(kind):
        return f"one of {', '.join(choices(kind))}"
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    noun = {int: "a whole number", float: "a number"}.get(kind)
    if high is not None:
        return f"{noun} from {low or 0} to {high}"
    return noun if low is None else f"{noun}, {low} or more"


def add_command(app: typer.Typer, function: Callable[..., None], name: str | None = None) -> None:
    """A function as a command of ``app``, with the examples it was decorated with."""
    app.command(name, cls=Command, epilog=getattr(function, "epilog", None))(function)
