"""Settings of a run as parameters of a command: made from what ``avis_cli.options`` declares of each.

A command that takes settings has one parameter ``options`` and is decorated with ``takes_options``; Typer sees a
parameter for each setting in its place. Errors that name a setting name its flag here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from enum import Enum
from functools import wraps
from typing import Annotated, Any, get_type_hints

import typer

from avis_cli.options import Choice, OptionError, SegmentOptions, declarations, switch

_PLACE = "options"  # the parameter that the settings stand in for
_KIND = inspect.Parameter.KEYWORD_ONLY  # Typer calls by name, and so defaults may stand before what has none


def takes_options(
    *names: str, kind: type[SegmentOptions] = SegmentOptions
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: the settings of ``names`` (default: all of ``kind``) as parameters of their own.

    The command's ``options`` are made from them, with a UsageError that names flags where that fails.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        made = parameters(kind, names)

        @wraps(command)
        def called(**given: Any) -> None:
            settings = {parameter.name: given.pop(parameter.name) for parameter in made}
            try:
                options = kind(**settings)
            except OptionError as error:
                raise error.renamed(flag) from None
            command(**given, **{_PLACE: options})

        hints = get_type_hints(command, include_extras=True)
        own = [p.replace(kind=_KIND, annotation=hints[p.name]) for p in inspect.signature(command).parameters.values()]
        place = [parameter.name for parameter in own].index(_PLACE)
        every = [*own[:place], *made, *own[place + 1 :]]
        called.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        called.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
        return called

    return decorate


def parameters(kind: type[SegmentOptions], names: Sequence[str]) -> list[inspect.Parameter]:
    """One parameter for each setting of ``names``, all of them if there are none, as Typer reads it."""
    made = []
    for name, declared, default in declarations(kind):
        if names and name not in names:
            continue
        flags, text = flag(name), default
        given: Any = str | None
        if declared.read is switch:
            given = bool | None if default is None else bool
            flags = flags if default is False else f"{flags}/--no-{flags.removeprefix('--')}"
        elif isinstance(declared.read, Choice):
            kinds = _enumeration(name, declared.read)
            given, text = (kinds | None, None) if default is None else (kinds, kinds(default))
        elif default is not None:
            text = ",".join(default) if isinstance(default, tuple) else str(default)
        about = typer.Option(flags, help=declared.help, metavar=declared.metavar, rich_help_panel=declared.panel)
        made.append(inspect.Parameter(name, _KIND, default=text, annotation=Annotated[given, about]))
    return made


def _enumeration(name: str, choice: Choice) -> type[Enum]:
    """The choices as Typer lists and completes them."""
    members = {member: member for member in choice.names}
    return Enum(name.capitalize(), members, type=str)  # type: ignore[return-value]


def flag(name: str) -> str:
    """``mask_fps`` -> ``--mask-fps``"""
    return f"--{name.replace('_', '-')}"
