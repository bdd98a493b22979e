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

from avis_cli.cli import completion
from avis_cli.options import Choice, OptionError, SegmentOptions, Several, colours, declarations, switch
from avis_cli.writers.style import palette_names

_PLACE = "options"  # the parameter that the settings stand in for
_KIND = inspect.Parameter.KEYWORD_ONLY  # Typer calls by name, and so defaults may stand before what has none


def takes_options(
    *names: str, kind: type[SegmentOptions] = SegmentOptions, panel: str | None = None
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator: the settings of ``names`` (default: all of ``kind``) as parameters of their own, in the help under
    the headings they are declared with, or all under ``panel``.

    The command's ``options`` are made from them, with a UsageError that names flags where that fails.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        made = parameters(kind, names, panel)

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


def parameters(kind: type[SegmentOptions], names: Sequence[str], panel: str | None = None) -> list[inspect.Parameter]:
    """One parameter for each setting of ``names``, all of them if there are none, as Typer reads it."""
    made = []
    for name, declared, default in declarations(kind):
        if names and name not in names:
            continue
        flags, text, complete = flag(name), default, None
        given: Any = str | None
        if declared.read is switch:
            given = bool | None if default is None else bool
            flags = flags if default is False else f"{flags}/--no-{flags.removeprefix('--')}"
        elif isinstance(declared.read, Choice):
            kinds = _enumeration(name, declared.read)
            given, text = (kinds | None, None) if default is None else (kinds, kinds(default))
            complete = completion.words(*declared.read.names)
        elif isinstance(declared.read, Several):
            text, complete = ",".join(default), completion.several(*declared.read.names)
        elif declared.read is colours:
            complete = completion.words(*palette_names())
        elif default is not None:
            text = str(default)
        about = typer.Option(
            flags,
            help=declared.help,
            metavar=declared.metavar,
            rich_help_panel=panel or declared.panel,
            autocompletion=complete,
        )
        made.append(inspect.Parameter(name, _KIND, default=text, annotation=Annotated[given, about]))
    return made


def _enumeration(name: str, choice: Choice) -> type[Enum]:
    """The choices as Typer lists and completes them."""
    members = {member: member for member in choice.names}
    return Enum(name.capitalize(), members, type=str)  # type: ignore[return-value]


def flag_given(name: str, value: object) -> str:
    """The flag that gives a setting this value: ``--no-gate`` for a ``gate`` of False."""
    return flag(f"no_{name}") if value is False else flag(name)


def flag(name: str) -> str:
    """``mask_fps`` -> ``--mask-fps``"""
    return f"--{name.replace('_', '-')}"
